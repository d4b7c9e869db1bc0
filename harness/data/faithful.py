"""A tokenizer held to its identities: the score of a text is that of the whole text, byte for byte. (no torch)

Bits per byte divide by the bytes of the text. A tokenizer that drops or changes text, or counts more bytes than its
tokens stand for, makes every model look better: so each text that is encoded must come back from the table of its
tokens, which is read once, before any text is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import AuditFailed
from .tokenizers import Tokenizer, vocabulary

MOST = 1 << 22                          # ids of a vocabulary


class Faithful:
    """A tokenizer, `own`, whose every encoding is checked. Raises AuditFailed where its own table contradicts it."""

    def __init__(self, tokenizer: Tokenizer):
        self.own = tokenizer
        self.name, self.vocab_size, self.bos = tokenizer.name, tokenizer.vocab_size, tokenizer.bos
        if not 0 < self.vocab_size <= MOST:
            raise AuditFailed(f"tokenizer {self.name}: a vocabulary of {self.vocab_size} ids; {MOST:,} are the most")
        self.pieces = vocabulary(tokenizer)                         # the bytes of every token, b"" for specials
        self.token_bytes = np.array([*map(len, self.pieces)], np.int64)
        self._pieces = np.frombuffer(b"".join(self.pieces), np.uint8)
        self._starts = np.cumsum(self.token_bytes) - self.token_bytes
        declared = np.asarray(tokenizer.token_bytes)
        if declared.shape != self.token_bytes.shape:
            raise AuditFailed(f"tokenizer {self.name}: token_bytes is {declared.shape}, not ({self.vocab_size},)")
        if len(wrong := np.flatnonzero(declared != self.token_bytes)):
            token = int(wrong[0])
            raise AuditFailed(f"tokenizer {self.name}: token {token} stands for {self.token_bytes[token]} bytes "
                              f"({self.pieces[token]!r}), token_bytes says {declared[token]}")
        if not 0 <= self.bos < self.vocab_size or self.token_bytes[self.bos]:
            raise AuditFailed(f"tokenizer {self.name}: bos={self.bos} must be an id that stands for no bytes")

    def encode(self, text: bytes) -> np.ndarray:
        """(n,) int32. Raises AuditFailed where the tokens do not stand for the text."""
        tokens = np.asarray(self.own.encode(text))
        if tokens.ndim != 1 or (len(tokens) and not np.issubdtype(tokens.dtype, np.integer)):
            raise AuditFailed(f"tokenizer {self.name}: encode gives {tokens.dtype} of shape {tokens.shape}")
        if len(tokens) and not 0 <= tokens.min() <= tokens.max() < self.vocab_size:
            raise AuditFailed(f"tokenizer {self.name}: ids from {tokens.min()} to {tokens.max()} of {self.vocab_size}")
        found = self.decode(tokens)
        if found != text:
            at = next((i for i, pair in enumerate(zip(found, text, strict=False)) if pair[0] != pair[1]), len(found))
            raise AuditFailed(f"tokenizer {self.name}: the tokens of {len(text)} bytes stand for {len(found)} bytes, "
                              f"other ones from byte {at} on")
        return tokens.astype(np.int32)

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        ids = np.asarray(tokens, np.int64)
        sizes = self.token_bytes[ids]
        shift = self._starts[ids] - (np.cumsum(sizes) - sizes)      # from a place in the text to one in all pieces
        text: bytes = self._pieces[np.repeat(shift, sizes) + np.arange(sizes.sum())].tobytes()
        return text


def encode_documents(tokenizer: Tokenizer, documents: Iterable[bytes], kind: str) -> list[np.ndarray]:
    """The tokens of every document, (n,) int32 each. Raises AuditFailed naming the document of a `kind` of text."""
    encoded = []
    for number, document in enumerate(documents):
        try:
            encoded.append(tokenizer.encode(document))
        except AuditFailed as broken:
            raise AuditFailed(f"{kind} document {number}: {broken}") from None
    return encoded
