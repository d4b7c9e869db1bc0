"""Diagonal linear recurrences, h_t = a_t R h_{t-1} + u_t, forward and backward, in four backends.

A state-space layer whose projections are hoisted out of the time loop is two GEMMs around this recurrence, so the
recurrence must run at the speed of memory. `portable` is PyTorch alone, `cpu` fused numba kernels; of Triton's kernels
those of `cuda` walk along time and those of `chunked` do chunks of it side by side. "auto" takes the fastest that is
there, on a GPU by the length of the text, and warns where that is `portable`. All of them accumulate in float32
(float64 inputs stay float64 and are `portable`'s alone) and return that dtype, so the last state of one call is the
exact `initial` of the next.

Complex numbers are planes [re | im] along the last axis: inner loops over channels vectorise, and a complex linear map
is one real GEMM.

Measured on one thread of a shared Xeon (AVX-512) in CPU time, B=4, T=1024, N=512, float32, forward and backward: `cpu`
16 ms, 1.6 times the copy time of the bytes it must move; `portable` 86 ms; the published per-token loop 7.9 s.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor

from . import portable

Backend = Literal["auto", "portable", "cpu", "cuda", "chunked"]

DEVICES = {"cpu": "cpu", "cuda": "cuda", "chunked": "cuda"}         # of the backends that are kernels
WALKED = 256                                # steps up to which one launch that walks costs less than three side by side
NO_TRITON = "needs Triton, which comes with PyTorch's CUDA builds"


def real_scan(
    decay: Tensor, x: Tensor, initial: Tensor | None = None, *, normalise: bool = False, backend: Backend = "auto",
) -> Tensor:
    """h_t = a_t h_{t-1} + u_t with u = x, or sqrt(1 - a²) x with `normalise`.

    decay, x (B, T, N); initial (B, N), zero where None -> h (B, T, N), of which h[:, -1] is the state to carry.
    `normalise` expects decay in [0, 1]; from 1 on nothing of x enters. Raises ValueError on a wrong shape, RuntimeError
    where `backend` is absent.
    """
    batch, length, width = _shape("x", x)
    decay, x, initial = _promote(decay, x, _or_zeros(initial, (batch, width), x))
    _expect(decay=(decay, batch, length, width), initial=(initial, batch, width))
    return _backend(backend, x).real_scan(decay, x, initial, normalise)


def complex_scan(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor | None = None, *,
    normalise: bool = False, backend: Backend = "auto",
) -> Tensor:
    """h_t = a_t R h_{t-1} + u_t, R the rotation (cos, sin) of each channel; u as in `real_scan`.

    decay (B, T, N); cos, sin (N,); x (B, T, 2N) and initial (B, 2N) as planes [re | im] -> h (B, T, 2N).
    Raises ValueError on a wrong shape, RuntimeError where `backend` is absent.
    """
    batch, length, width = _shape("decay", decay)
    decay, cos, sin, x, initial = _promote(decay, cos, sin, x, _or_zeros(initial, (batch, 2 * width), x))
    _expect(cos=(cos, width), sin=(sin, width), x=(x, batch, length, 2 * width), initial=(initial, batch, 2 * width))
    return _backend(backend, x).complex_scan(decay, cos, sin, x, initial, normalise)


def gated_real_scan(
    packed: Tensor, delta: Tensor, initial: Tensor | None = None, *, bias: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """A normalised real scan with its gates: a = delta sigmoid(-gate - bias), y = silu(out) h.

    packed (B, T, 3N) is one projection's result [gate | out | x], float32 or bfloat16; delta (N,) in [0, 1) and bias
    (N,), zero where None; initial (B, N) -> y (B, T, N) of packed's dtype and the last state (B, N) in float32.
    Raises as `complex_scan` does.
    """
    batch, length, _ = _shape("packed", packed)
    width = delta.numel()
    bias, initial = _or_zeros(bias, (width,), delta), _or_zeros(initial, (batch, width), delta)
    delta, bias, initial = _cast(torch.promote_types(packed.dtype, torch.float32), delta, bias, initial)
    _expect(packed=(packed, batch, length, 3 * width), bias=(bias, width), initial=(initial, batch, width))
    return _backend(backend, packed).gated_real_scan(packed, bias, delta, initial)


def gated_complex_scan(
    packed: Tensor, delta: Tensor, cos: Tensor, sin: Tensor, initial: Tensor | None = None, *,
    bias: Tensor | None = None, backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """A normalised complex scan with its gates: a = delta sigmoid(-gate - bias), y = silu(out) h.

    packed (B, T, 4N) is one projection's result [gate | out | x_re | x_im], float32 or bfloat16: both gates are real,
    so phases turn by R alone. delta (N,) in [0, 1) and bias (N,), zero where None; cos, sin (N,); initial (B, 2N)
    -> y (B, T, 2N) of packed's dtype and the last state (B, 2N) in float32. Raises as `complex_scan` does.
    """
    batch, length, _ = _shape("packed", packed)
    width = delta.numel()
    bias, initial = _or_zeros(bias, (width,), delta), _or_zeros(initial, (batch, 2 * width), delta)
    dtype = torch.promote_types(packed.dtype, torch.float32)
    delta, cos, sin, bias, initial = _cast(dtype, delta, cos, sin, bias, initial)
    _expect(
        packed=(packed, batch, length, 4 * width), cos=(cos, width), sin=(sin, width), bias=(bias, width),
        initial=(initial, batch, 2 * width),
    )
    return _backend(backend, packed).gated_complex_scan(packed, bias, delta, cos, sin, initial)


def runnable(device: str) -> list[Backend]:
    """The backends that run on `device`, the fastest last."""
    kernels: list[Backend] = ["cpu", "cuda", "chunked"]
    return ["portable", *(name for name in kernels if DEVICES[name] == device and _available(device))]


def absent(backend: Backend, device: str) -> str:
    """Why a backend does not run on `device`, or ""."""
    if backend in runnable(device):
        return ""
    wanted = DEVICES[backend]
    if wanted != device:
        return f"the {backend} backend of the scan runs on {wanted}, not on {device}"
    return f"the {backend} backend of the scan {NO_TRITON}" if device == "cuda" else (
        "the cpu backend of the scan needs numba: pip install 'qllm-harness[fast]'")


def _shape(name: str, tensor: Tensor) -> torch.Size:
    if tensor.dim() != 3 or tensor.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not (batch, steps, channels) with steps")
    return tensor.shape


def _expect(**tensors: tuple[Any, ...]) -> None:
    """Kernels index without looking: a wrong shape must not reach them."""
    for name, (tensor, *shape) in tensors.items():
        if list(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(shape)}")


def _or_zeros(tensor: Tensor | None, shape: Sequence[int], like: Tensor) -> Tensor:
    return like.new_zeros(shape) if tensor is None else tensor


def _promote(*tensors: Tensor) -> list[Tensor]:
    """Everything in float32, or in float64 where any of it is."""
    return _cast(torch.float64 if any(t.dtype == torch.float64 for t in tensors) else torch.float32, *tensors)


def _cast(dtype: torch.dtype, *tensors: Tensor) -> list[Tensor]:
    return [tensor.to(dtype) for tensor in tensors]


def _backend(name: Backend, x: Tensor) -> Any:
    fits = x.dtype in (torch.float32, torch.bfloat16)
    if name == "auto":
        name = _fastest(x.device.type, x.shape[1]) if fits else "portable"
    if name == "portable":
        return portable
    if not _available(DEVICES[name]):
        raise RuntimeError(absent(name, DEVICES[name]))
    if not fits or (x.device.type != DEVICES[name] and not _interpreted(name)):
        raise RuntimeError(f"the {name} backend of the scan takes no {x.dtype} on {x.device.type}; use 'portable'")
    return import_module(f".{name}", __package__)


def _fastest(device: str, length: int) -> Backend:
    if device == "cpu":
        return "cpu" if _available("cpu") else "portable"
    if device == "cuda" and _available("cuda"):
        return "chunked" if length > WALKED else "cuda"
    if device == "cuda":                        # once: the place is always this one
        warnings.warn(f"the scan launches a kernel a step: a faster one {NO_TRITON}", RuntimeWarning, stacklevel=1)
    return "portable"


@cache
def _available(device: str) -> bool:
    module = {"cpu": "numba", "cuda": "triton"}.get(device)
    return module is not None and find_spec(module) is not None


def _interpreted(name: str) -> bool:
    """Triton's interpreter runs the CUDA kernels on CPU tensors."""
    return DEVICES[name] == "cuda" and os.environ.get("TRITON_INTERPRET") == "1"
