"""Batches: an endless shuffled stream to train on, and equal-shaped windows to score, each target once.

The order depends on the corpus, the tokenizer, the shape and the seed alone, so every model reads the same bytes in the
same order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..errors import UsageError
from .faithful import encode_documents
from .tokenizers import Tokenizer
from .windows import spans


class TrainStream:
    """Batches without end: an iterator over (inputs, targets, n_bytes), (B, T) int64 each, shifted by one token.

    An epoch shuffles the documents, joins them as BOS doc BOS doc …, cuts the stream into consecutive windows from a
    random offset, and shuffles the windows. A window may span documents; BOS tells. `n_bytes` counts the text bytes
    of the targets (BOS has none), so that budgets in bytes hold for any tokenizer.
    Raises UsageError where the corpus is shorter than one window.
    """

    def __init__(self, documents: Sequence[bytes], tokenizer: Tokenizer, seq_len: int, batch_size: int, seed: int = 0):
        if seq_len < 1 or batch_size < 1:
            raise UsageError(f"sequence length and batch size must be at least 1; they are {seq_len} and {batch_size}")
        self.seq_len, self.batch_size = seq_len, batch_size
        self._token_bytes = tokenizer.token_bytes
        bos = np.array([tokenizer.bos], np.int32)
        self._documents = [np.concatenate([bos, tokens])
                           for tokens in encode_documents(tokenizer, documents, "training")]
        self.n_tokens = sum(map(len, self._documents))
        if self.n_tokens < seq_len + 1:
            raise UsageError(f"the training text has {self.n_tokens} tokens with {tokenizer.name!r}, "
                             f"fewer than one window of {seq_len} + 1")
        self._random = random.Random(seed)
        self._windows = self._epochs()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor, int]:
        return self._batch([next(self._windows) for _ in range(self.batch_size)])

    def drawn(self, number: int) -> tuple[Tensor, Tensor, int]:
        """A batch of windows from anywhere in the text, which `number` alone decides."""
        draw, length = random.Random(number), self.seq_len + 1
        starts = [draw.randint(0, self.n_tokens - length) for _ in range(self.batch_size)]
        return self._batch([self._text[start:start + length] for start in starts])

    @cached_property
    def _text(self) -> np.ndarray:
        return np.concatenate(self._documents)

    def _batch(self, rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor, int]:
        windows = np.stack(rows).astype(np.int64)                                                       # (B, T + 1)
        inputs, targets = windows[:, :-1], windows[:, 1:]
        n_bytes = int(self._token_bytes[targets].sum())
        return torch.from_numpy(inputs.copy()), torch.from_numpy(targets.copy()), n_bytes

    def skip(self, batches: int) -> None:
        """Go on as if `batches` had been read."""
        for _ in range(batches * self.batch_size):
            next(self._windows)

    def _epochs(self) -> Iterator[np.ndarray]:
        while True:
            order = self._documents.copy()
            self._random.shuffle(order)
            stream = np.concatenate(order)
            offset = self._random.randrange(min(self.seq_len, len(stream) - self.seq_len))
            starts = list(range(offset, len(stream) - self.seq_len, self.seq_len))
            self._random.shuffle(starts)
            for start in starts:
                yield stream[start:start + self.seq_len + 1]


@dataclass(frozen=True)
class ScoreBatch:
    """Windows to score. Where `mask` is False (context or padding) a target does not count; padding is BOS.

    Rows that only fill the last batch up are masked throughout and name document 0.
    """

    inputs: Tensor                                                 # (B, T) int64
    targets: Tensor                                                # (B, T) int64
    mask: Tensor                                                   # (B, T) bool
    document: Tensor                                               # (B,) int64, index of the row's document


def score_batches(
    documents: Sequence[np.ndarray], bos: int, window: int, stride: int = 0, batch_size: int = 16,
) -> Iterator[ScoreBatch]:
    """Score every token of the tokenised `documents` once, by the protocol of `harness.data.windows`.

    All batches have one shape, (batch_size, window). Raises UsageError for a stride outside 1 … window.
    """
    rows = [(i, span) for i, tokens in enumerate(documents) for span in spans(len(tokens), window, stride)]
    prefixed = [np.concatenate([[bos], tokens]) for tokens in documents]
    for first in range(0, len(rows), batch_size):
        inputs = torch.full((batch_size, window), bos)
        targets = torch.full((batch_size, window), bos)
        mask = torch.zeros(batch_size, window, dtype=torch.bool)
        document = torch.zeros(batch_size, dtype=torch.int64)
        for row, (i, span) in enumerate(rows[first:first + batch_size]):
            tokens = torch.from_numpy(prefixed[i][span.start:span.stop + 1])
            n = span.stop - span.start
            inputs[row, :n], targets[row, :n] = tokens[:-1], tokens[1:]
            mask[row, span.scored - span.start:n] = True
            document[row] = i
        yield ScoreBatch(inputs, targets, mask, document)


def uniform_tokens(vocab_size: int, batch_size: int, seq_len: int, seed: int = 0) -> Tensor:
    """Random tokens for timing, (B, T) int64, the same for a seed on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(vocab_size, (batch_size, seq_len), generator=generator)
