"""Models of packages of one architecture each, as their authors' own language models are put together."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from harness import LanguageModel, TokenHistory

from .config import StackConfig


class MinGRU(LanguageModel):
    """minLM of minGRU-pytorch. The state is one (B, 1, D) a layer."""

    def __init__(self, config: StackConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        package = importlib.import_module("minGRU_pytorch.minLM")
        self.inner = package.minLM(num_tokens=vocab_size, dim=config.dim, depth=config.layers)

    def note(self) -> str:
        return "read token by token after a state: its package looks at the last token of a chunk alone"

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if state is None:
            logits, state = self.inner(tokens, return_prev_hiddens=True)
            return logits, state
        found = []
        for token in tokens.split(1, dim=1):
            logits, state = self.inner(token, return_prev_hiddens=True, prev_hiddens=state)
            found.append(logits)
        return torch.cat(found, dim=1), state


class ParallelMamba(TokenHistory):
    """Mamba of mambapy, whose parallel form gives no state."""

    def __init__(self, config: StackConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        package = importlib.import_module("mambapy.mamba")
        self.embedding = nn.Embedding(vocab_size, config.dim)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.inner = package.Mamba(package.MambaConfig(d_model=config.dim, n_layers=config.layers))
        self.norm, self.head = nn.RMSNorm(config.dim), nn.Linear(config.dim, vocab_size, bias=False)
        self.head.weight = self.embedding.weight

    def note(self) -> str:
        return "the text is read anew for every token: its parallel form gives no state"

    def logits(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.inner(self.embedding(tokens))))
