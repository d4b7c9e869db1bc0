"""A corpus in memory, and what is known of a source whose entropy is known. (no torch)"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import UsageError
from .overlap import overlap

if TYPE_CHECKING:
    import numpy as np

    from .familiarity import Familiarity


class Source(Protocol):
    """What wrote a corpus, and the best that can be known about it."""

    entropy_bits_per_byte: float

    def sample(self, documents: int, generator: random.Random) -> list[bytes]:
        """`documents` texts of DOCUMENT_BYTES each, or a little less."""
        ...

    def log_loss(self, documents: Sequence[bytes], visible: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Bits of every byte of texts of this source, (n,) each, for whoever knows it and sees what a model sees.

        `visible` (n,) of each document is the index of the first byte in sight when a byte is predicted, and never
        falls (`harness.data.windows.first_visible_byte`).
        """
        ...


@dataclass(frozen=True)
class Documents:
    """A corpus in memory.

    `oracle` is its source where that is known, and gives the floor of the loss. `facts` are numbers that tell how it
    was made, such as the share that was left out, by name; `note` is what every row of a score on it has to tell.
    """

    name: str
    train: tuple[bytes, ...]
    heldout: tuple[bytes, ...]
    oracle: Source | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @cached_property
    def sha256(self) -> str:
        """Of every byte, the split and the document boundaries."""
        digest = hashlib.sha256()
        for part in (self.train, self.heldout):
            digest.update(len(part).to_bytes(8, "little"))
            for document in part:
                digest.update(len(document).to_bytes(8, "little") + document)
        return digest.hexdigest()

    @cached_property
    def overlap(self) -> float:
        """The share of the held-out bytes that also stand in training text."""
        return overlap(self.train, self.heldout)

    @cached_property
    def familiarity(self) -> Familiarity:
        from .familiarity import Familiarity

        return Familiarity(self.train)

    @cached_property
    def contamination(self) -> float:
        """The share of the held-out bytes in 13-grams of words that a training document has too."""
        return float(self.familiarity.seen(self.heldout).mean())

    def describe(self) -> dict[str, Any]:
        """Counts, sizes in bytes, digest, what training and held-out text have in common, facts of its making and,
        where it is known, the entropy in bits per byte."""
        return {
            "name": self.name,
            "train_documents": len(self.train), "train_bytes": sum(map(len, self.train)),
            "heldout_documents": len(self.heldout), "heldout_bytes": sum(map(len, self.heldout)),
            "sha256": self.sha256, "overlap_share": self.overlap, "seen_13grams_share": self.contamination,
            "entropy_bits_per_byte": self.oracle.entropy_bits_per_byte if self.oracle else None,
            **self.facts,
        }


def check_fold(fold: int, ways: int, corpus: str) -> None:
    """Raise UsageError unless `fold` is one of so many ways to hold out documents."""
    if not 0 <= fold < ways:
        raise UsageError(f"corpus {corpus} has folds 0 to {ways - 1}; there is no fold={fold}")
