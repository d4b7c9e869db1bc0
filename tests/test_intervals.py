"""The statistics keep their promise: intervals cover at the nominal rate, ratios cancel drift, noise is not ranked."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evidence.statistics import intervals as stats
from harness.evidence.statistics.intervals import Estimate


def coverage(make, truth: float, trials: int) -> float:
    """The share of `trials` intervals of `make()` that hold the truth."""
    estimates = [make() for _ in range(trials)]
    return sum(e.low <= truth <= e.high for e in estimates) / trials


def rounds(generator, n: int, effect: float = 0.0, drift: float = 0.0, outliers: float = 0.0):
    """Interleaved timings of A and B: log-normal noise, a drift common to both, outliers on either side."""
    common = np.linspace(0, drift, n)

    def side(shift):
        hit = (generator.random(n) < outliers) * generator.exponential(1, n)
        return np.exp(shift + common + generator.normal(0, 0.03, n) + hit)

    return side(effect), side(0.0)


# One sample

@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 100))
def test_percentile_matches_numpy(values, q):
    assert stats.percentile(values, q) == pytest.approx(np.percentile(values, q), rel=1e-9, abs=1e-6)


def test_iqr_is_the_distance_of_the_quartiles():
    assert stats.iqr([5, 1, 2, 4, 3]) == 2


def test_median_interval_takes_the_order_statistics_of_the_binomial():
    values = list(range(1, 21))
    assert stats.median_interval(values) == Estimate(10.5, 6, 15, 20)        # Conover 1999, table A3: ranks 6 and 15
    assert stats.median_interval(range(6)) == Estimate(2.5, 0, 5, 6)
    assert stats.median_interval(range(5)) == Estimate(2, None, None, 5)     # min and max cover 93.75 %


def test_median_interval_covers_a_skewed_distribution():
    generator = np.random.default_rng(0)
    for n in (6, 11, 20):
        covered = coverage(lambda n=n: stats.median_interval(generator.exponential(1, n)), math.log(2), 1500)
        assert 0.94 < covered < 0.99


def test_mean_interval_covers_with_few_seeds_and_is_absent_for_one():
    generator = np.random.default_rng(1)
    for n in (2, 3, 5):
        assert 0.935 < coverage(lambda n=n: stats.mean_interval(generator.normal(2, 0.3, n).tolist()), 2, 1500) < 0.965
    assert stats.mean_interval([1.7]) == Estimate(1.7, None, None, 1)


# Timings

@pytest.mark.parametrize("n", [3, 5, 7, 10, 20])
@pytest.mark.parametrize("drift", [0.0, 0.5])
def test_paired_ratio_covers_with_and_without_drift(n, drift):
    generator = np.random.default_rng(2)
    covered = coverage(lambda: stats.paired_ratio(*rounds(generator, n, 0.1, drift)), math.exp(0.1), 1200)
    assert 0.93 < covered < 0.97


@pytest.mark.parametrize("n", [7, 10, 20])
def test_paired_ratio_covers_with_outlier_rounds(n):
    generator = np.random.default_rng(3)
    covered = coverage(lambda: stats.paired_ratio(*rounds(generator, n, 0.1, 0.3, outliers=0.1)), math.exp(0.1), 1200)
    assert 0.93 < covered < 0.975


def test_outlier_rounds_widen_the_ratio_less_than_they_widen_a_t_interval():
    generator = np.random.default_rng(3)
    pairs = [rounds(generator, 20, outliers=0.05) for _ in range(300)]
    ours = statistics.median(math.log(e.high / e.low) for e in (stats.paired_ratio(a, b) for a, b in pairs))
    student = statistics.median(e.high - e.low for e in (stats.mean_interval(np.log(a / b).tolist()) for a, b in pairs))
    assert ours < 0.5 * student


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_paired_ratio_cancels_what_both_sides_share_and_inverts_with_the_order(n, seed):
    generator = np.random.default_rng(seed)
    a, b = rounds(generator, n, 0.2)
    shared = np.exp(generator.normal(0, 2, n))
    one, same, inverse = stats.paired_ratio(a, b), stats.paired_ratio(a * shared, b * shared), stats.paired_ratio(b, a)
    assert (same.value, same.low, same.high) == pytest.approx((one.value, one.low, one.high))
    assert (1 / inverse.value, 1 / inverse.high, 1 / inverse.low) == pytest.approx((one.value, one.low, one.high))


def test_paired_ratio_of_one_round_has_no_interval():
    ratio = stats.paired_ratio([3.0], [2.0])
    assert (ratio.value, ratio.low, ratio.high, ratio.n) == (pytest.approx(1.5), None, None, 1)
    assert not stats.distinguishable(ratio)
    assert stats.noise_floor(([3.0], [2.0])) == math.inf


def test_noise_is_rarely_ranked_and_an_effect_of_twice_the_floor_mostly_is():
    generator = np.random.default_rng(4)
    false = found = 0
    for _ in range(800):
        base, control = rounds(generator, 12, drift=0.3)
        floor = stats.noise_floor((base, control))
        twin = rounds(generator, 12, drift=0.3)
        false += stats.distinguishable(stats.paired_ratio(*twin), floor)
        found += stats.distinguishable(stats.paired_ratio(twin[0] * floor**2, twin[1]), floor)
        assert floor >= 1
    assert false / 800 < 0.05
    assert found / 800 > 0.8


def test_distinguishable_needs_the_interval_and_the_floor():
    assert stats.distinguishable(Estimate(1.10, 1.05, 1.15, 10), 1.04)
    assert stats.distinguishable(Estimate(0.90, 0.85, 0.95, 10), 1.04)
    assert not stats.distinguishable(Estimate(1.03, 1.01, 1.05, 10), 1.04)
    assert not stats.distinguishable(Estimate(1.10, 0.99, 1.21, 10), 1.04)


def test_equivalence_is_shown_not_presumed():
    generator = np.random.default_rng(5)
    assert stats.equivalent(*rounds(generator, 15), margin=0.05)
    wide = np.exp(generator.normal(0, 0.5, 15)), np.exp(generator.normal(0, 0.5, 15))
    assert stats.paired_ratio(*wide).low < 1 < stats.paired_ratio(*wide).high
    assert not stats.equivalent(*wide, margin=0.05)
    at_the_margin = sum(stats.equivalent(*rounds(generator, 15, math.log(1.05)), margin=0.05) for _ in range(2000))
    assert 0.035 < at_the_margin / 2000 < 0.065


@pytest.mark.parametrize(("m", "n"), [(3, 5), (6, 11), (11, 11), (20, 15)])
def test_unpaired_ratio_covers_with_outlier_rounds(m, n):
    generator = np.random.default_rng(10)

    def once():
        return stats.unpaired_ratio(rounds(generator, m, 0.1, outliers=0.1)[0], rounds(generator, n, outliers=0.1)[1])

    assert 0.93 < coverage(once, math.exp(0.1), 1000) < 0.975


def test_unpaired_ratio_is_widened_by_the_noise_and_inverts_with_the_order():
    a, b = rounds(np.random.default_rng(11), 12, 0.2)
    plain, wide, inverse = (stats.unpaired_ratio(a, b), stats.unpaired_ratio(a, b, noise=1.1),
                            stats.unpaired_ratio(b, a, noise=1.1))
    assert (wide.value, wide.low, wide.high) == pytest.approx((plain.value, plain.low / 1.1, plain.high * 1.1))
    assert (1 / inverse.value, 1 / inverse.high, 1 / inverse.low) == pytest.approx((wide.value, wide.low, wide.high))
    assert stats.unpaired_ratio([3.0], [2.0]) == Estimate(pytest.approx(1.5), None, None, 1)


@pytest.mark.parametrize("noise", [1.0, 1.05])
def test_p_values_say_what_the_intervals_say(noise):
    generator = np.random.default_rng(12)
    for _ in range(200):
        a, b = rounds(generator, 9, generator.normal(0, 0.05))
        paired, unpaired = stats.paired_ratio(a, b), stats.unpaired_ratio(a, b, noise=noise)
        assert (stats.paired_p_value(a, b) <= 0.05) == (not paired.low <= 1 <= paired.high)
        assert (stats.unpaired_p_value(a, b, noise) <= 0.05) == (not unpaired.low <= 1 <= unpaired.high)


@pytest.mark.parametrize("n", [3, 6, 7, 11])
def test_p_values_of_identical_code_are_rarely_small(n):
    """Also at the levels of a family of many, below what ranks alone can reach."""
    generator = np.random.default_rng(13)
    pairs = [rounds(generator, n, outliers=0.05) for _ in range(1500)]
    for p_value in (stats.paired_p_value, stats.unpaired_p_value):
        found = np.array([p_value(a, b) for a, b in pairs])
        assert (found <= 0.05).mean() < 0.065
        assert (found <= 0.002).mean() < 0.006


def test_a_large_effect_in_few_rounds_survives_a_family_of_many():
    """Seven rounds that agree have a rank p-value of 1/64, however large the effect."""
    a, b = rounds(np.random.default_rng(14), 7, math.log(2))
    assert stats.paired_p_value(a, b) < 1e-4
    assert stats.paired_p_value([2.0] * 7, [1.0] * 7) == 0
    assert stats.paired_p_value([1.0] * 7, [1.0] * 7) == 1
    assert stats.paired_p_value([2.0], [1.0]) == stats.unpaired_p_value([2.0], [1.0]) == 1


def test_the_minimum_detectable_effect_is_found_four_times_in_five():
    generator = np.random.default_rng(15)
    found = 0
    for _ in range(600):
        a, b = rounds(generator, 15)
        effect = stats.minimum_detectable(stats.paired_ratio(a, b), 1.01)
        found += stats.distinguishable(stats.paired_ratio(rounds(generator, 15)[0] * effect, b), 1.01)
    assert 0.7 < found / 600 < 0.9
    assert stats.minimum_detectable(Estimate(1.0, 0.99, 1.01, 9), 1.2) > 1.2
    assert stats.minimum_detectable(Estimate(1.0, None, None, 1)) == math.inf


def test_holm_adjusts_in_place_and_keeps_the_family_error():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([]) == []
    generator = np.random.default_rng(6)
    families = generator.random((2000, 20))
    assert sum(min(stats.holm(family.tolist())) < 0.05 for family in families) / 2000 < 0.065
