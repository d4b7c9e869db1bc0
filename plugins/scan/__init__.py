"""Diagonal linear recurrences, h_t = a_t R h_{t-1} + u_t, forward and backward, in three backends.

A state-space layer whose projections are hoisted out of the time loop is two GEMMs around this recurrence, so the
recurrence must run at the speed of memory. `portable` is PyTorch alone, `cpu` fused numba kernels, `cuda` Triton
kernels; "auto" takes the fastest that is there. All of them accumulate in float32 (float64 inputs stay float64 and are
`portable`'s alone) and return that dtype, so the last state of one call is the exact `initial` of the next.

Complex numbers are planes [re | im] along the last axis: inner loops over channels vectorise, and a complex linear map
is one real GEMM.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor

from . import portable

Backend = Literal["auto", "portable", "cpu", "cuda"]


def real_scan(
    decay: Tensor, x: Tensor, initial: Tensor | None = None, *, normalise: bool = False, backend: Backend = "auto",
) -> Tensor:
    """h_t = a_t h_{t-1} + u_t with u = x, or sqrt(1 - a²) x with `normalise`.

    decay, x (B, T, N); initial (B, N), zero where None -> h (B, T, N), of which h[:, -1] is the state to carry.
    `normalise` expects decay in [0, 1]; from 1 on nothing of x enters. Raises RuntimeError where `backend` is absent.
    """
    decay, x, initial = _promote(decay, x, initial)
    return _backend(backend, x).real_scan(decay, x, initial, normalise)


def complex_scan(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor | None = None, *,
    normalise: bool = False, backend: Backend = "auto",
) -> Tensor:
    """h_t = a_t R h_{t-1} + u_t, R the rotation (cos, sin) of each channel; u as in `real_scan`.

    decay (B, T, N); cos, sin (N,); x (B, T, 2N) and initial (B, 2N) as planes [re | im] -> h (B, T, 2N).
    Raises RuntimeError where `backend` is absent.
    """
    decay, cos, sin, x, initial = _promote(decay, cos, sin, x, initial)
    return _backend(backend, x).complex_scan(decay, cos, sin, x, initial, normalise)


def gated_real_scan(
    packed: Tensor, delta: Tensor, initial: Tensor | None = None, *, bias: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """A normalised real scan with its gates: a = delta sigmoid(-gate - bias), y = silu(out) h.

    packed (B, T, 3N) is one projection's result [gate | out | x], float32 or bfloat16; delta (N,) in [0, 1) and bias
    (N,), zero where None; initial (B, N) -> y (B, T, N) of packed's dtype and the last state (B, N) in float32.
    """
    dtype = torch.promote_types(packed.dtype, torch.float32)
    delta, bias, initial = _cast(dtype, delta, _or_zeros(bias, delta.shape, delta), _or_zeros(
        initial, (packed.shape[0], delta.numel()), delta))
    return _backend(backend, packed).gated_real_scan(packed, bias, delta, initial)


def gated_complex_scan(
    packed: Tensor, delta: Tensor, cos: Tensor, sin: Tensor, initial: Tensor | None = None, *,
    bias: Tensor | None = None, backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """A normalised complex scan with its gates: a = delta sigmoid(-gate - bias), y = silu(out) h.

    packed (B, T, 4N) is one projection's result [gate | out | x_re | x_im], float32 or bfloat16: both gates are real,
    so phases turn by R alone. delta (N,) in [0, 1) and bias (N,), zero where None; cos, sin (N,); initial (B, 2N)
    -> y (B, T, 2N) of packed's dtype and the last state (B, 2N) in float32.
    """
    dtype = torch.promote_types(packed.dtype, torch.float32)
    delta, cos, sin, bias, initial = _cast(dtype, delta, cos, sin, _or_zeros(bias, delta.shape, delta), _or_zeros(
        initial, (packed.shape[0], 2 * delta.numel()), delta))
    return _backend(backend, packed).gated_complex_scan(packed, bias, delta, cos, sin, initial)


def _or_zeros(tensor: Tensor | None, shape: Sequence[int], like: Tensor) -> Tensor:
    return like.new_zeros(shape) if tensor is None else tensor


def _promote(*tensors: Tensor | None) -> list[Any]:
    """Everything in float32, or in float64 where any of it is."""
    double = any(t is not None and t.dtype == torch.float64 for t in tensors)
    return _cast(torch.float64 if double else torch.float32, *tensors)


def _cast(dtype: torch.dtype, *tensors: Tensor | None) -> list[Any]:
    return [None if t is None else t.to(dtype) for t in tensors]


def _backend(name: Backend, x: Tensor) -> Any:
    if name == "auto":
        name = "portable" if x.dtype == torch.float64 or not _available(x.device.type) else x.device.type  # type: ignore
    if name == "portable":
        return portable
    if name == "cpu" and not _available("cpu"):
        raise RuntimeError("the cpu backend of the scan needs numba: pip install 'qllm-harness[fast]'")
    if name == "cuda" and not _available("cuda"):
        raise RuntimeError("the cuda backend of the scan needs Triton, which comes with PyTorch's CUDA builds")
    if x.dtype == torch.float64 or (x.device.type != name and not _interpreted(name)):
        raise RuntimeError(f"the {name} backend of the scan takes no {x.dtype} on {x.device.type}; use 'portable'")
    return import_module(f".{name}", __package__)


@cache
def _available(device: str) -> bool:
    module = {"cpu": "numba", "cuda": "triton"}.get(device)
    return module is not None and find_spec(module) is not None


def _interpreted(name: str) -> bool:
    """Triton's interpreter runs the CUDA kernels on CPU tensors."""
    return name == "cuda" and os.environ.get("TRITON_INTERPRET") == "1"
