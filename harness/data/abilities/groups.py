"""Words in finite groups: the product of all elements so far is asked at every place. (no torch)

Specification: Merrill, Petty and Sabharwal 2024, The Illusion of State in State-Space Models. The word problem of A5
and of S5 is complete for NC1 (Barrington 1989), those of Z60 and of A4 x Z5 are in TC0. All have 60 elements but S5,
which has 120. A product is read from the left: of two permutations the first is applied first.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations, permutations

import numpy as np

from ...errors import UsageError
from .stream import Stream, Text

GROUPS = ("Z60", "A4xZ5", "A5", "S5")


@cache
def multiplication(group: str) -> np.ndarray:
    """The table of products, (n, n) int64; element 0 is the identity."""
    if group == "Z60":
        return _cyclic(60)
    if group == "A4xZ5":
        return _direct(_permuting(4, even=True), _cyclic(5))
    if group == "A5":
        return _permuting(5, even=True)
    if group == "S5":
        return _permuting(5, even=False)
    raise UsageError(f"group is one of {', '.join(GROUPS)}, not {group!r}")


def group_word(stream: Stream, *, group: str, length: int) -> Text:
    table = multiplication(group)
    inputs = stream.below(len(table), length)
    targets, product = np.empty(length, np.int64), 0
    for place, element in enumerate(inputs):
        targets[place] = product = table[product, element]
    return Text(inputs, targets)


def _cyclic(n: int) -> np.ndarray:
    return np.add.outer(np.arange(n), np.arange(n)) % n


def _permuting(points: int, even: bool) -> np.ndarray:
    """Permutations in lexicographic order, all or the even ones."""
    members = [p for p in permutations(range(points))
               if not even or sum(p[i] > p[j] for i, j in combinations(range(points), 2)) % 2 == 0]
    number = {p: i for i, p in enumerate(members)}
    return np.array([[number[tuple(second[i] for i in first)] for second in members] for first in members])


def _direct(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The direct product: element (a, b) is a len(second) + b."""
    n, m = len(first), len(second)
    table = first[:, None, :, None] * m + second[None, :, None, :]
    return np.asarray(table.reshape(n * m, n * m))
