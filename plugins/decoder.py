"""The shell that several models share: embedding, a row of blocks, norm and head, and how their weights start.

A model brings its own blocks, and replaces here only what is different about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from harness import LanguageModel

from .blocks import RMSNorm, SwiGLU, swiglu_hidden


class Decoder(LanguageModel):
    """Tokens -> embedding -> blocks -> norm -> head -> logits.

    `config` has dim, dropout and tied: whether the head shares the embedding's weights. A block takes x (B, T, D), what
    it carried over from the text before (None at the start) and the position of the first token; it returns x and what
    it carries on. Blocks whose interface is another come with a `forward` of the model's own.
    """

    blocks: Any                         # a ModuleList, whose blocks are of the model's own class

    def __init__(self, config: Any, vocab_size: int, blocks: Iterable[nn.Module]):
        """`blocks` is best a generator: weights are then drawn in the order in which they stand here."""
        super().__init__(config, vocab_size)
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(blocks)
        self.norm = RMSNorm(config.dim)
        self.head = nn.Linear(config.dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight
        self.initialise()

    def initialise(self) -> None:
        for name, module in self.blocks.named_modules():
            if isinstance(module, nn.Linear):
                self.initialise_linear(name, module)
        nn.init.normal_(self.head.weight, std=self.config.dim**-0.5)
        nn.init.normal_(self.embedding.weight, std=0.1 if self.config.tied else 1.0)

    def initialise_linear(self, name: str, linear: nn.Linear) -> None:
        """Weights normal with the standard deviation gain / sqrt(inputs), biases zero."""
        nn.init.normal_(linear.weight, std=self.gain(name) * linear.in_features**-0.5)
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)

    def gain(self, name: str) -> float:
        """Of the linear map at `name`, such as "0.mlp.down".

        Each block has two residual branches, which end in `out` and `down`: 1/sqrt(their number) keeps the size of the
        sum from growing with depth.
        """
        return 1 / math.sqrt(2 * len(self.blocks)) if name.endswith(("out", "down")) else 1.0

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        start = 0 if state is None else int(state["length"][0])
        pasts = [None] * len(self.blocks) if state is None else state["layers"]
        x = self.dropout(self.embedding(tokens))                                     # (B, T, D)
        after = []
        for block, past in zip(self.blocks, pasts, strict=True):
            x, past = block(x, past, start)
            after.append(past)
        length = torch.full((tokens.shape[0],), start + tokens.shape[1])
        return self.head(self.norm(x)), {"layers": after, "length": length}          # (B, T, V)


class AttentionBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); `attention` takes and returns what a block does."""

    def __init__(self, config: Any, attention: nn.Module):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim)
        self.attention = attention
        self.mlp_norm = RMSNorm(config.dim)
        self.mlp = SwiGLU(config.dim, config.hidden or swiglu_hidden(config.dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, past: Any, start: int) -> tuple[Tensor, Any]:
        y, past = self.attention(self.attention_norm(x), past, start)
        x = x + self.dropout(y)
        return x + self.dropout(self.mlp(self.mlp_norm(x))), past
