"""Exact distributions of rank sums, and the intervals and p-values of a shift that follow. (no torch, no SciPy)

One sample is told by its Walsh averages (the means of all pairs, signed rank), two samples by the differences of all
pairs (rank sum). Either way the shift is the median of these, its interval lies between two of them, and its p-value
is the chance of as few on one side of zero. Sources: Hodges and Lehmann 1963; Hollander, Wolfe and Chicken 2014,
chapters 3 and 4.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray


def walsh_averages(values: ndarray) -> ndarray:
    """The means of all pairs, each value with itself too, in order. (n,) -> (n (n + 1) / 2,)"""
    import numpy as np

    first, second = np.triu_indices(len(values))
    return np.sort((values[first] + values[second]) / 2)


def pair_differences(a: ndarray, b: ndarray) -> ndarray:
    """a_i - b_j of all pairs, in order. (m,), (n,) -> (m n,)"""
    import numpy as np

    return np.sort((a[:, None] - b[None, :]).ravel())


@cache
def signed_rank(n: int) -> ndarray:
    """P(W <= w) of the rank sum of the positive ones among `n` symmetric values. (n (n + 1) / 2 + 1,)"""
    import numpy as np

    chance = np.zeros(n * (n + 1) // 2 + 1)
    chance[0] = 1.0
    for rank in range(1, n + 1):
        chance[rank:] = (chance[rank:] + chance[:-rank]) / 2
        chance[:rank] /= 2
    return np.cumsum(chance)


@cache
def rank_sum(m: int, n: int) -> ndarray:
    """P(U <= u) of the pairs in which the first of two like samples is larger. (m n + 1,)

    The largest of all values is of either sample, in proportion to their sizes (Mann and Whitney 1947).
    """
    import numpy as np

    before = [np.ones(1)] * (n + 1)                         # of no value of the first sample, j of the second
    for i in range(1, m + 1):
        row = [np.ones(1)]
        for j in range(1, n + 1):
            chance = np.zeros(i * j + 1)
            chance[j:] += i / (i + j) * before[j]           # the largest is of the first: it wins j pairs
            chance[:-i] += j / (i + j) * row[j - 1]
            row.append(chance)
        before = row
    return np.cumsum(before[n])


def depth(cumulative: ndarray, tail: float) -> int:
    """How many pairs to cut off at each end: the largest k with P(fewer than k) <= tail, 0 where there is none."""
    import numpy as np

    return int(np.searchsorted(cumulative, tail * (1 + 1e-9), side="right"))


def p_value(pairs: ndarray, cumulative: ndarray) -> tuple[float, bool]:
    """Two-sided, and whether all pairs lie on one side: then no smaller p exists for so few values.

    A pair at zero counts against either side.
    """
    fewest = len(pairs) - max(int((pairs > 0).sum()), int((pairs < 0).sum()))
    return min(1.0, 2 * float(cumulative[fewest])), fewest == 0
