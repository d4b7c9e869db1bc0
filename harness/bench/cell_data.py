"""What a cell's model reads: its tokenizer, its corpus for training and for scoring, random tokens, synthetic tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..checkpoint import Checkpoint, open_checkpoint
from ..data.abilities.sizes import task_named
from ..data.batches import ScoreBatch, TrainStream, score_batches, uniform_tokens
from ..data.compressors import compressed_bits
from ..data.corpora import DEFAULT, load_documents
from ..data.documents import Documents
from ..data.faithful import Faithful, encode_documents
from ..data.tokenizers import Tokenizer, learn, make_tokenizer
from ..data.windows import first_visible_byte, limit_documents
from ..errors import HarnessError
from ..registry import Registry
from .cell_rows import CellRows
from .exercises import Exercises
from .recall import Recall

TOLD_OVERLAP = 0.05                         # share of held-out text in training text that rows tell


class CellData(CellRows):
    """Text and tokens; what others than the model make of the text, too."""

    registry: Registry

    @cached_property
    def tokenizer(self) -> Tokenizer:
        spec, _ = self.registry.tokenizer(self.cell.tokenizer or "bytes")
        return Faithful(make_tokenizer(spec, self.learned))

    @cached_property
    def learned(self) -> Any:
        """What the cell's tokenizer has learned, None for one that learns nothing."""
        spec, selector = self.registry.tokenizer(self.cell.tokenizer or "bytes")
        if not spec.learn:
            return None
        if self.checkpoint:
            return self.checkpoint.learned
        documents = self.documents if self.cell.corpus else load_documents(*self.registry.corpus(DEFAULT))
        return learn(spec, selector, documents.train)

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        return open_checkpoint(self.cell.checkpoint) if self.cell.checkpoint else None

    @cached_property
    def documents(self) -> Documents:
        spec, selector = self.registry.corpus(self.cell.corpus)
        documents = load_documents(spec, selector)
        self._facts |= {"corpus": documents.name, "corpus_sha256": documents.sha256}
        if documents.note:
            self._note(documents.note)
        if documents.overlap > TOLD_OVERLAP:
            self._note(f"{documents.overlap:.0%} of the held-out text also stands in the training text")
        if self.checkpoint and self.checkpoint.config.corpus_sha256 != documents.sha256:
            self._note("trained on another corpus, which may hold some of this text")
        return documents

    def heldout(self, max_bytes: int) -> list[bytes]:
        return limit_documents(self.documents.heldout, max_bytes)

    def stream(self, seed: int) -> TrainStream:
        return TrainStream(self.documents.train, self.tokenizer, self.cell.seq_len, self.cell.batch_size, seed)

    @cached_property
    def _texts(self) -> TrainStream:
        return self.stream(self.cell.seed)

    def batch(self, number: int | None = None) -> tuple[Tensor, Tensor]:
        inputs, targets, _ = next(self.stream(self.cell.seed)) if number is None else self._texts.drawn(number)
        return inputs.to(self.cell.device), targets.to(self.cell.device)

    def tokens(self, batch: int, seq_len: int, seed: int = 0) -> Tensor:
        return uniform_tokens(self.tokenizer.vocab_size, batch, seq_len, seed).to(self.cell.device)

    def _windows(self, documents: Sequence[bytes], window: int) -> Iterator[ScoreBatch]:
        """Held-out text in windows of the cell's length, or in other ones, about as many tokens at once."""
        cell, tokens = self.cell, encode_documents(self.tokenizer, documents, "held-out")
        if not window:
            return score_batches(tokens, self.tokenizer.bos, cell.seq_len, cell.get("stride", 0), cell.batch_size)
        rows = max(1, cell.batch_size * cell.seq_len // window)
        return score_batches(tokens, self.tokenizer.bos, window, batch_size=rows)

    def audit_sample(self, length: int) -> Tensor | None:
        """Tokens of the cell's corpus for an audit at a length, (N,) int64, BOS first; None without a corpus."""
        if not self.cell.corpus:
            return None
        tokens = self.tokenizer.encode(b"\n".join(self.documents.heldout)[: 16 * length + 4096])
        return torch.cat([torch.tensor([self.tokenizer.bos]), torch.from_numpy(tokens.copy()).long()])

    def compressed_bits(self, documents: Sequence[bytes]) -> dict[str, float]:
        return compressed_bits(self.documents.train, documents)

    def oracle_bits(self, documents: Sequence[bytes]) -> list[float]:
        """Bits of each document for whoever knows the corpus's source and sees the bytes that a window's tokens stand
        for. Raises HarnessError where the source is not known."""
        if self.documents.oracle is None:
            raise HarnessError(f"nobody knows the source of {self.documents.name}")
        lengths = [self.tokenizer.token_bytes[self.tokenizer.encode(document)] for document in documents]
        visible = [first_visible_byte(sizes, self.cell.seq_len, self.cell.get("stride", 0)) for sizes in lengths]
        return [float(bits.sum()) for bits in self.documents.oracle.log_loss(documents, visible)]

    @cached_property
    def recall(self) -> Recall:
        return Recall(self.cell.seq_len, self.cell.batch_size, self.cell.device)

    def exercises(self, task: str, size: str, length: int = 0) -> Exercises:
        return Exercises(task_named(task, size, length), self.cell.batch_size, self.cell.device)
