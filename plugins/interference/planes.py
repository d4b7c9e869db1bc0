"""Waves a e^{ip} as planes [a cos p | a sin p] in one array, forward and backward.

Beside attention this is little arithmetic, and written as cos, sin, two products and a concatenation yet half of its
time: all of it is memory touched for the first time. So the planes are the one array that is made, and on a CPU they
are filled in blocks that stay in its cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 1 << 15             # phases at a time on a CPU
TINY = 1e-30


def wave(amplitude: Tensor | None, phase: Tensor) -> Tensor:
    """(..., T, d) amplitudes, not negative, 1 where None, and phases in radians -> planes (..., T, 2d)."""
    return _Wave.apply(amplitude, phase)


class _Wave(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, amplitude: Tensor | None, phase: Tensor) -> Tensor:
        planes = phase.new_empty(*phase.shape[:-1], 2 * phase.shape[-1])
        for block in _blocks(phase):
            real, imag = planes[..., block, :].chunk(2, dim=-1)
            torch.cos(phase[..., block, :], out=real)
            torch.sin(phase[..., block, :], out=imag)
            if amplitude is not None:
                real *= amplitude[..., block, :]
                imag *= amplitude[..., block, :]
        ctx.save_for_backward(amplitude, planes)
        return planes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor]:
        amplitude, planes = ctx.saved_tensors
        (real, imag), (dreal, dimag) = planes.chunk(2, dim=-1), grad.chunk(2, dim=-1)
        dphase = (real * dimag).addcmul_(imag, dreal, value=-1)
        if amplitude is None:
            return None, dphase
        return (real * dreal).addcmul_(imag, dimag).div_(amplitude.clamp_min(TINY)), dphase


def _blocks(phase: Tensor) -> Iterator[slice]:
    """Stretches of the last axis but one."""
    length = phase.shape[-2]
    step = length if phase.is_cuda else max(1, BLOCK * length // max(1, phase.numel()))
    return (slice(start, start + step) for start in range(0, length, max(1, step)))
