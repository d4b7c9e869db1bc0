"""What of a text is familiar from training text: how frequent its words are there, and which stretches stand there.
(no torch)

Words are those of `harness.data.words`. The rank of a word is one more than the number of different words that are more
frequent. A byte is in a seen 13-gram where one that covers it, from its first word to its last, stands in a training
document (contamination as in Brown et al. 2020, appendix C).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from .words import Wanted, Words, grams, words

GRAM = 13
RANKS = (10, 100, 1000, 10_000)
RANKED = ("between_words", "word_unseen", "word_rank_1-10", "word_rank_11-100", "word_rank_101-1000",
          "word_rank_1001-10000", "word_rank_above_10000")
SEEN = ("unseen_13grams", "seen_13grams")


class Familiarity:
    """What training documents make familiar. Labels of texts are indices into RANKED or SEEN, (bytes of all texts,)."""

    def __init__(self, train: Sequence[bytes]):
        self._hashes = [words(document).hashes for document in train]

    @cached_property
    def _ranks(self) -> tuple[np.ndarray, np.ndarray]:
        """The different words in ascending order of their hashes, and the rank of each."""
        known, counts = np.unique(np.concatenate(self._hashes), return_counts=True)
        return known, len(counts) + 1 - np.searchsorted(np.sort(counts), counts, side="right")

    def ranks(self, texts: Sequence[bytes]) -> np.ndarray:
        known, ranks = self._ranks
        labels = [np.zeros(len(text), np.int8) for text in texts]
        for text, label in zip(texts, labels, strict=True):
            found = words(text)
            at = np.searchsorted(known, found.hashes)
            there = at < len(known)
            there[there] = known[at[there]] == found.hashes[there]
            bucket = np.ones(len(at), np.int8)
            bucket[there] = 2 + np.searchsorted(RANKS, ranks[at[there]])
            _paint(label, found.start, found.stop, bucket)
        return np.concatenate(labels)

    def seen(self, texts: Sequence[bytes]) -> np.ndarray:
        found = [words(text) for text in texts]
        held = [grams(one.hashes, GRAM) for one in found]
        wanted = Wanted(np.concatenate(held))
        wanted.look(grams(hashes, GRAM) for hashes in self._hashes)
        return np.concatenate([_covered(len(text), one, wanted.found[wanted.places(hashes)[1]])
                               for text, one, hashes in zip(texts, found, held, strict=True)])


def _paint(label: np.ndarray, start: np.ndarray, stop: np.ndarray, bucket: np.ndarray) -> None:
    """Give the bytes of each word its label."""
    lengths = stop - start
    first = np.concatenate([[0], np.cumsum(lengths[:-1])])
    label[np.repeat(start - first, lengths) + np.arange(lengths.sum())] = np.repeat(bucket, lengths)


def _covered(size: int, found: Words, seen: np.ndarray) -> np.ndarray:
    """Which of `size` bytes lie in a run of GRAM words that is seen, (size,) int8."""
    first = np.flatnonzero(seen)
    depth = np.zeros(size + 1, np.int64)
    np.add.at(depth, found.start[first], 1)
    np.add.at(depth, found.stop[first + GRAM - 1], -1)
    return (np.cumsum(depth[:size]) > 0).astype(np.int8)
