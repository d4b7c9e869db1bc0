"""Rank distributions against enumeration of every case."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.evidence.statistics import ranks


@pytest.mark.parametrize("n", [1, 5, 6, 9, 12])
def test_signed_rank_matches_enumeration(n):
    sums = [sum(rank for rank, positive in enumerate(signs, 1) if positive)
            for signs in itertools.product((False, True), repeat=n)]
    expected = [sum(s <= k for s in sums) / len(sums) for k in range(n * (n + 1) // 2 + 1)]
    assert ranks.signed_rank(n) == pytest.approx(expected)
    depth = max((k for k in range(n * (n + 1) // 2) if sum(s < k for s in sums) / len(sums) <= 0.025), default=0)
    assert ranks.depth(ranks.signed_rank(n), 0.025) == depth


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5), (5, 2), (4, 6), (6, 6)])
def test_rank_sum_matches_enumeration(m, n):
    wins = [sum(a > b for a in first for b in set(range(m + n)) - set(first))
            for first in itertools.combinations(range(m + n), m)]
    expected = [sum(w <= k for w in wins) / len(wins) for k in range(m * n + 1)]
    assert ranks.rank_sum(m, n) == pytest.approx(expected)


def test_rank_sums_of_many_rounds_stay_exact():
    """Symmetric about the middle: P(U <= u) + P(U <= mn - 1 - u) = 1."""
    found = ranks.rank_sum(60, 45)
    assert found[-1] == pytest.approx(1, abs=1e-12)
    assert found[:-1] + found[-2::-1] == pytest.approx(1, abs=1e-12)


def test_pairs_count_the_ranks():
    """The number of positive Walsh averages is the rank sum; positive differences of pairs are wins."""
    values = np.array([0.3, -0.1, 0.7, 0.2, -0.5])
    order = np.argsort(np.argsort(np.abs(values))) + 1
    assert (ranks.walsh_averages(values) > 0).sum() == order[values > 0].sum()
    a, b = np.array([1.0, 4.0]), np.array([2.0, 3.0, 0.5])
    assert ranks.pair_differences(a, b).tolist() == [-2.0, -1.0, 0.5, 1.0, 2.0, 3.5]


def test_p_values_are_two_sided_and_zeros_count_against():
    cumulative = ranks.signed_rank(6)
    assert ranks.p_value(ranks.walsh_averages(np.arange(1.0, 7)), cumulative) == (2 / 64, True)
    assert ranks.p_value(ranks.walsh_averages(-np.arange(1.0, 7)), cumulative) == (2 / 64, True)
    assert ranks.p_value(ranks.walsh_averages(np.zeros(6)), cumulative) == (1.0, False)
