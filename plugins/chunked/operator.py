"""The scan as an operator of PyTorch: its kernels, what they give of shapes alone, and its derivative.

`rotation` is cos and sin (2, N), or (0, N) of a real recurrence.
"""

import torch
from torch import Tensor

from ..scan.portable import SMALLEST
from . import carry, kernels
from .carry import carried, grid_of, launch


def _planes(rotation: Tensor) -> int:
    return 2 if rotation.shape[0] else 1


def _ends(grid: tuple[int, int, int], initial: Tensor, rotation: Tensor) -> Tensor:
    return initial.new_empty(grid[1], grid[0], 2 * _planes(rotation), rotation.shape[1])


@torch.library.custom_op("qllm_harness::diagonal_scan", mutates_args=())
def diagonal_scan(decay: Tensor, rotation: Tensor, x: Tensor, initial: Tensor, normalise: bool) -> Tensor:
    decay, rotation, x, initial = (tensor.contiguous() for tensor in (decay, rotation, x, initial))
    grid, (length, width) = grid_of(*decay.shape), decay.shape[1:]
    constants = {"NORMALISE": normalise, "SMALLEST": SMALLEST, "PLANES": _planes(rotation), "CHUNK": carry.CHUNK}
    ends = _ends(grid, initial, rotation)
    launch(kernels.ends_forward, grid, decay, rotation, x, ends, length, width, **constants)
    starts, _ = carried(ends, initial, False)
    h = torch.empty_like(x, dtype=torch.float32)
    launch(kernels.states_forward, grid, decay, rotation, x, starts, h, length, width, **constants)
    return h


@diagonal_scan.register_fake
def _(decay, rotation, x, initial, normalise):
    return torch.empty_like(x, dtype=torch.float32, memory_format=torch.contiguous_format)


@torch.library.custom_op("qllm_harness::diagonal_scan_backward", mutates_args=())
def diagonal_scan_backward(
    decay: Tensor, rotation: Tensor, x: Tensor, initial: Tensor, h: Tensor, grad: Tensor, normalise: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients into decay, rotation, x and initial."""
    decay, rotation, x, initial, h, grad = (
        tensor.contiguous() for tensor in (decay, rotation, x, initial, h, grad))
    grid, (length, width) = grid_of(*decay.shape), decay.shape[1:]
    constants = {"PLANES": _planes(rotation), "CHUNK": carry.CHUNK}
    ends = _ends(grid, initial, rotation)
    launch(kernels.ends_backward, grid, decay, rotation, grad, ends, length, width, **constants)
    starts, _ = carried(ends, torch.zeros_like(initial), True)
    d_decay, dx, d_initial = torch.empty_like(decay), torch.empty_like(x), torch.empty_like(initial)
    d_rotation = initial.new_empty(grid[1], grid[0], *rotation.shape)
    launch(kernels.gradients, grid, decay, rotation, x, initial, h, grad, starts, d_decay, dx, d_initial, d_rotation,
           length, width, NORMALISE=normalise, SMALLEST=SMALLEST, **constants)
    return d_decay, d_rotation.sum((0, 1)), dx, d_initial


@diagonal_scan_backward.register_fake
def _(decay, rotation, x, initial, h, grad, normalise):
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format)
                 for tensor in (decay, rotation, x, initial))


def _keep(ctx, inputs, output) -> None:
    *tensors, ctx.normalise = inputs
    ctx.save_for_backward(*tensors, output)


def _derive(ctx, grad: Tensor):
    return *diagonal_scan_backward(*ctx.saved_tensors, grad, ctx.normalise), None


diagonal_scan.register_autograd(_derive, setup_context=_keep)
