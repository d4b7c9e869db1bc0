"""Multi-scale phase coherence: how a token's phases stand to those of the windows that end at it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PhaseCoherence(nn.Module):
    """Phases p of each token against the mean wave m of its last 2, 4, … 2^scales tokens.

    z = e^{ip}; Re(z conj m) = |m| cos(p - arg m) is the coherence with a window, Im(z conj m) the lead over it. Before
    the text there are no waves. The windows look back only: the state holds the last 2^scales - 1 waves.
    """

    def __init__(self, dim: int, phases: int, scales: int):
        super().__init__()
        self.scales = scales
        self.phase = nn.Linear(dim, phases)
        self.out = nn.Linear(2 * scales * phases, dim, bias=False)

    def forward(self, x: Tensor, window: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, T, D), window (B, 2^scales - 1, 2P) -> (B, T, D), coherence (B, T, scales, P), the next window."""
        coherence, lead, window = self.measure(x, window)
        return self.out(torch.cat([coherence, lead], dim=-1).flatten(2)), coherence, window

    def measure(self, x: Tensor, window: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Coherence with the windows and lead over them, (B, T, scales, P) each, and the next window."""
        phase = self.phase(x).float()
        wave = torch.cat([phase.cos(), phase.sin()], dim=-1)                         # (B, T, 2P)
        past = 2**self.scales - 1
        if window is None:
            window = wave.new_zeros(wave.shape[0], past, wave.shape[2])
        seen = torch.cat([window, wave], dim=1)
        means = window_means(seen, self.scales, wave.shape[1])                       # (B, T, scales, 2P)
        (cos, sin), (mean_cos, mean_sin) = wave.unsqueeze(2).chunk(2, dim=-1), means.chunk(2, dim=-1)
        coherence = cos * mean_cos + sin * mean_sin
        lead = sin * mean_cos - cos * mean_sin
        return coherence, lead, seen[:, seen.shape[1] - past:].clone()


def window_means(seen: Tensor, scales: int, length: int) -> Tensor:
    """Means over the 2, 4, … 2^scales positions up to each of the last `length`: (B, S, C) -> (B, length, scales, C).

    A window is the sum of two of half its size, so every further scale costs one addition.
    """
    means, total = [], seen
    for scale in range(scales):
        total = total[:, 2**scale:] + total[:, :-2**scale]
        means.append(total[:, -length:] / 2 ** (scale + 1))
    return torch.stack(means, dim=2)
