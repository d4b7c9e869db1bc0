"""What a phase-field model may be asked beside the cross entropy; a term of weight 0 is not computed.

| term      | formula                                                          | least where                          |
|-----------|------------------------------------------------------------------|--------------------------------------|
| coherence | 1 - sum_n |sum_t conj(u_tn) u_(t+1)n| / sum_n sum_t |u_tn|^2     | every channel turns at a steady rate |
| diversity | mean over pairs of banks and tokens of (Re<a, b> / (|a| |b|))^2  | banks are orthogonal                 |
| energy    | mean over tokens of (rms(z_t) - 1)^2                             | every state has unit size            |

z is the state that the head reads, u = z / rms(z) less its mean over the text, per complex channel n.

Coherence is how well a channel's phase foretells itself: what counts is that it turns alike from each token to the
next, not by how much, so that no oscillator is asked to stand still, and a channel weighs as much as it varies.
Published, it is 1 - cos(z_t, z_(t+1)), which is least where all states are equal; here such states have neither
agreement nor variance and cost the whole 1. Energy moves a state along itself and coherence across, so neither undoes
the other. All are means over tokens, of any batch and length. They look across tokens in the loss alone: the function
that is trained is the one that is evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from .phase import phase_norm

EPSILON = 1e-6                          # variance of a channel, beside 1, that counts as none


def coherence(z: Tensor) -> Tensor:
    """(B, T, 2d) -> a scalar in [0, 1]: the part of the states' variance that does not turn steadily.

    Tokens that have nothing to do with each other give 1 less about 1 / sqrt(B T), which chance agrees.
    """
    x = phase_norm(z.to(torch.promote_types(z.dtype, torch.float32)))
    u = torch.complex(*(x - x.mean(dim=1, keepdim=True)).chunk(2, dim=-1))
    now, later = u[:, :-1], u[:, 1:]
    agreement = (now.conj() * later).sum(dim=(0, 1)).abs().sum()
    variance = (square(now) + square(later)).sum() / 2
    return 1 - agreement / (variance + EPSILON * u.numel())


def diversity(banks: Sequence[Tensor]) -> Tensor:
    """Two readings (B, T, 2d) or more -> a scalar in [0, 1]: 0 where they are orthogonal, 1 where they are parallel."""
    likeness = [torch.cosine_similarity(a, b, dim=-1) for a, b in combinations(banks, 2)]
    return torch.stack(likeness).square().mean()


def energy(z: Tensor) -> Tensor:
    """(B, T, 2d) -> a scalar: mean squared distance of the states' sizes from 1."""
    size = torch.linalg.vector_norm(z, dim=-1, dtype=torch.promote_types(z.dtype, torch.float32))
    return (size * z.shape[-1] ** -0.5 - 1).square().mean()


def square(z: Tensor) -> Tensor:
    """|z|^2 of complex numbers."""
    return z.real.square() + z.imag.square()


OF_THE_STATE = {"coherence": coherence, "energy": energy}
