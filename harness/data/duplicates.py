"""Paragraphs that a corpus repeats are left out: of its held-out text, and from training what is nearly held out. (no
torch)

Paragraphs are what blank lines part, compared by their words (`harness.data.words`) alone, whatever their indentation,
line breaks, punctuation and capitals. Those of fewer than SHINGLE words stay. The rule:

1. Of paragraphs with the same words the first one stays, held-out text before training text.
2. A training paragraph is left out where more than NEAR of its shingles, runs of SHINGLE words, also stand in one
   paragraph or another of held-out text (containment, Broder 1997).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .words import Wanted, grams, hash_runs, words

SHINGLE, NEAR = 8, 0.5
BLANK_LINES = re.compile(rb"\n(?:[ \t]*\n)+")


@dataclass(frozen=True)
class _Paragraphs:
    """The paragraphs of documents: text, number of the document, number of words (p,), and all their words (w,)."""

    texts: list[bytes]
    document: np.ndarray
    lengths: np.ndarray
    hashes: np.ndarray

    @property
    def same(self) -> np.ndarray:
        """A hash of the words of each paragraph of SHINGLE and more, a number of its own for others, (p,) uint64."""
        found = np.arange(len(self.texts), dtype=np.uint64)
        found[self.lengths > 0] = hash_runs(self.hashes, self.lengths[self.lengths > 0])
        return np.where(self.lengths < SHINGLE, np.arange(len(self.texts), dtype=np.uint64), found)

    def shingles(self) -> tuple[np.ndarray, np.ndarray]:
        """Those that lie within one paragraph, (s,) uint64, and its number, (s,)."""
        paragraph = np.repeat(np.arange(len(self.texts)), self.lengths)
        found = grams(self.hashes, SHINGLE)
        whole = paragraph[:len(found)] == paragraph[SHINGLE - 1:]
        return found[whole], paragraph[:len(found)][whole]


def _paragraphs(documents: Sequence[bytes]) -> _Paragraphs:
    texts, document, lengths, hashes = list[bytes](), list[int](), list[np.ndarray](), list[np.ndarray]()
    for number, text in enumerate(documents):
        parts = BLANK_LINES.split(text)
        found = words(b"\n".join(parts))
        ends = np.cumsum([len(part) + 1 for part in parts])
        lengths.append(np.diff(np.searchsorted(found.start, ends), prepend=0))
        hashes.append(found.hashes)
        texts += parts
        document += [number] * len(parts)
    return _Paragraphs(texts, np.array(document), np.concatenate(lengths), np.concatenate(hashes))


@dataclass(frozen=True)
class Deduplicated:
    """Documents without what is repeated, none of them empty, and the bytes that were left out by each rule."""

    train: tuple[bytes, ...]
    heldout: tuple[bytes, ...]
    repeated_bytes: int
    near_bytes: int


def deduplicate(train: Sequence[bytes], heldout: Sequence[bytes]) -> Deduplicated:
    both = _paragraphs([*heldout, *train])
    sizes = np.array(list(map(len, both.texts)))
    first = np.zeros(len(both.texts), bool)
    first[np.unique(both.same, return_index=True)[1]] = True
    scored = both.document < len(heldout)
    shingles, paragraph = both.shingles()
    wanted = Wanted(shingles[scored[paragraph]])
    seen = np.bincount(paragraph[wanted.places(shingles)[0]], minlength=len(scored))
    near = ~scored & first & (seen > NEAR * np.bincount(paragraph, minlength=len(scored)))
    kept = [list[bytes]() for _ in range(len(heldout) + len(train))]
    for index in np.flatnonzero(first & ~near).tolist():
        kept[both.document[index]].append(both.texts[index])
    joined = [b"\n\n".join(parts) for parts in kept]
    return Deduplicated(
        tuple(filter(bytes.strip, joined[len(heldout):])), tuple(filter(bytes.strip, joined[:len(heldout)])),
        int(sizes[~first].sum()), int(sizes[near].sum()))
