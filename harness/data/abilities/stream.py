"""The random numbers of one text, and what a text is. (no torch)

Philox (Salmon et al. 2011) is keyed by a hash of what is drawn and by the index of the text: any text can be made again
without those before it. Only its raw 64-bit words are used, which NumPy keeps from version to version, so texts are the
same for a seed on every machine.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np

IGNORED = -100                          # the target of a place that is not asked


class Text(NamedTuple):
    """Inputs and targets, (T,) int64 each; a target is what is to be answered at the place of its input."""

    inputs: np.ndarray
    targets: np.ndarray


class Stream:
    """Random numbers for the text `index` of a task's part, "train" or "test"; other parts and seeds share none."""

    def __init__(self, task: str, part: str, seed: int, index: int):
        self.task, self.part, self.seed = task, part, seed
        label = blake2b(f"{task} {part} {seed}".encode(), digest_size=8).digest()
        self._philox = np.random.Philox(key=np.array([int.from_bytes(label, "little"), index], np.uint64))

    def shared(self) -> Stream:
        """Numbers that every text of this task and seed draws alike, in both parts."""
        return Stream(self.task, "shared", self.seed, 0)

    def bits(self, n: int) -> np.ndarray:
        """(n,) uint64."""
        return self._philox.random_raw(n)

    def below(self, bound: int, n: int) -> np.ndarray:
        """(n,) int64, uniform on 0 … bound - 1 within bound / 2^64."""
        return (self.bits(n) % np.uint64(bound)).astype(np.int64)

    def one(self, least: int, most: int) -> int:
        """Uniform on least … most, both included."""
        return least + int(self.below(most - least + 1, 1)[0])

    def distinct(self, bound: int, n: int) -> np.ndarray:
        """n different numbers of 0 … bound - 1 in a random order, (n,) int64."""
        bits = self.bits(bound)
        least = np.argpartition(bits, n - 1)[:n]
        return least[np.argsort(bits[least], kind="stable")]

    def shares(self, n: int) -> np.ndarray:
        """(n,) float64, uniform on [0, 1) in steps of 2^-53."""
        return (self.bits(n) >> np.uint64(11)) * 2.0**-53

    def weighted(self, weights: np.ndarray, n: int) -> np.ndarray:
        """n distinct places, drawn one after the other in proportion to the weights of those that are left."""
        left, drawn = weights.astype(np.float64), np.empty(n, np.int64)
        for i, share in enumerate(self.shares(n)):
            sums = np.cumsum(left)
            drawn[i] = np.searchsorted(sums, share * sums[-1], side="right")
            left[drawn[i]] = 0.0
        return drawn


def asked(answers: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Targets: the answers (T,) where they are asked for, (T,) bool."""
    return np.where(where, answers, IGNORED)
