"""The gated scan as an operator of PyTorch: its kernels, what they give of shapes alone, and its derivative.

`channels` is bias and delta (2, N), or bias, delta, cos and sin (4, N) of a complex recurrence.
"""

import torch
from torch import Tensor

from ..scan.portable import SMALLEST
from . import carry, gated_kernels
from .carry import carried, chunks_of, grid_of, launch


def _constants(channels: Tensor) -> dict[str, float]:
    return {"SMALLEST": SMALLEST, "PLANES": channels.shape[0] // 2, "CHUNK": carry.CHUNK}


@torch.library.custom_op("qllm_harness::gated_scan", mutates_args=())
def gated_scan(packed: Tensor, channels: Tensor, initial: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y, the last state, and the states that enter the chunks, of which backward makes the others again."""
    packed, channels, initial = packed.contiguous(), channels.contiguous(), initial.contiguous()
    (batch, length, _), (numbers, width) = packed.shape, channels.shape
    grid, constants = grid_of(batch, length, width), _constants(channels)
    ends = initial.new_empty(batch, grid[0], numbers, width)
    launch(gated_kernels.ends_forward, grid, packed, channels, ends, length, width, **constants)
    starts, last = carried(ends, initial, False)
    y = packed.new_empty(batch, length, initial.shape[1])
    launch(gated_kernels.outputs, grid, packed, channels, starts, y, length, width, **constants)
    return y, last, starts


@gated_scan.register_fake
def _(packed, channels, initial):
    (batch, length, _), (numbers, width) = packed.shape, channels.shape
    return (packed.new_empty(batch, length, initial.shape[1]), initial.new_empty(initial.shape),
            initial.new_empty(batch, chunks_of(length), numbers // 2, width))


@torch.library.custom_op("qllm_harness::gated_scan_backward", mutates_args=())
def gated_scan_backward(
    packed: Tensor, channels: Tensor, starts: Tensor, dy: Tensor, d_last: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients into packed, channels and initial."""
    packed, channels, starts, dy, d_last = (
        tensor.contiguous() for tensor in (packed, channels, starts, dy, d_last))
    (batch, length, _), (numbers, width) = packed.shape, channels.shape
    grid, constants = grid_of(batch, length, width), _constants(channels)
    ends = starts.new_empty(batch, grid[0], numbers, width)
    launch(gated_kernels.ends_backward, grid, packed, channels, dy, ends, length, width, **constants)
    backward, _ = carried(ends, d_last, True)
    d_packed, d_initial, d_channels = torch.empty_like(packed), torch.empty_like(d_last), torch.empty_like(ends)
    launch(gated_kernels.gradients, grid, packed, channels, starts, dy, backward, d_packed, d_initial, d_channels,
           length, width, **constants)
    return d_packed, d_channels.sum((0, 1)), d_initial


@gated_scan_backward.register_fake
def _(packed, channels, starts, dy, d_last):
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format)
                 for tensor in (packed, channels, d_last))


def _keep(ctx, inputs, output) -> None:
    packed, channels, _ = inputs
    _, _, starts = output
    ctx.mark_non_differentiable(starts)
    ctx.save_for_backward(packed, channels, starts)


def _derive(ctx, dy: Tensor, d_last: Tensor, _):
    return gated_scan_backward(*ctx.saved_tensors, dy, d_last)


gated_scan.register_autograd(_derive, setup_context=_keep)
