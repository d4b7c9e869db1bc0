"""What the phase-rotator transformer is named for: the rotator, as rotation and as published, and LoRA layers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import rotate


class PhaseRotator(nn.Module):
    """Turns channel i against channel i + dim / 2 by phi_i = pi tanh(theta_i), the same angle for every token.

    A rotation keeps the norm of x and acts as the identity at the start. As any fixed linear map it could be folded
    into the tables that x is read from, so it adds no function that an untied embedding does not have.
    """

    def __init__(self, phases: int):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(phases))

    @property
    def angles(self) -> Tensor:
        return math.pi * torch.tanh(self.theta)

    def forward(self, x: Tensor) -> Tensor:
        return rotate(x, (self.angles.cos(), self.angles.sin()))

    def coherence_loss(self) -> Tensor:
        """mean (theta_{i+1} - theta_i)^2 + 0.1 mean theta_i^2 of the published code: least where nothing is turned."""
        return self.theta.diff().square().mean() + 0.1 * self.theta.square().mean()


class PhaseGain(PhaseRotator):
    """The published rotator, x cos(phi) - x sin(phi) = sqrt(2) cos(phi + pi / 4) x: a gain per channel, no rotation."""

    @property
    def gain(self) -> Tensor:
        return self.angles.cos() - self.angles.sin()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain


class LoRALinear(nn.Linear):
    """W x + b + (alpha / rank) U V x (Hu et al. 2021), where W is trained too, as the published recipe does.

    The product starts at 0. Beside a trained W it adds parameters, no function; `merged` is the W that does the same.
    """

    def __init__(self, in_features: int, out_features: int, rank: int, alpha: float):
        super().__init__(in_features, out_features)
        self.rank, self.scale = rank, alpha / max(1, rank)
        if rank:
            self.down = nn.Parameter(torch.zeros(rank, in_features))
            self.up = nn.Parameter(torch.empty(out_features, rank))
            nn.init.kaiming_uniform_(self.up, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y + self.scale * F.linear(F.linear(x, self.down), self.up) if self.rank else y

    @property
    def merged(self) -> Tensor:
        return self.weight + self.scale * self.up @ self.down if self.rank else self.weight

    @property
    def flops(self) -> int:
        """Floating-point operations a token takes beside those of W."""
        return 2 * self.rank * (self.in_features + self.out_features)
