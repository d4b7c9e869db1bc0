"""Variances are pooled where they are alike, and pooling does not cost coverage where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from harness.evidence.statistics import contrast
from harness.evidence.statistics.pooling import common_variance, equal_variances_p, pooled


def samples(generator, spreads, seeds=3):
    return [(float(generator.normal(0, spread, seeds).var(ddof=1)), seeds - 1.0) for spread in spreads]


def test_the_pooled_variance_has_the_degrees_of_all():
    assert pooled([(1.0, 2), (4.0, 4)]) == (3.0, 6)
    assert common_variance([]) == (None, False)
    assert common_variance([(2.0, 2.0)]) == ((2.0, 2.0), True)


@pytest.mark.parametrize("plugins", [2, 8])
def test_equal_variances_are_rejected_as_often_as_told(plugins):
    generator = np.random.default_rng(0)
    p = np.array([equal_variances_p(samples(generator, [1.0] * plugins)) for _ in range(600)])
    for level in (0.05, 0.25):
        assert np.mean(p <= level) == pytest.approx(level, abs=0.045)


def test_the_statistic_is_that_of_bartlett():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(1)
    groups = [generator.normal(0, spread, 30) for spread in (1.0, 1.2, 1.5)]
    assert equal_variances_p([(group.var(ddof=1), 29) for group in groups]) == pytest.approx(
        stats.bartlett(*groups).pvalue, abs=0.02)


def test_variances_that_differ_give_the_largest():
    parts = [(1e-4, 2.0), (1.0, 2.0), (1e-4, 2.0)]
    assert common_variance(parts) == ((1.0, 2.0), False)
    assert common_variance([(0.0, 2.0), (1.0, 2.0)]) == ((1.0, 2.0), False)


def test_one_seed_a_side_is_covered_with_what_the_others_tell():
    """And a difference between documents alone would be told three times as often as it may."""
    generator, hits, alone = np.random.default_rng(2), 0, 0
    for _ in range(600):
        difficulty = generator.normal(2, 0.3, 30)
        a, b = ((difficulty * (1 + generator.normal(0, 0.01)) + generator.normal(0, 0.02, 30))[None] for _ in range(2))
        known = common_variance(samples(generator, [0.01] * 5))[0]
        sizes = np.ones(30)
        found, bare = (contrast.by_document(a, b, sizes, of_seed=part).estimate() for part in (known, None))
        hits += found.low <= 1 <= found.high
        alone += bare.low <= 1 <= bare.high
    assert 0.93 < hits / 600 < 0.985
    assert alone / 600 < 0.8
