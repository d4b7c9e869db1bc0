"""The complex diagonal recurrence parallel over chunks of time, for a GPU: h_t = a_t R h_{t-1} + u_t, as one operator.

The kernels of `scan` walk along time with one program for each block of channels: of 4 rows and 512 channels that is
128 programs, fewer than a GPU has processors. Here chunks of time run side by side, in three passes: what each chunk
makes of a state (a weight and a sum), the state at the start of every chunk, and the states within. The inputs are read
twice, which is the price. Backward is the same over time reversed.

`torch.ops.qllm_harness.complex_scan` has a fake form, a derivative and composes with torch.compile. Needs Triton.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def chunked_complex_scan(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor | None = None, *, normalise: bool = False,
) -> tuple[Tensor, Tensor]:
    """h_t = a_t R h_{t-1} + u_t with u = x, or sqrt(1 - a²) x with `normalise`, and the last state.

    decay (B, T, N) and x (B, T, 2N), planes [re | im], in float32 or bfloat16; cos, sin (N,) and initial (B, 2N), zero
    where None, in float32 -> h (B, T, 2N) and state (B, 2N) in float32, whatever the inputs are: the state of one call
    is the exact `initial` of the next. Raises ValueError on a wrong shape, RuntimeError without Triton.
    """
    try:
        from .operator import complex_scan
    except ImportError:
        raise RuntimeError("the chunked scan needs Triton, which comes with PyTorch's CUDA builds") from None
    if decay.dim() != 3 or not decay.shape[1]:
        raise ValueError(f"decay has shape {tuple(decay.shape)}, not (batch, steps, channels) with steps")
    batch, length, width = decay.shape
    initial = x.new_zeros(batch, 2 * width) if initial is None else initial
    for name, tensor, shape in (
        ("cos", cos, (width,)), ("sin", sin, (width,)), ("x", x, (batch, length, 2 * width)),
        ("initial", initial, (batch, 2 * width)),
    ):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {shape}")
    h = complex_scan(decay, cos.float(), sin.float(), x, initial.float(), normalise)
    return h, h[:, -1]
