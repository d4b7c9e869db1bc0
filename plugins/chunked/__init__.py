"""Diagonal recurrences parallel over chunks of time, for a GPU: h_t = a_t R h_{t-1} + u_t, real or complex, and gated.

The kernels of `scan` walk along time with one program for each block of channels: of 4 rows and 512 channels that is
128 programs, fewer than a GPU has processors. Here chunks of time run side by side, in three passes: what each chunk
makes of a state (a weight and a sum), the state at the start of every chunk, and the states within. The inputs are read
twice, which is the price. Backward is the same over time reversed. The gated forms keep for it the states at the starts
of chunks alone.

`torch.ops.qllm_harness.diagonal_scan` and `gated_scan` have a fake form, a derivative and compose with torch.compile.
Inputs are float32 or bfloat16; states are float32 whatever the inputs are, so the state of one call is the exact
`initial` of the next. Complex numbers are planes [re | im] along the last axis. All need Triton, and raise ValueError
on a wrong shape or dtype, RuntimeError without Triton.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

MISSING = "the chunked scan needs Triton, which comes with PyTorch's CUDA builds"


def chunked_real_scan(
    decay: Tensor, x: Tensor, initial: Tensor | None = None, *, normalise: bool = False,
) -> tuple[Tensor, Tensor]:
    """h_t = a_t h_{t-1} + u_t with u = x, or sqrt(1 - a²) x with `normalise`, and the last state.

    decay, x (B, T, N); initial (B, N), zero where None -> h (B, T, N) and state (B, N) in float32.
    """
    return _plain(decay, (), x, initial, normalise)


def chunked_complex_scan(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor | None = None, *, normalise: bool = False,
) -> tuple[Tensor, Tensor]:
    """h_t = a_t R h_{t-1} + u_t, R the rotation (cos, sin) of each channel; u as in `chunked_real_scan`.

    decay (B, T, N); cos, sin (N,); x (B, T, 2N); initial (B, 2N) -> h (B, T, 2N) and state (B, 2N) in float32.
    """
    return _plain(decay, (cos, sin), x, initial, normalise)


def chunked_gated_real_scan(
    packed: Tensor, delta: Tensor, initial: Tensor | None = None, *, bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A normalised real scan with its gates: a = delta sigmoid(-gate - bias), y = silu(out) h.

    packed (B, T, 3N) is [gate | out | x]; delta (N,) in [0, 1) and bias (N,), zero where None; initial (B, N)
    -> y (B, T, N) of packed's dtype and the last state (B, N) in float32.
    """
    return _gated(packed, delta, (), initial, bias)


def chunked_gated_complex_scan(
    packed: Tensor, delta: Tensor, cos: Tensor, sin: Tensor, initial: Tensor | None = None, *,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A normalised complex scan with its gates, as `chunked_gated_real_scan`, turned by (cos, sin).

    packed (B, T, 4N) is [gate | out | x_re | x_im]; delta, cos, sin and bias (N,); initial (B, 2N)
    -> y (B, T, 2N) of packed's dtype and the last state (B, 2N) in float32.
    """
    return _gated(packed, delta, (cos, sin), initial, bias)


def _plain(
    decay: Tensor, turns: tuple[Tensor, ...], x: Tensor, initial: Tensor | None, normalise: bool,
) -> tuple[Tensor, Tensor]:
    import torch

    try:
        from .operator import diagonal_scan
    except ImportError:
        raise RuntimeError(MISSING) from None
    batch, length, width = _shape("decay", decay)
    wide = width * (2 if turns else 1)
    initial = x.new_zeros(batch, wide) if initial is None else initial
    _expect(decay=(decay, batch, length, width), **_named(turns, width), x=(x, batch, length, wide),
            initial=(initial, batch, wide))
    rotation = torch.stack(turns).float() if turns else decay.new_empty(0, width, dtype=torch.float32)
    h = diagonal_scan(decay, rotation, x, initial.float(), normalise)
    return h, h[:, -1]


def _gated(
    packed: Tensor, delta: Tensor, turns: tuple[Tensor, ...], initial: Tensor | None, bias: Tensor | None,
) -> tuple[Tensor, Tensor]:
    import torch

    try:
        from .gated_operator import gated_scan
    except ImportError:
        raise RuntimeError(MISSING) from None
    batch, length, _ = _shape("packed", packed)
    width, planes = delta.numel(), 2 if turns else 1
    bias = torch.zeros_like(delta) if bias is None else bias
    initial = delta.new_zeros(batch, planes * width) if initial is None else initial
    _expect(packed=(packed, batch, length, (2 + planes) * width), delta=(delta, width), bias=(bias, width),
            **_named(turns, width), initial=(initial, batch, planes * width))
    y, last, _ = gated_scan(packed, torch.stack([bias, delta, *turns]).float(), initial.float())
    return y, last


def _shape(name: str, tensor: Tensor) -> tuple[int, int, int]:
    if tensor.dim() != 3 or not tensor.shape[1]:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not (batch, steps, channels) with steps")
    batch, length, width = tensor.shape
    return batch, length, width


def _named(turns: tuple[Tensor, ...], width: int) -> dict[str, tuple[Tensor, int]]:
    return {name: (tensor, width) for name, tensor in zip(("cos", "sin"), turns, strict=False)}


def _expect(**tensors: tuple[Any, ...]) -> None:
    """Kernels index without looking, and compute in float32: neither another shape nor float64 must reach them."""
    for name, (tensor, *shape) in tensors.items():
        if list(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(shape)}")
        if tensor.itemsize > 4:
            raise ValueError(f"{name} is {tensor.dtype}; the chunked scan computes in float32")
