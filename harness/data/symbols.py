"""Bare symbols: so many tokens that stand for no text, for tasks that are made of tokens. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UsageError


class Symbols:
    """Ids 0 … size - 1. The first is BOS, which no synthetic task puts before its texts."""

    name, bos = "symbols", 0

    def __init__(self, size: int):
        self.vocab_size = int(size)
        self.token_bytes = np.zeros(self.vocab_size, np.int64)

    def encode(self, text: bytes) -> np.ndarray:
        """Raises UsageError for any text."""
        if text:
            raise UsageError("symbols stand for no text; use --tokenizer bytes")
        return np.zeros(0, np.int32)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        return b""


def counted_symbols(documents: Sequence[bytes], *, size: int = 256) -> int:
    """How many symbols there are, whatever the text: in the place of what other tokenizers learn from it.

    Raises UsageError.
    """
    if size < 1:
        raise UsageError(f"a vocabulary of {size} symbols: one is the least")
    return size
