"""The recurrent networks of PyTorch as language models, as one would first write them.

Notable:
- embedding, `layers` of GRU or LSTM in one module of PyTorch, a norm, a head that shares the embedding's weights;
- the embedding is taken times sqrt(D), as Vaswani et al. 2017 do with a shared table: inputs of size 1 reach into the
  curves of the gates, where an LSTM learns the parity of eight bits that it never learns from inputs of size D^-1/2;
- computed in float32 under any autocast: in bfloat16 the fused LSTM of a CPU has no backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness import LanguageModel

from .config import RecurrentConfig


class Recurrent(LanguageModel):
    """The state is what PyTorch calls hx, batch first: one (B, layers, D) a kind."""

    config: RecurrentConfig
    network: type[nn.GRU] | type[nn.LSTM]

    def __init__(self, config: RecurrentConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        self.embedding = nn.Embedding(vocab_size, config.dim)
        nn.init.normal_(self.embedding.weight, std=config.dim**-0.5)
        self.cells = self.network(config.dim, config.dim, config.layers, batch_first=True,
                                  dropout=config.dropout if config.layers > 1 else 0.0)
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        x = self.embedding(tokens) * self.config.dim**0.5                           # (B, T, D)
        given = None if state is None else [part.transpose(0, 1).contiguous() for part in state]
        with torch.autocast(x.device.type, enabled=False):
            y, after = self.cells(x.float(), self.as_hx(given))
        parts = after if isinstance(after, tuple) else (after,)
        return self.head(self.norm(y)), [part.transpose(0, 1) for part in parts]

    def as_hx(self, parts: list[Tensor] | None) -> Any:
        return None if parts is None else parts[0] if len(parts) == 1 else tuple(parts)


class GRU(Recurrent):
    network = nn.GRU


class LSTM(Recurrent):
    network = nn.LSTM
