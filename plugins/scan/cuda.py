"""The recurrences on a GPU: autograd around the Triton kernels of `cuda_kernels` and `cuda_gated_kernels`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import triton
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from . import cuda_gated_kernels as gated
from . import cuda_kernels as kernels
from .portable import SMALLEST

CHANNELS = 16
SHORT, LONG = 16, 64               # steps of a tile


def real_scan(decay: Tensor, x: Tensor, initial: Tensor, normalise: bool) -> Tensor:
    return _RealScan.apply(decay, x, initial, normalise)


def complex_scan(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor, normalise: bool,
) -> Tensor:
    return _ComplexScan.apply(decay, cos, sin, x, initial, normalise)


def gated_real_scan(packed: Tensor, bias: Tensor, delta: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    return _GatedScan.apply(gated.real_forward, gated.real_backward, packed, initial, bias, delta)


def gated_complex_scan(
    packed: Tensor, bias: Tensor, delta: Tensor, cos: Tensor, sin: Tensor, initial: Tensor,
) -> tuple[Tensor, Tensor]:
    return _GatedScan.apply(gated.complex_forward, gated.complex_backward, packed, initial, bias, delta, cos, sin)


def _launch(kernel, shape: Sequence[int], *arguments: Tensor, **constants: bool) -> None:
    """Run `kernel` over the batch and channels of `shape` (B, T, N), on the device of the first argument."""
    batch, length, width = shape
    with torch.cuda.device_of(arguments[0]):
        kernel[(batch, triton.cdiv(width, CHANNELS))](
            *arguments, length, width, SMALLEST=SMALLEST, TILE=SHORT if length <= SHORT else LONG, CHANNELS=CHANNELS,
            **constants,
        )


class _RealScan(Function):
    @staticmethod
    def forward(ctx, decay: Tensor, x: Tensor, initial: Tensor, normalise: bool) -> Tensor:
        decay, x, initial = decay.contiguous(), x.contiguous(), initial.contiguous()
        h = torch.empty_like(x)
        _launch(kernels.real_forward, decay.shape, decay, x, initial, h, NORMALISE=normalise)
        ctx.save_for_backward(decay, x if normalise else None, initial, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        decay, x, initial, h = ctx.saved_tensors
        d_decay, dx, d_initial = torch.empty_like(decay), torch.empty_like(h), torch.empty_like(initial)
        _launch(
            kernels.real_backward, decay.shape, decay, h if x is None else x, initial, h, grad.contiguous(),
            d_decay, dx, d_initial, NORMALISE=x is not None,
        )
        return d_decay, dx, d_initial, None


class _ComplexScan(Function):
    @staticmethod
    def forward(
        ctx, decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor, normalise: bool,
    ) -> Tensor:
        decay, cos, sin, x, initial = (tensor.contiguous() for tensor in (decay, cos, sin, x, initial))
        h = torch.empty_like(x)
        _launch(kernels.complex_forward, decay.shape, decay, cos, sin, x, initial, h, NORMALISE=normalise)
        ctx.save_for_backward(decay, cos, sin, x if normalise else None, initial, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        decay, cos, sin, x, initial, h = ctx.saved_tensors
        d_decay, dx, d_initial = torch.empty_like(decay), torch.empty_like(h), torch.empty_like(initial)
        d_rotation = decay.new_empty(2, decay.shape[0], decay.shape[2])
        _launch(
            kernels.complex_backward, decay.shape, decay, cos, sin, h if x is None else x, initial, h,
            grad.contiguous(), d_decay, dx, d_initial, *d_rotation, NORMALISE=x is not None,
        )
        d_cos, d_sin = d_rotation.sum(1)
        return d_decay, d_cos, d_sin, dx, d_initial, None


class _GatedScan(Function):
    """Real and complex alike: `per_channel` are the (N,) parameters, bias and delta, then cos and sin."""

    @staticmethod
    def forward(ctx, run: Callable, run_back: Callable, packed: Tensor, initial: Tensor, *per_channel: Tensor):
        packed, initial = packed.contiguous(), initial.contiguous()
        per_channel = tuple(tensor.contiguous() for tensor in per_channel)
        shape = (*packed.shape[:2], per_channel[0].numel())
        y = packed.new_empty(*shape[:2], initial.shape[1])
        keep = any(ctx.needs_input_grad)
        h = torch.empty_like(y, dtype=torch.float32) if keep else initial
        last = torch.empty_like(initial)
        _launch(run, shape, packed, *per_channel, initial, y, h, last, KEEP=keep)
        ctx.save_for_backward(packed, initial, h, *per_channel)
        ctx.run_back, ctx.shape = run_back, shape
        return y, last

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor, d_last: Tensor):
        packed, initial, h, *per_channel = ctx.saved_tensors
        d_packed, d_initial = torch.empty_like(packed), torch.empty_like(initial)
        sums = initial.new_empty(len(per_channel), ctx.shape[0], ctx.shape[2])
        _launch(
            ctx.run_back, ctx.shape, packed, *per_channel, initial, h, dy.contiguous(), d_last.contiguous(),
            d_packed, d_initial, *sums,
        )
        return None, None, d_packed, d_initial, *sums.sum(1)
