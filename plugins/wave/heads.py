"""The heads of the hybrid: wave heads, with a softmax or linear, and standard ones.

Each maps (B, T, D) and its share of the values to (B, H, T, d) and carries its own cache or state.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import rotary_table, rotate
from ..interference import append, attention, linear_attention, positions, wave
from .config import WaveConfig

CHUNK = 64                      # of the linear form, as published
ROTARY_BASE = 10_000.0
TINY = 1e-6                     # a norm of amplitudes; they can all vanish


class Heads(nn.Module):
    """Common to all: `heads` of them, and how a projection is dealt out to them."""

    def __init__(self, config: WaveConfig, heads: int):
        super().__init__()
        self.heads, self.head_dim, self.chunk = heads, config.head_dim, config.chunk

    def split(self, x: Tensor) -> Tensor:
        """(B, T, n H d) -> (B, n H, T, d)."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


class StandardHeads(Heads):
    """Scaled dot products under rotary embedding."""

    def __init__(self, config: WaveConfig, heads: int):
        super().__init__(config, heads)
        self.into = nn.Linear(config.dim, 2 * heads * self.head_dim, bias=False)

    def forward(self, x: Tensor, v: Tensor, past: Any, start: int) -> tuple[Tensor, Any]:
        q, k = self.split(self.into(x)).chunk(2, dim=1)
        table = rotary_table(start, x.shape[1], self.head_dim, device=x.device)
        q, k = rotate(q, table) / math.sqrt(self.head_dim), rotate(k, table)
        k, v = past = append(past, k, v)
        return attention(q, k, v, chunk=self.chunk), past


class WaveHeads(Heads):
    """Scores s sum_d a_q a_k cos(f (p_q - p_k) + w_d (t_q - t_k) + c), bounded and a wave of unit norm each.

    a = sigmoid(.) over its norm within token and head, p = pi tanh(.); a head learns its frequency f, its phase shift c
    and its sharpness s, without which no score of unit waves exceeds 1. The position is a phase like the others.
    """

    omega: Tensor

    def __init__(self, config: WaveConfig, heads: int):
        super().__init__(config, heads)
        width = heads * self.head_dim
        self.amplitudes = nn.Linear(config.dim, 2 * width)                           # of queries and keys
        self.phases = nn.Linear(config.dim, 2 * width, bias=False)
        self.frequency = nn.Parameter(torch.ones(heads, 1, 1))
        self.shift = nn.Parameter(torch.zeros(heads, 1, 1))
        omega = ROTARY_BASE ** (-torch.arange(self.head_dim, dtype=torch.float32) / self.head_dim)
        self.register_buffer("omega", omega, persistent=False)

    def waves(self, x: Tensor, start: int, sharpness: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Queries of norm `sharpness` (H, 1, 1), 1 where None, and keys of norm 1: (B, H, T, 2d) planes in float32."""
        amplitude = self.split(self.amplitudes(x)).float().sigmoid()                 # (B, 2H, T, d)
        norm = torch.ones_like(self.shift)
        norms = torch.cat([norm if sharpness is None else sharpness, norm])          # (2H, 1, 1)
        amplitude = amplitude * (norms / torch.linalg.vector_norm(amplitude, dim=-1, keepdim=True).clamp_min(TINY))
        turn, offset = math.pi * self.frequency.repeat(2, 1, 1), positions(start, self.omega, x.shape[1])
        offset = torch.cat([offset + self.shift, offset.expand(self.heads, -1, -1)])                # (2H, T, d)
        phase = torch.addcmul(offset, turn, self.split(self.phases(x)).tanh())
        q, k = wave(amplitude, phase).chunk(2, dim=1)
        return q, k


class SoftmaxWaveHeads(WaveHeads):
    """Wave heads whose scores go through a softmax; they carry planes and values."""

    def __init__(self, config: WaveConfig, heads: int):
        super().__init__(config, heads)
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), math.log(2 * self.head_dim) / 2))   # its logarithm

    def forward(self, x: Tensor, v: Tensor, past: Any, start: int) -> tuple[Tensor, Any]:
        q, k = self.waves(x, start, self.sharpness.exp())
        k, v = past = append(past, k.to(v.dtype), v)
        return attention(q.to(v.dtype), k, v, chunk=self.chunk), past


class LinearWaveHeads(WaveHeads):
    """Wave heads whose scores are the weights; they carry one (2d, d) matrix a head.

    The weights have no positive sum to be divided by. The result is brought to unit mean square instead, token by
    token and head by head, which bounds it whatever the weights and the length.
    """

    def forward(self, x: Tensor, v: Tensor, past: Any, start: int) -> tuple[Tensor, Any]:
        q, k = self.waves(x, start)
        y, state = linear_attention(q, k, v, past, self.chunk or CHUNK)
        return F.rms_norm(y.float(), (self.head_dim,), eps=1e-6).to(v.dtype), state
