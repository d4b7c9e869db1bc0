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
from typing import Any

import torch
from torch import Tensor, nn

from harness import LanguageModel

from ..blocks import RMSNorm, SwiGLU, gemm_flops, rotary_table, rotate, swiglu_hidden
from ..interference import append, attention, positions, wave
from .config import GoldenRatioConfig
from .patterns import PHI, PI, E, frequencies, pattern, random_frequencies

State = dict[str, Any]

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
        """What is multiplied to a score: planes (B, H, T, 2d), or plain vectors under rotary embedding (B, H, T, d)."""
        length = x.shape[2]
        if self.plain:
            return rotate(x, rotary_table(start, length, self.head_dim, device=x.device))
        return wave(None, SPREAD * x + positions(start, self.frequency, length))


class Block(nn.Module):
    def __init__(self, config: GoldenRatioConfig):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim)
        self.attention = Attention(config)
        self.mlp_norm = RMSNorm(config.dim)
        self.mlp = SwiGLU(config.dim, config.hidden or swiglu_hidden(config.dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, past: tuple[Tensor, ...] | None, start: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        y, past = self.attention(self.attention_norm(x), past, start)
        x = x + self.dropout(y)
        return x + self.dropout(self.mlp(self.mlp_norm(x))), past


class GoldenRatio(LanguageModel):
    config: GoldenRatioConfig

    def __init__(self, config: GoldenRatioConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight
        self.initialise()

    def initialise(self) -> None:
        """Fan-in scale everywhere; what is a pattern is fixed to it, at the same scale."""
        config = self.config
        for layer, block in enumerate(self.blocks):
            for path, linear in block.named_modules():
                if not isinstance(linear, nn.Linear):
                    continue
                name = path.rpartition(".")[2]
                gain = 1 / math.sqrt(2 * config.layers) if name in ("out", "down") else 1.0
                fixed = name in config.fixed
                if fixed and config.patterns == "golden":
                    rows, columns = linear.out_features, linear.in_features
                    weight = pattern(rows, columns, CONSTANTS[name], layer * columns)
                    linear.weight = nn.Parameter(gain * weight.to(linear.weight.device))
                else:
                    nn.init.normal_(linear.weight, std=gain * linear.in_features**-0.5)
                linear.weight.requires_grad_(not fixed)
        nn.init.normal_(self.head.weight, std=config.dim**-0.5)
        nn.init.normal_(self.embedding.weight, std=0.1 if config.tied else 1.0)
        if config.as_published:
            for parameter in (*self.blocks.parameters(), *self.norm.parameters()):
                parameter.requires_grad_(False)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        start = 0 if state is None else int(state["length"][0])
        pasts = [None] * self.config.layers if state is None else state["caches"]
        x = self.dropout(self.embedding(tokens))                                     # (B, T, D)
        caches = []
        for block, past in zip(self.blocks, pasts, strict=True):
            x, past = block(x, past, start)
            caches.append(past)
        length = torch.full((tokens.shape[0],), start + tokens.shape[1])
        return self.head(self.norm(x)), {"caches": caches, "length": length}         # (B, T, V)

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
