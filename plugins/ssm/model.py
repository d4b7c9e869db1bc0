"""A plain state-space language model: the layout of the transformer with a recurrence in the place of attention.

Notable:
- h_t = a_t h_{t-1} + sqrt(1 - a_t^2) u_t per channel, the decay a_t = MAX_DECAY sigmoid(-gate) of the token;
- the decay's biases are set so that half-lives start log-uniform from one token to `longest`;
- the state read through a SiLU gate; a short convolution before the recurrence;
- the state of the model is one vector and one window per layer, whatever the length of the text.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..blocks import RMSNorm, ShortConv, SwiGLU, gemm_flops, swiglu_hidden
from ..decoder import Decoder
from ..scan import gated_real_scan
from .config import StateSpaceConfig

MAX_DECAY = 0.9999              # a half-life of 6931 tokens


class Recurrence(nn.Module):
    ceiling: Tensor

    def __init__(self, dim: int, state: int, longest: float):
        super().__init__()
        self.into = nn.Linear(dim, 3 * state)                   # decay gate, output gate, input
        self.out = nn.Linear(state, dim, bias=False)
        self.longest = longest
        self.register_buffer("ceiling", torch.full((state,), MAX_DECAY), persistent=False)

    def initialise_decay(self) -> None:
        """Half-life l means a = 2^(-1/l); log-uniform over the channels in [1, longest]."""
        with torch.no_grad():
            decay = 0.5 ** (1 / self.longest ** torch.linspace(0, 1, self.out.in_features))
            self.into.bias.zero_()
            self.into.bias[:self.out.in_features] = -torch.logit(decay / MAX_DECAY)

    def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B, N) -> (B, T, D), (B, N)."""
        y, h = gated_real_scan(self.into(x), self.ceiling, h)   # (B, T, N), (B, N)
        return self.out(y), h


class Block(nn.Module):
    def __init__(self, config: StateSpaceConfig):
        super().__init__()
        self.recurrence_norm = RMSNorm(config.dim)
        self.conv = ShortConv(config.dim, config.conv) if config.conv else None
        self.recurrence = Recurrence(config.dim, config.channels, config.longest)
        self.mlp_norm = RMSNorm(config.dim)
        self.mlp = SwiGLU(config.dim, config.hidden or swiglu_hidden(config.dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, h: Tensor | None, window: Tensor | None):
        y = self.recurrence_norm(x)
        if self.conv is not None:
            y, window = self.conv(y, window)
        y, h = self.recurrence(y, h)
        x = x + self.dropout(y)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x, (h, window)


class StateSpace(Decoder):
    def __init__(self, config: StateSpaceConfig, vocab_size: int):
        super().__init__(config, vocab_size, (Block(config) for _ in range(config.layers)))

    def initialise(self) -> None:
        super().initialise()
        for block in self.blocks:
            block.recurrence.initialise_decay()

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x = self.dropout(self.embedding(tokens))                # (B, T, D)
        after = []
        for block, past in zip(self.blocks, state or [(None, None)] * self.config.layers, strict=True):
            x, past = block(x, *past)
            after.append(past)
        return self.head(self.norm(x)), after

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations of one call; the recurrence takes 7 a channel: step, sqrt(1 - a^2), gate."""
        config, tokens = self.config, batch * (1 if phase == "decode" else seq_len)
        local = config.layers * (2 * config.conv * config.dim + 7 * config.channels)
        return (3 if phase == "train" else 1) * tokens * (gemm_flops(self) + local)
