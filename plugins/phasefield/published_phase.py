"""What all published parts are made of: weights drawn from N(0, 0.02), maps with biases, the norm that flips phases."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .phase import ComplexLinear, magnitude

BRANCH = 0.1                    # scale of every residual branch
TINY = 1e-8                     # added to what is divided by, and to squares under a root


def small(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape) * 0.02)


def small_linear(in_features: int, out_features: int) -> nn.Linear:
    linear = nn.Linear(in_features, out_features)
    nn.init.normal_(linear.weight, std=0.02)
    nn.init.zeros_(linear.bias)
    return linear


class BiasedComplexLinear(ComplexLinear):
    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features)
        self.weight = small(2, out_features, in_features)
        self.bias = nn.Parameter(torch.zeros(2 * out_features))

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(z, self.matrix(z), self.bias)


class FlippingNorm(nn.Module):
    """z / |z| * s * (|z| - mean) / std over channels: below-average magnitudes come out with the opposite phase."""

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, z: Tensor) -> Tensor:
        size = magnitude(z)
        scale = F.layer_norm(size, size.shape[-1:], self.weight, eps=1e-6) / size
        return scale_planes(z, scale)


def scale_planes(z: Tensor, scale: Tensor) -> Tensor:
    """Both planes of (..., 2n) times a real (..., n)."""
    return (z.unflatten(-1, (2, -1)) * scale.unsqueeze(-2)).flatten(-2)


def drop_real(z: Tensor, rate: float, training: bool) -> Tensor:
    """z (1 + Re z), where dropout acts on Re z alone."""
    real = z[..., :z.shape[-1] // 2]
    return scale_planes(z, 1 + F.dropout(real, rate, training))


def length(z: Tensor) -> Tensor:
    """(..., 2n) -> (...)."""
    return torch.sqrt(z.square().sum(dim=-1) + TINY)


def cosine(z: Tensor, others: Tensor) -> Tensor:
    """Of every one of (B, T, 2n) with every one of (N, 2n): (B, T, N)."""
    return F.linear(z, others) / (length(z).unsqueeze(-1) * length(others) + TINY)


def normed_map(dim: int) -> nn.Sequential:
    return nn.Sequential(FlippingNorm(dim), BiasedComplexLinear(dim, dim))
