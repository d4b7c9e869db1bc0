"""What the numba kernels share: how they are compiled, bfloat16 values, and an exponential that vectorises.

numba knows no bfloat16: such arrays come as int16 views, and every element is widened when read and rounded to nearest
even when written. libm's exp is a call per element, which no loop vectorises around; the polynomial here is inlined.

Machine code is kept on disk between runs, see `cpu_cache`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.compiler import Compiler
from numba.extending import intrinsic as _intrinsic

from .cpu_cache import SourceCache

ONE = np.float32(1)
HALF = np.float32(0.5)
SMALLEST = np.float32(1e-12)       # of 1 - a²: keeps the slope of its root finite at a = 1
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)      # the split of ln 2, and the polynomial
P5, P4, P3 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)      # of 2**f, are
P2, P1 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1)                                 # those of Cephes expf
LARGEST = np.float32(87)           # exp stays finite and normal within ±87


class _Disjoint(Compiler):
    """Compiles with the promise that array arguments do not overlap."""

    def define_pipelines(self):
        self.state.flags.noalias = True
        return super().define_pipelines()


OPTIONS: dict[str, Any] = {
    "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}, "pipeline_class": _Disjoint,
}
inlined = numba.njit(**OPTIONS)
intrinsic: Any = _intrinsic        # its typing argument is not one of the call's


def kernel(function):
    """Compile `function` on first use, and keep the machine code beside the source where that is writable."""
    compiled = inlined(function)
    with suppress(RuntimeError):                       # nowhere to keep it
        compiled._cache = SourceCache(function)        # as `cache=True` sets numba's own, which watches one file
    return compiled


@intrinsic
def _power_of_two(typing, exponent):
    """2**exponent for an integer-valued float32."""

    def generate(context, builder, signature, arguments):
        i32 = ir.IntType(32)
        biased = builder.add(builder.fptosi(arguments[0], i32), ir.Constant(i32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(i32, 23)), ir.FloatType())

    return types.float32(types.float32), generate


@intrinsic
def widened(typing, value):
    """A float32, or the bits of a bfloat16, as float32."""

    def generate(context, builder, signature, arguments):
        if value == types.float32:
            return arguments[0]
        i32 = ir.IntType(32)
        return builder.bitcast(builder.shl(builder.zext(arguments[0], i32), ir.Constant(i32, 16)), ir.FloatType())

    return types.float32(value), generate


@intrinsic
def rounded(typing, value, like):
    """The float32 `value` as an element of the array `like`: itself, or the bits of the nearest bfloat16."""
    target = like.dtype

    def generate(context, builder, signature, arguments):
        if target == types.float32:
            return arguments[0]
        i32 = ir.IntType(32)
        bits = builder.bitcast(arguments[0], i32)
        odd = builder.and_(builder.lshr(bits, ir.Constant(i32, 16)), ir.Constant(i32, 1))
        nearest = builder.add(builder.add(bits, ir.Constant(i32, 0x7FFF)), odd)
        return builder.trunc(builder.lshr(nearest, ir.Constant(i32, 16)), ir.IntType(16))

    return target(types.float32, like), generate


@inlined
def sigmoid(x):
    """1 / (1 + exp(-x)), to a few roundings."""
    x = min(max(x, -LARGEST), LARGEST)
    whole = np.floor(LOG2_E * x + HALF)
    f = x - whole * LN2_HIGH - whole * LN2_LOW
    series = ((((P5 * f + P4) * f + P3) * f + P2) * f + P1) * f + HALF
    e = (series * f * f + f + ONE) * _power_of_two(whole)
    return e / (ONE + e)
