"""Complex numbers as planes: n channels are a real tensor (..., 2n) laid out [re | im].

The layout decides the speed: a complex linear map is one real GEMM, a recurrence runs over contiguous channels, and
norms, gates and residuals are ordinary real operations. What keeps phase treats both planes of a channel alike.

With GEMMs in bfloat16 a layer is bound by the passes between them. The three operations that every layer repeats
therefore have backwards of their own, which write each gradient once and keep only what a GEMM keeps anyway.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..blocks import depthwise

EPSILON = 1e-6


def compute_dtype(x: Tensor) -> torch.dtype:
    """What a GEMM on x runs in: autocast's choice, or x's own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def fan_in(*shape: int, gain: float = 1.0) -> nn.Parameter:
    """A real weight (out, in) that maps unit variance to variance gain^2."""
    return nn.Parameter(torch.randn(shape) * gain * shape[-1] ** -0.5)


def complex_fan_in(out_features: int, in_features: int, gain: float = 1.0) -> nn.Parameter:
    """A complex weight (2, out, in), counted as 2 out in reals, that maps unit variance to variance gain^2."""
    return nn.Parameter(torch.randn(2, out_features, in_features) * gain * (2 * in_features) ** -0.5)


class _Matrix(Function):
    """The real form [rows; Wr -Wi; Wi Wr] of a complex matrix, in the dtype of the GEMM."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Tensor | None, dtype: torch.dtype) -> Tensor:
        _, size, width = weight.shape
        ctx.rows = 0 if rows is None else len(rows)
        matrix = torch.empty(ctx.rows + 2 * size, 2 * width, dtype=dtype, device=weight.device)
        if rows is not None:
            matrix[:ctx.rows] = rows
        blocks = matrix[ctx.rows:].view(2, size, 2, width)
        blocks[0, :, 0], blocks[1, :, 1] = weight[0], weight[0]
        blocks[1, :, 0] = weight[1]
        torch.neg(blocks[1, :, 0], out=blocks[0, :, 1])
        ctx.dtype = weight.dtype
        return matrix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, None]:
        blocks = grad[ctx.rows:].unflatten(0, (2, -1)).unflatten(-1, (2, -1))
        d_weight = torch.stack([blocks[0, :, 0] + blocks[1, :, 1], blocks[1, :, 0] - blocks[0, :, 1]])
        return d_weight.to(ctx.dtype), grad[:ctx.rows].to(ctx.dtype) if ctx.rows else None, None


class ComplexLinear(nn.Module):
    """W z for a complex W (2, out, in), below real `rows` (rows, 2 in) of z's planes, in one GEMM and without a bias.

    (..., T, 2 in) -> (..., T, rows + 2 out). `order` says where each real row stands, and may name one several times.
    Decoding would spend its time on building the real matrix, so for a single token without gradients it is kept until
    a longer text comes or a weight changes.
    """

    order: Tensor | None

    def __init__(self, in_features: int, out_features: int, gain: float = 1.0, rows: int = 0,
                 order: Tensor | None = None):
        super().__init__()
        self.weight = complex_fan_in(out_features, in_features, gain)
        self.rows = fan_in(rows, 2 * in_features) if rows else None
        self.register_buffer("order", order, persistent=False)
        self._kept: tuple[Any, Tensor] | None = None

    def forward(self, z: Tensor) -> Tensor:
        matrix = self.matrix(z)
        return F.linear(z.to(matrix.dtype), matrix)

    def matrix(self, z: Tensor) -> Tensor:
        """The real form (rows + 2 out, 2 in), in the dtype of the GEMM."""
        weight, rows, dtype = self.weight, self.rows, compute_dtype(z)
        if torch.is_grad_enabled() or z.shape[-2] > 1:
            self._kept = None
            return self.build(dtype)
        source = [(p.data_ptr(), p._version) for p in (weight, rows) if p is not None] + [dtype]
        if self._kept is None or self._kept[0] != source:
            self._kept = source, self.build(dtype)
        return self._kept[1]

    def build(self, dtype: torch.dtype) -> Tensor:
        """Anew, for gradients to pass through it."""
        rows: Tensor | None = self.rows
        if rows is not None and self.order is not None:
            rows = rows.index_select(0, self.order)
        return _Matrix.apply(self.weight, rows, dtype)

    @property
    def repeated(self) -> int:
        """Elements of the real rows that are there more than once."""
        return 0 if self.rows is None or self.order is None else (len(self.order) - len(self.rows)) * self.rows.shape[1]


def phase_norm(z: Tensor) -> Tensor:
    """z / rms(z) over the channels of a token, which keeps every phase, in the dtype of the GEMM that follows.

    It has no scale of its own: the map that follows would absorb it.
    """
    return _PhaseNorm.apply(z, compute_dtype(z))


class _PhaseNorm(Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, dtype: torch.dtype) -> Tensor:
        size = torch.linalg.vector_norm(z, dim=-1, keepdim=True, dtype=torch.promote_types(z.dtype, torch.float32))
        scale = torch.rsqrt(size * size / z.shape[-1] + EPSILON).to(dtype)
        y = z.to(dtype) * scale
        ctx.save_for_backward(y, scale)
        ctx.dtype = z.dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        y, scale = (saved.to(ctx.dtype) for saved in ctx.saved_tensors)
        grad = grad.to(ctx.dtype)
        along = (grad * y).mean(dim=-1, keepdim=True)
        return torch.addcmul(grad, y, along, value=-1).mul_(scale), None


def gate_planes(packed: Tensor) -> Tensor:
    """silu(g) z with one real gate for both planes of a channel: (..., 3n) = [g | z] -> (..., 2n)."""
    return _GatePlanes.apply(packed)


class _GatePlanes(Function):
    @staticmethod
    def forward(ctx: Any, packed: Tensor) -> Tensor:
        gate, re, im = packed.chunk(3, dim=-1)
        opened = F.silu(gate.contiguous())          # on rows that lie apart it takes five times as long
        y = packed.new_empty(*packed.shape[:-1], 2 * gate.shape[-1])
        y_re, y_im = y.chunk(2, dim=-1)
        torch.mul(opened, re, out=y_re)
        torch.mul(opened, im, out=y_im)
        ctx.save_for_backward(packed, opened)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        packed, opened = ctx.saved_tensors
        gate, re, im = packed.chunk(3, dim=-1)
        grad_re, grad_im = grad.chunk(2, dim=-1)
        d_packed = torch.empty_like(packed)
        d_gate, d_re, d_im = d_packed.chunk(3, dim=-1)
        torch.mul(grad_re, opened, out=d_re)
        torch.mul(grad_im, opened, out=d_im)
        along = torch.addcmul(grad_re * re, grad_im, im)
        d_gate.copy_(torch.ops.aten.silu_backward(along, gate.contiguous()))
        return d_packed


class GatedMLP(nn.Module):
    """down(silu(G z) * V z): a real gate per complex hidden channel, so that phase passes through."""

    def __init__(self, dim: int, hidden: int, gain: float = 1.0):
        super().__init__()
        self.up = ComplexLinear(dim, hidden, rows=hidden)
        self.down = ComplexLinear(hidden, dim, gain)

    def forward(self, z: Tensor) -> Tensor:
        return self.down(gate_planes(self.up(z)))


def convolve(z: Tensor, taps: Tensor, window: Tensor | None) -> tuple[Tensor, Tensor]:
    """Causal depthwise convolution over the last K tokens with real taps (n, K), the same for both planes of a channel.

    `window` (B, K - 1, 2n) is what came just before z (B, T, 2n), None (zeros) at the start -> y, the next window.
    """
    past = taps.shape[1] - 1
    before = z.new_zeros(z.shape[0], past, z.shape[2]) if window is None else window.to(z.dtype)
    seen = torch.cat([before, z], dim=1)
    return depthwise(seen, taps.repeat(2, 1).unsqueeze(1)), seen[:, seen.shape[1] - past:].clone()


def drop_channels(z: Tensor, rate: float, training: bool) -> Tensor:
    """Dropout of whole complex channels: one mask for both planes."""
    if not training or rate == 0:
        return z
    return z * F.dropout(z.new_ones(*z.shape[:-1], z.shape[-1] // 2), rate).repeat(1, 1, 2)


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Channel-wise complex product of planes."""
    a_re, a_im = a.chunk(2, dim=-1)
    b_re, b_im = b.chunk(2, dim=-1)
    return torch.cat([a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re], dim=-1)


def magnitude(z: Tensor, eps: float = 1e-8) -> Tensor:
    """|z| of every channel: (..., 2n) -> (..., n)."""
    re, im = z.chunk(2, dim=-1)
    return torch.sqrt(re * re + im * im + eps)


def unit(z: Tensor) -> Tensor:
    """z / |z| of every channel: its phase alone."""
    return (z.unflatten(-1, (2, -1)) / magnitude(z).unsqueeze(-2)).flatten(-2)


def cayley(half_tangent: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of 2 atan(t) without trigonometry: a rotation per channel."""
    square = half_tangent * half_tangent
    return (1 - square) / (1 + square), 2 * half_tangent / (1 + square)
