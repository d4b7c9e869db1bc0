"""Complex numbers as planes: n channels are a real tensor (..., 2n) laid out [re | im].

The layout decides the speed: a complex linear map is one real GEMM, a recurrence runs over contiguous channels, and
norms, gates and residuals are ordinary real operations. What keeps phase treats both planes of a channel alike.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def complex_matrix(weight: Tensor) -> Tensor:
    """The real form [[Wr, -Wi], [Wi, Wr]] of a complex matrix: (2, out, in) -> (2 out, 2 in)."""
    re, im = weight
    return torch.cat([torch.cat([re, -im], dim=1), torch.cat([im, re], dim=1)])


def fan_in(*shape: int, gain: float = 1.0) -> nn.Parameter:
    """A real weight (out, in) that maps unit variance to variance gain^2."""
    return nn.Parameter(torch.randn(shape) * gain * shape[-1] ** -0.5)


def complex_fan_in(out_features: int, in_features: int, gain: float = 1.0) -> nn.Parameter:
    """A complex weight (2, out, in), counted as 2 out in reals, that maps unit variance to variance gain^2."""
    return nn.Parameter(torch.randn(2, out_features, in_features) * gain * (2 * in_features) ** -0.5)


class ComplexLinear(nn.Module):
    """y = W z with a complex W and no bias: (..., 2 in) -> (..., 2 out)."""

    def __init__(self, in_features: int, out_features: int, gain: float = 1.0):
        super().__init__()
        self.weight = complex_fan_in(out_features, in_features, gain)

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(z, complex_matrix(self.weight))


def phase_norm(z: Tensor) -> Tensor:
    """z / rms(z) over the channels of a token, which keeps every phase.

    It has no scale of its own: the map that follows would absorb it.
    """
    return F.rms_norm(z, z.shape[-1:], eps=1e-6)


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


def gate_planes(gate: Tensor, z: Tensor) -> Tensor:
    """silu(gate) * z with one real gate for both planes of a channel: (..., n), (..., 2n) -> (..., 2n)."""
    return (F.silu(gate).unsqueeze(-2) * z.unflatten(-1, (2, -1))).flatten(-2)


def cayley(half_tangent: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of 2 atan(t) without trigonometry: a rotation per channel."""
    square = half_tangent * half_tangent
    return (1 - square) / (1 + square), 2 * half_tangent / (1 + square)


class GatedMLP(nn.Module):
    """down(silu(G z) * V z): a real gate per complex hidden channel, so that phase passes through."""

    def __init__(self, dim: int, hidden: int, gain: float = 1.0):
        super().__init__()
        self.gate = fan_in(hidden, 2 * dim)
        self.value = complex_fan_in(hidden, dim)
        self.down = ComplexLinear(hidden, dim, gain)

    def forward(self, z: Tensor) -> Tensor:
        gate, value = F.linear(z, torch.cat([self.gate, complex_matrix(self.value)])).tensor_split(
            [self.gate.shape[0]], dim=-1)
        return self.down(gate_planes(gate, value))
