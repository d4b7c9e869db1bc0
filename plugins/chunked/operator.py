"""The scan as an operator of PyTorch: its kernels, what they give of shapes alone, and its derivative."""

import torch
import triton
from torch import Tensor

from ..scan.portable import SMALLEST
from . import kernels

CHUNK, CHANNELS = 64, 16


def _launch(kernel, grid: tuple[int, ...], *arguments, **constants) -> None:
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, CHANNELS=CHANNELS, **constants)


def _grid(decay: Tensor) -> tuple[int, int, int]:
    """Programs: of rows, chunks, blocks of channels."""
    batch, length, width = decay.shape
    return batch, triton.cdiv(length, CHUNK), triton.cdiv(width, CHANNELS)


def _starts(ends: Tensor, first: Tensor, backward: bool) -> Tensor:
    """The state that enters every chunk (B, C, 2, N), of what each makes of one (B, C, 4, N) and of the first."""
    batch, chunks, _, width = ends.shape
    starts = ends.new_empty(batch, chunks, 2, width)
    grid = (batch, triton.cdiv(width, CHANNELS))
    _launch(kernels.carry, grid, ends, first, starts, chunks, width, BACKWARD=backward)
    return starts


@torch.library.custom_op("qllm_harness::complex_scan", mutates_args=())
def complex_scan(decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor, normalise: bool) -> Tensor:
    decay, cos, sin, x, initial = (tensor.contiguous() for tensor in (decay, cos, sin, x, initial))
    grid, (length, width) = _grid(decay), decay.shape[1:]
    constants = {"NORMALISE": normalise, "SMALLEST": SMALLEST, "CHUNK": CHUNK}
    ends = initial.new_empty(grid[0], grid[1], 4, width)
    _launch(kernels.ends_forward, grid, decay, cos, sin, x, ends, length, width, **constants)
    h = torch.empty_like(x, dtype=torch.float32)
    _launch(kernels.states_forward, grid, decay, cos, sin, x, _starts(ends, initial, False), h, length, width,
            **constants)
    return h


@complex_scan.register_fake
def _(decay, cos, sin, x, initial, normalise):
    return torch.empty_like(x, dtype=torch.float32, memory_format=torch.contiguous_format)


@torch.library.custom_op("qllm_harness::complex_scan_backward", mutates_args=())
def complex_scan_backward(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor, h: Tensor, grad: Tensor, normalise: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients into decay, cos, sin, x and initial."""
    decay, cos, sin, x, initial, h, grad = (
        tensor.contiguous() for tensor in (decay, cos, sin, x, initial, h, grad))
    grid, (length, width) = _grid(decay), decay.shape[1:]
    ends = initial.new_empty(grid[0], grid[1], 4, width)
    _launch(kernels.ends_backward, grid, decay, cos, sin, grad, ends, length, width, CHUNK=CHUNK)
    d_decay, dx, d_initial = torch.empty_like(decay), torch.empty_like(x), torch.empty_like(initial)
    d_rotation = initial.new_empty(2, grid[0], grid[1], width)
    _launch(kernels.gradients, grid, decay, cos, sin, x, initial, h, grad,
            _starts(ends, torch.zeros_like(initial), True), d_decay, dx, d_initial, *d_rotation, length, width,
            NORMALISE=normalise, SMALLEST=SMALLEST, CHUNK=CHUNK)
    return d_decay, d_rotation[0].sum((0, 1)), d_rotation[1].sum((0, 1)), dx, d_initial


@complex_scan_backward.register_fake
def _(decay, cos, sin, x, initial, h, grad, normalise):
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format)
                 for tensor in (decay, cos, sin, x, initial))


def _keep(ctx, inputs, output) -> None:
    *tensors, ctx.normalise = inputs
    ctx.save_for_backward(*tensors, output)


def _derive(ctx, grad: Tensor):
    return *complex_scan_backward(*ctx.saved_tensors, grad, ctx.normalise), None


complex_scan.register_autograd(_derive, setup_context=_keep)
