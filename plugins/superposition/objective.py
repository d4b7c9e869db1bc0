"""The terms of the energy-based objective, right and as published, and what is measured beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def phase_energy(coherence: Tensor) -> Tensor:
    """Mean of 1 - coherence, in [0, 2], over tokens, windows and channels.

    It is the energy of the XY model, - cos of the angle between neighbours, with the windows as neighbourhoods, and
    least where all phases agree.
    """
    return 1 - coherence.mean()


def concept_information(log_weight: Tensor) -> Tensor:
    """Nats that weights w (B, T, K) tell of their token: entropy of the mean w less the mean entropy, in [0, ln K].

    High where every concept is used and each token chooses few. `log_weight` is ln w.
    """
    weight = log_weight.exp()
    mean = weight.flatten(0, -2).mean(dim=0)
    return torch.special.entr(mean).sum() + (weight * log_weight).sum(dim=-1).mean()


def coupling_entropy(couplings: Sequence[Tensor]) -> float:
    """Mean entanglement entropy in nats of operators (..., K, V): that of their squared, normed singular values."""
    entropies = []
    for operator in couplings:
        squares = torch.linalg.svdvals(operator.float()).square()
        share = squares / squares.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        entropies.append(torch.special.entr(share).sum(dim=-1).mean())
    return torch.stack(entropies).mean().item()


def published_energy(phase: Tensor) -> Tensor:
    """Minus the coherence with the next token, the mean and a random order, minus the variance: phases (B, T, D)."""
    sample = phase[:, torch.randperm(phase.shape[1], device=phase.device)[:min(20, phase.shape[1] // 2)]]
    energy = -0.5 * torch.cos(phase - phase.mean(dim=1, keepdim=True)).mean()
    energy = energy - 0.2 * phase.var(dim=1, unbiased=False).mean()
    for weight, waves in ((1.0, phase), (0.3, sample)):
        if waves.shape[1] > 1:
            energy = energy - weight * torch.cos(waves.diff(dim=1)).mean()
    return energy


def published_coherence(phase: Tensor) -> Tensor:
    """Mean resultant lengths of differences (weight 0.5), of all phases (0.3) and of a sample of positions (0.2)."""
    def resultant(angles: Tensor) -> Tensor:
        if not angles.shape[1]:
            return angles.new_ones(())
        mean = torch.stack([angles.cos().mean(dim=(1, 2)), angles.sin().mean(dim=(1, 2))])
        return torch.linalg.vector_norm(mean, dim=0).mean()

    sample = torch.randperm(phase.shape[1], device=phase.device)[:min(50, phase.shape[1] // 2)]
    return 0.5 * resultant(phase.diff(dim=1).clamp(-math.pi, math.pi)) + 0.3 * resultant(phase) + 0.2 * resultant(
        phase[:, sample])


def published_concept_loss(x: Tensor) -> Tensor:
    """Smoothness in time (0.4), less the variance over the batch (0.3), plus the variance in time (0.3)."""
    if x.shape[1] < 2:
        return -0.3 * x.var(dim=(0, 1), unbiased=False).mean()
    smoothness = torch.linalg.vector_norm(x.diff(dim=1), dim=-1).mean()
    return 0.4 * smoothness - 0.3 * x.var(dim=(0, 1)).mean() + 0.3 * x.var(dim=1).mean()
