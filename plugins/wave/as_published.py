"""The wave heads of seed 003 as they are written down there.

What differs from wave heads that are right:
- amplitude and phase are two functions of one number, sigmoid(x) and pi tanh(x): the phase tells nothing new;
- the amplitudes are divided by the norm of the whole tensor, so that every token depends on all others, later ones and
  other rows included, and scores shrink with the size of the batch until attention is uniform;
- chunks of 64 tokens are processed on their own, and nothing passes from one to the next;
- phase shift and frequency are parameters that the interference does not use.
A causal mask, which the text leaves out for all attention alike, is kept.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..interference import append, attention, wave
from .config import WaveConfig
from .heads import Heads

BLOCK = 64


class PublishedWaveHeads(Heads):
    def __init__(self, config: WaveConfig, heads: int):
        super().__init__(config, heads)
        self.block = config.chunk or BLOCK
        self.into = nn.Linear(config.dim, 2 * heads * self.head_dim, bias=False)     # queries and keys
        self.phase_shift = nn.Parameter(torch.randn(heads))
        self.frequency = nn.Parameter(torch.randn(heads))

    def forward(self, x: Tensor, v: Tensor, past: Any, start: int) -> tuple[Tensor, Any]:
        q, k = (self.state(part) for part in self.split(self.into(x)).chunk(2, dim=1))
        k, v = past = append(past, k, v)
        block, stop = self.block, start + x.shape[1]
        outputs = []
        for first, end in pairwise([start, *range(start + block - start % block, stop, block), stop]):
            seen = slice(first - first % block, end)
            outputs.append(attention(q[:, :, first - start:end - start], k[:, :, seen], v[:, :, seen]))
        return torch.cat(outputs, dim=2), past

    def state(self, x: Tensor) -> Tensor:
        """(B, H, T, d) -> planes (B, H, T, 2d)."""
        amplitude = x.float().sigmoid()
        return wave(amplitude / amplitude.norm(), math.pi * x.float().tanh()).to(x.dtype)
