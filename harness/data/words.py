"""The words of a text, as numbers that can be counted and compared by the million. (no torch)

A word is a longest run of letters, digits, underscores and bytes that are not ASCII, regardless of ASCII capitals;
whatever else there is stands between words. Two words, or two runs of words, are taken for the same where their 64-bit
hashes are: among ten million different ones a mistake has a chance of one in a hundred thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_INSIDE = np.frombuffer(bytes(bool(re.match(rb"[\w\x80-\xff]", bytes([byte]))) for byte in range(256)), np.uint8)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_FILTER_BITS = 22


@dataclass(frozen=True)
class Words:
    """Where the n words of a text begin and end, in bytes, (n,) int64 each, and their hashes, (n,) uint64."""

    start: np.ndarray
    stop: np.ndarray
    hashes: np.ndarray


def words(text: bytes) -> Words:
    inside = np.zeros(len(text) + 2, np.int8)
    inside[1:-1] = _INSIDE[np.frombuffer(text, np.uint8)]
    edges = np.diff(inside)
    start, stop = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(start):
        return Words(start, stop, np.zeros(0, np.uint64))
    letters = np.frombuffer(text.lower(), np.uint8)[inside[1:-1].view(bool)]
    return Words(start, stop, hash_runs(_LETTERS[letters], stop - start))


def hash_runs(items: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Of consecutive runs of `items` (n,) uint64, hashes each, of `lengths` (m,) that are at least 1: (m,) uint64."""
    first = np.concatenate([[0], np.cumsum(lengths[:-1])])
    powers = np.cumprod(np.full(int(lengths.max()), _FACTOR), dtype=np.uint64)
    place = np.arange(len(items)) - np.repeat(first, lengths)
    return _mixed(np.add.reduceat(items * powers[place], first))


def grams(hashes: np.ndarray, n: int) -> np.ndarray:
    """Hashes of every n words in a row, (words - n + 1,) uint64, none of fewer words."""
    count = max(0, len(hashes) - n + 1)
    found = np.zeros(count, np.uint64)
    for place in range(n):
        found = found * _FACTOR + hashes[place:place + count]
    return _mixed(found)


def _mixed(values: np.ndarray) -> np.ndarray:
    """A permutation of 64 bits in which each depends on all (the finaliser of MurmurHash3)."""
    mixed: np.ndarray = values ^ values >> np.uint64(33)
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> np.uint64(33)
    return mixed


_LETTERS = _mixed(np.arange(1, 257, dtype=np.uint64))


class Wanted:
    """Hashes to look for, and which of them were found so far. `of` says of each hash whether it is one of them."""

    def __init__(self, hashes: np.ndarray):
        self.hashes = np.unique(hashes)
        self.found = np.zeros(len(self.hashes), bool)
        self._likely = np.zeros(1 << _FILTER_BITS, bool)    # nearly all that is not wanted is told apart by this alone
        self._likely[self.hashes >> np.uint64(64 - _FILTER_BITS)] = True

    def places(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of `hashes` are wanted, and where each of those stands among the wanted ones: indices (m,) each."""
        likely = np.flatnonzero(self._likely[hashes >> np.uint64(64 - _FILTER_BITS)])
        at = np.minimum(np.searchsorted(self.hashes, hashes[likely]), len(self.hashes) - 1)
        same = self.hashes[at] == hashes[likely] if len(self.hashes) else np.zeros(0, bool)
        return likely[same], at[same]

    def look(self, texts: Iterable[np.ndarray]) -> np.ndarray:
        """Those of the wanted hashes that stand in `texts`, hashes (n,) each, in ascending order."""
        for hashes in texts:
            self.found[self.places(hashes)[1]] = True
        return self.hashes[self.found]
