"""Titans of titans-pytorch: attention within segments, beside a memory that learns the text while it is read."""

from __future__ import annotations

import importlib

from torch import Tensor

from harness import TokenHistory

from .config import TitansConfig


class Titans(TokenHistory):
    """Memory as context, as the package's own example has it, smaller."""

    def __init__(self, config: TitansConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        package = importlib.import_module("titans_pytorch")
        self.inner = package.MemoryAsContextTransformer(
            num_tokens=vocab_size, dim=config.dim, depth=config.layers, segment_len=config.segment, heads=config.heads,
            dim_head=config.dim // config.heads, num_persist_mem_tokens=4, num_longterm_mem_tokens=4)

    def note(self) -> str:
        return "the text is read anew for every token; its memory's first weights are not learned"

    def logits(self, tokens: Tensor) -> Tensor:
        return self.inner(tokens)
