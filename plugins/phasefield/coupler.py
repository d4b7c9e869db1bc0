"""The coupler: mixes the banks of a token with weights that its own content decides."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .config import PhaseFieldConfig
from .objectives import diversity
from .phase import ComplexLinear, phase_norm


class Coupler(nn.Module):
    """z + sum_k r_k W_k bank_k, with r the softmax of a router that reads every bank's content.

    The complex W_k hold each bank's own phase, so interference needs no further parameter. There is no term that acts
    in training only: the function scored is the function trained.
    """

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        count = len(config.banks)
        self.diversity = config.diversity_weight
        self.projections = nn.ModuleList(ComplexLinear(config.dim, config.dim) for _ in config.banks)
        self.router = nn.Linear(2 * config.dim * count, count) if count > 1 else None

    def forward(self, z: Tensor, banks: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(B, T, 2d) and as many of each bank -> (B, T, 2d), routing weights (B, T, K)."""
        banks = [phase_norm(bank) for bank in banks]
        projected = [project(bank) for project, bank in zip(self.projections, banks, strict=True)]
        if self.router is None:
            return z + projected[0], z.new_ones(*z.shape[:2], 1)
        routing = torch.softmax(self.router(torch.cat(banks, dim=-1)), dim=-1)
        mixed = sum(routing[..., k:k + 1] * bank for k, bank in enumerate(projected))
        return z + mixed, routing

    def loss(self, banks: list[Tensor]) -> Tensor:
        """How alike the readings of the banks are, times the weight of this loss."""
        return self.diversity * diversity(banks)


def routing_entropy(routing: Tensor) -> float:
    """Mean entropy of the routing over the entropy of uniform routing, in [0, 1]: (B, T, K), K > 1."""
    entropy = -(routing * routing.clamp_min(1e-12).log()).sum(dim=-1).mean()
    return float(entropy) / math.log(routing.shape[-1])
