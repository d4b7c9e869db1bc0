"""The recurrences on a CPU: autograd around the numba kernels of `cpu_kernels`.

The kernels release the interpreter lock, so where PyTorch has several threads the batch, or for a small batch the
channels, are dealt to as many plain threads: no thread pool to outlive a fork or to be called from two threads at once.
Sums over time are kept per batch row and added at the end: the result does not depend on the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from . import cpu_gated_kernels as gated
from . import cpu_kernels as kernels

LANES = 16                         # float32 values of one AVX-512 register: channels are dealt in multiples of it
THREAD_WORK = 1 << 17              # elements below which a further thread costs more than it brings


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


def _array(tensor: Tensor):
    """The memory of a tensor, made contiguous; bfloat16 as int16."""
    tensor = tensor.detach().contiguous()
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _deal(kernel: Callable, shape: Sequence[int], *arguments) -> None:
    """Run `kernel(b0, b1, n0, n1, *arguments)` over all (B, N) of `shape` (B, T, N), in threads where it pays."""
    batch, length, channels = shape
    threads = min(torch.get_num_threads(), batch * length * channels // THREAD_WORK)
    if threads <= 1:
        return kernel(0, batch, 0, channels, *arguments)
    if batch >= threads:
        cuts = [batch * i // threads for i in range(threads + 1)]
        parts = [(low, high, 0, channels) for low, high in pairwise(cuts)]
    else:
        cuts = [channels * i // threads // LANES * LANES for i in range(threads)] + [channels]
        parts = [(0, batch, low, high) for low, high in pairwise(cuts)]
    workers = [threading.Thread(target=kernel, args=(*part, *arguments)) for part in parts[1:]]
    for worker in workers:
        worker.start()
    kernel(*parts[0], *arguments)
    for worker in workers:
        worker.join()
    return None


class _RealScan(Function):
    @staticmethod
    def forward(ctx, decay: Tensor, x: Tensor, initial: Tensor, normalise: bool) -> Tensor:
        h = torch.empty(x.shape)
        _deal(kernels.real_forward, x.shape, *map(_array, (decay, x, initial, h)), normalise)
        ctx.save_for_backward(decay, x if normalise else None, initial, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        decay, x, initial, h = ctx.saved_tensors
        d_decay, dx, d_initial = torch.empty(h.shape), torch.empty(h.shape), torch.zeros(initial.shape)
        _deal(
            kernels.real_backward, h.shape, *map(_array, (decay, grad if x is None else x, initial, h, grad)),
            *map(_array, (d_decay, dx, d_initial)), x is not None,
        )
        return d_decay, dx, d_initial, None


class _ComplexScan(Function):
    @staticmethod
    def forward(
        ctx, decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor, normalise: bool,
    ) -> Tensor:
        h = torch.empty(x.shape)
        _deal(
            kernels.complex_forward, decay.shape, *map(_array, (decay, cos, sin, x, initial, h)), normalise,
        )
        ctx.save_for_backward(decay, cos, sin, x if normalise else None, initial, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        decay, cos, sin, x, initial, h = ctx.saved_tensors
        d_decay, dx, d_initial = torch.empty(decay.shape), torch.empty(h.shape), torch.zeros(initial.shape)
        d_rotation = torch.zeros(2, decay.shape[0], decay.shape[2])
        _deal(
            kernels.complex_backward, decay.shape,
            *map(_array, (decay, cos, sin, grad if x is None else x, initial, h, grad)),
            *map(_array, (d_decay, dx, d_initial, d_rotation[0], d_rotation[1])), x is not None,
        )
        d_cos, d_sin = d_rotation.sum(1)
        return d_decay, d_cos, d_sin, dx, d_initial, None


class _GatedScan(Function):
    """Real and complex alike: `per_channel` are the (N,) parameters, bias and delta, then cos and sin."""

    @staticmethod
    def forward(ctx, run: Callable, run_back: Callable, packed: Tensor, initial: Tensor, *per_channel: Tensor):
        batch, length, _ = packed.shape
        state = initial.detach().clone(memory_format=torch.contiguous_format)
        y = packed.new_empty(batch, length, state.shape[1])
        chunks = -(-length // gated.CHUNK) if any(ctx.needs_input_grad) else 0
        saved = torch.empty(batch, chunks, state.shape[1])
        shape = (batch, length, per_channel[0].numel())
        _deal(run, shape, *map(_array, (packed, *per_channel, state, y, saved)))
        ctx.save_for_backward(packed, saved, *per_channel)
        ctx.run_back, ctx.shape = run_back, shape
        return y, state

    @staticmethod
    @once_differentiable
    def backward(ctx, dy: Tensor, d_state: Tensor):
        packed, saved, *per_channel = ctx.saved_tensors
        d_packed = torch.empty(packed.shape, dtype=packed.dtype)
        d_state = d_state.clone(memory_format=torch.contiguous_format)
        sums = torch.zeros(len(per_channel), ctx.shape[0], ctx.shape[2])
        _deal(
            ctx.run_back, ctx.shape, *map(_array, (packed, *per_channel, saved, dy, d_packed, d_state, *sums)),
        )
        return None, None, d_packed, d_state, *sums.sum(1)
