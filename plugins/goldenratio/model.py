"""A pre-norm transformer whose tokens are phases: the score of two is the magnitude of their interference.

Notable:
- score = |sum_d exp(i(phase_q - phase_k))|, by two real GEMMs over [cos | sin], never a tensor of n x n x d;
- phases are a fixed linear pattern of the token, waves in multiples of phi, plus the position times a frequency, which
  falls by phi from channel to channel;
- learned are what the patterns are given and what is made of their scores: embedding, norms, values, MLP, and one
  temperature a head, as a sum of unit vectors has no scale of its own;
- the state is the keys' planes and the values; a few queries at a time, memory is linear in the length.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..blocks import gemm_flops, rotary_table, rotate
from ..decoder import AttentionBlock, Decoder
from ..interference import append, attention, positions, wave
from .config import GoldenRatioConfig
from .patterns import PHI, PI, E, frequencies, pattern, random_frequencies

SPREAD = 0.5                # radians, of the phases of a token of unit size; 1 and 2 learn less in the same bytes
CONSTANTS = {"queries": PHI, "keys": PI, "values": E, "out": PHI, "up": PI, "down": E}


class Attention(nn.Module):
    frequency: Tensor

    def __init__(self, config: GoldenRatioConfig):
        super().__init__()
        self.heads, self.head_dim, self.chunk = config.heads, config.head_dim, config.chunk
        self.plain = config.patterns == "plain"
        self.queries = nn.Linear(config.dim, config.dim, bias=False)                 # their phases, unless plain
        self.keys = nn.Linear(config.dim, config.dim, bias=False)
        self.values = nn.Linear(config.dim, config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)
        self.temperature = nn.Parameter(torch.zeros(config.heads, 1, 1))             # its logarithm
        drawn = random_frequencies if config.patterns == "random" else frequencies
        self.register_buffer("frequency", drawn(config.head_dim))

    def forward(self, x: Tensor, past: tuple[Tensor, ...] | None, start: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """x (B, T, D) at positions `start`.. and the layer's cache -> (B, T, D), the cache."""
        q, k, v = (self.split(project(x)) for project in (self.queries, self.keys, self.values))
        q, k = self.features(q, start), self.features(k, start)
        q = q * (self.temperature.exp() / math.sqrt(self.head_dim))
        k, v = past = append(past, k, v.contiguous())
        y = attention(q, k, v, "real") if self.plain else attention(q, k, v, "modulus", self.chunk)
        return self.out(y.transpose(1, 2).flatten(2)), past

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, d)."""
        return x.unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2)

    def features(self, x: Tensor, start: int) -> Tensor:
        """What scores are products of: planes (B, H, T, 2d), or plain vectors under rotary embedding (B, H, T, d)."""
        length = x.shape[2]
        if self.plain:
            return rotate(x, rotary_table(start, length, self.head_dim, device=x.device))
        return wave(None, SPREAD * x + positions(start, self.frequency, length))


class GoldenRatio(Decoder):
    config: GoldenRatioConfig

    def __init__(self, config: GoldenRatioConfig, vocab_size: int):
        super().__init__(
            config, vocab_size, (AttentionBlock(config, Attention(config)) for _ in range(config.layers)))

    def initialise(self) -> None:
        super().initialise()
        if self.config.as_published:
            for parameter in (*self.blocks.parameters(), *self.norm.parameters()):
                parameter.requires_grad_(False)

    def initialise_linear(self, name: str, linear: nn.Linear) -> None:
        """A map that is fixed gets its pattern, at the scale that random weights have, and does not learn."""
        layer, kind = int(name.partition(".")[0]), name.rpartition(".")[2]
        fixed = kind in self.config.fixed
        if fixed and self.config.patterns == "golden":
            rows, columns = linear.out_features, linear.in_features
            weight = pattern(rows, columns, CONSTANTS[kind], layer * columns)
            linear.weight = nn.Parameter(self.gain(name) * weight.to(linear.weight.device))
        else:
            super().initialise_linear(name, linear)
        linear.weight.requires_grad_(not fixed)

    def diagnostics(self) -> dict[str, float]:
        """The share of the weights between embedding and head that is learned."""
        body = [*self.blocks.parameters(), *self.norm.parameters()]
        return {"learned_share": sum(p.numel() for p in body if p.requires_grad) / sum(p.numel() for p in body)}

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations of one call, in GEMMs; attention counts the pairs that the causal mask leaves."""
        tokens, pairs = (1, seq_len + 1) if phase == "decode" else (seq_len, seq_len * (seq_len + 1) // 2)
        pair = 4 if self.config.patterns == "plain" else 10                          # of a channel
        attended = pairs * pair * self.config.layers * self.config.dim
        return (3 if phase == "train" else 1) * batch * (tokens * gemm_flops(self) + attended)
