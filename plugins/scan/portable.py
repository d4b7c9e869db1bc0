"""The recurrences in PyTorch alone: any device, any dtype, the fallback where no kernel is.

One `addcmul` a step over rows prepared outside the loop, real or complex alike, and a backward of its own: the adjoint
of a diagonal recurrence is the same recurrence run backwards, so autograd never sees the loop.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

SMALLEST = 1e-12                   # of 1 - a²: keeps the slope of its root finite at a = 1


def real_scan(decay: Tensor, x: Tensor, initial: Tensor, normalise: bool) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        if normalise:
            x = input_scale(decay) * x
        return _Scan.apply(decay, x, initial)


def complex_scan(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor, normalise: bool,
) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        u = _from_planes(x)
        if normalise:
            u = input_scale(decay) * u
        h = _Scan.apply(decay * torch.complex(cos, sin), u, _from_planes(initial))
        return torch.cat([h.real, h.imag], dim=-1)


def gated_real_scan(packed: Tensor, bias: Tensor, delta: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    decay, out, x = open_gates(packed, bias, delta)
    h = real_scan(decay, x, initial, False)
    return (out * h).to(packed.dtype), h[:, -1]


def gated_complex_scan(
    packed: Tensor, bias: Tensor, delta: Tensor, cos: Tensor, sin: Tensor, initial: Tensor,
) -> tuple[Tensor, Tensor]:
    decay, out, x = open_gates(packed, bias, delta)
    h = complex_scan(decay, cos, sin, x, initial, False)
    return (out * h).to(packed.dtype), h[:, -1]


def open_gates(packed: Tensor, bias: Tensor, delta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decay (B, T, N), output gate and scaled input, each as wide as the state (B, T, N or 2N), of a gated scan.

    1 - a is (1 - delta) + delta b with b = sigmoid(gate + bias), not a difference that cancels for long memories.
    """
    n = delta.numel()
    gate, out, x = packed.to(delta.dtype).split([n, n, packed.shape[-1] - 2 * n], dim=-1)
    b = torch.sigmoid(gate + bias)
    decay = delta * (1 - b)
    scale = (((1 - delta) + delta * b) * (1 + decay)).clamp(min=SMALLEST).sqrt()
    planes = x.shape[-1] // n
    return decay, F.silu(out).repeat(1, 1, planes), scale.repeat(1, 1, planes) * x


def input_scale(decay: Tensor) -> Tensor:
    """sqrt(1 - a²), by which the state keeps its input's variance; (1 - a)(1 + a) is exact to a rounding near 1."""
    return ((1 - decay) * (1 + decay)).clamp(min=SMALLEST).sqrt()


def _from_planes(x: Tensor) -> Tensor:
    return torch.complex(*x.chunk(2, dim=-1))


class _Scan(Function):
    """h_t = w_t h_{t-1} + u_t: w, u (B, T, N) real or complex, initial (B, N)."""

    @staticmethod
    def forward(ctx, weight: Tensor, u: Tensor, initial: Tensor) -> Tensor:
        h, state = torch.empty_like(u), initial
        for row, w_t, u_t in zip(h.unbind(1), weight.unbind(1), u.unbind(1), strict=True):
            state = torch.addcmul(u_t, w_t, state, out=row)
        ctx.save_for_backward(weight, h, initial)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        weight, h, initial = ctx.saved_tensors
        weight = weight.conj().resolve_conj()
        dh = torch.empty_like(grad, memory_format=torch.contiguous_format)
        rows, grads, weights = dh.unbind(1), grad.unbind(1), weight.unbind(1)
        carried = rows[-1].copy_(grads[-1])
        for t in range(len(rows) - 2, -1, -1):
            carried = torch.addcmul(grads[t], weights[t + 1], carried, out=rows[t])
        previous = torch.cat([initial.unsqueeze(1), h[:, :-1]], dim=1)
        return dh * previous.conj(), dh, weights[0] * carried
