"""Slopes, fits and crossovers against costs whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.evidence.statistics import growth

LENGTHS = [256, 512, 1024, 2048, 4096, 8192]


def timings(law, generator=None, rounds: int = 7, noise: float = 0.03, lengths=LENGTHS) -> list[list[float]]:
    """`rounds` of law(T) with log-normal noise per length; exact without a generator."""
    return [[law(t) * (math.exp(generator.normal(0, noise)) if generator else 1.0) for _ in range(rounds)]
            for t in lengths]


def test_local_slopes_of_a_pure_power_are_its_exponent():
    slopes = growth.local_slopes(LENGTHS, timings(lambda t: 3e-6 * t**1.5))
    assert len(slopes) == len(LENGTHS) - 1
    for slope in slopes:
        assert (slope.value, slope.low, slope.high, slope.n) == (*[pytest.approx(1.5)] * 3, 7)


def test_local_slopes_show_the_growth_that_one_line_hides():
    lengths = [128, 256, 512, 1024, 2048, 4096, 8192]
    costs = timings(lambda t: 3e-3 + 2e-6 * t + 2e-9 * t**2, lengths=lengths)
    slopes = [slope.value for slope in growth.local_slopes(lengths, costs)]
    assert slopes == sorted(slopes)
    assert slopes[0] < 0.15
    assert slopes[-1] > 1.7
    assert growth.exponent(lengths, costs, window=7).value < 1.1 < growth.exponent(lengths, costs).value
    analytic = [math.log((3e-3 + 4e-6 * t + 8e-9 * t * t) / (3e-3 + 2e-6 * t + 2e-9 * t * t), 2) for t in lengths[:-1]]
    assert slopes == pytest.approx(analytic)


def test_exponent_covers():
    generator = np.random.default_rng(0)
    for rounds in (5, 10):
        found = [growth.exponent(LENGTHS, timings(lambda t: t**1.5, generator, rounds)) for _ in range(200)]
        assert 186 < sum(e.low <= 1.5 <= e.high for e in found) < 199


def test_too_few_rounds_give_no_interval():
    costs = timings(lambda t: t, rounds=4)
    assert growth.exponent(LENGTHS, costs).low is None
    assert growth.fit_power(LENGTHS, costs).p_low is None
    assert growth.crossover(LENGTHS, costs, timings(lambda t: 1e-3 * t * t, rounds=4)).low is None
    with pytest.raises(ValueError, match="two lengths"):
        growth.exponent([64], [[1.0]])
    with pytest.raises(ValueError, match="three lengths"):
        growth.fit_power([64, 128], [[1.0], [2.0]])


@pytest.mark.parametrize(("a", "b", "p"), [(3e-3, 2e-6, 1.2372), (0.0, 5e-6, 1.0), (1e-2, 1e-9, 2.0), (5.0, 1e-3, 0.5)])
def test_fit_recovers_the_law(a, b, p):
    fit = growth.fit_power(LENGTHS, timings(lambda t: a + b * t**p, rounds=1))
    assert fit.p == pytest.approx(p, abs=1e-3)
    assert fit.a == pytest.approx(a, rel=0.01, abs=1e-4)
    assert fit.a + fit.b * 3000**fit.p == pytest.approx(a + b * 3000**p, rel=1e-3)


def test_fit_of_a_constant_says_that_nothing_grows():
    fit = growth.fit_power(LENGTHS, timings(lambda t: 0.25))
    assert (fit.a, fit.b, fit.p, fit.p_low, fit.p_high) == (pytest.approx(0.25), 0, 0, 0, 0)


def test_fit_never_takes_a_negative_overhead():
    fit = growth.fit_power(LENGTHS, timings(lambda t: max(1e-9, -1e-4 + 1e-6 * t)))
    assert fit.a >= 0
    assert fit.b > 0


def test_fit_is_the_least_squares_optimum():
    costs = timings(lambda t: 3e-3 + 2e-6 * t**1.3, np.random.default_rng(1), noise=0.1)
    fit = growth.fit_power(LENGTHS, costs)
    y, t = np.median(costs, axis=1), np.array(LENGTHS, float)

    def error(a, b, p):
        return (((a + b * t**p) / y - 1) ** 2).sum()

    best = error(fit.a, fit.b, fit.p)
    for da, db, dp in [(0.02, 0, 0), (-0.02, 0, 0), (0, 0.02, 0), (0, -0.02, 0), (0, -0.2, 0.02), (0, 0.2, -0.02)]:
        assert error(fit.a * (1 + da), fit.b * (1 + db), fit.p + dp) > best


def test_fit_covers():
    generator = np.random.default_rng(2)
    fits = [growth.fit_power(LENGTHS, timings(lambda t: 3e-3 + 2e-6 * t**1.3, generator), resamples=200, seed=i)
            for i in range(80)]
    assert sum(f.p_low <= 1.3 <= f.p_high for f in fits) / 80 > 0.92
    assert sum(f.p_high - f.p_low for f in fits) / 80 < 0.1


def test_a_censored_length_bounds_the_fit_from_below_only():
    lengths, costs = LENGTHS[:4], timings(lambda t: 1e-2 + 1e-9 * t**2, lengths=LENGTHS[:4])
    free = growth.fit_power(lengths, costs)
    consistent = growth.fit_power(lengths, costs, censored={8192: 0.01})
    contradicting = growth.fit_power(lengths, costs, censored={8192: 10.0})
    assert (consistent.a, consistent.b, consistent.p) == pytest.approx((free.a, free.b, free.p), rel=0.02)
    assert contradicting.p > free.p + 0.3
    assert contradicting.a + contradicting.b * 8192**contradicting.p > 0.2


def test_fit_covers_beside_lengths_that_did_not_finish():
    """The true costs of 4096 and 8192 lie above the bounds: the exponent is covered as without them."""
    generator = np.random.default_rng(4)
    law, lengths = (lambda t: 3e-3 + 2e-6 * t**1.3), [128, 256, 512, 1024, 2048]
    fits = [growth.fit_power(lengths, timings(law, generator, lengths=lengths), {4096: 0.8 * law(4096), 8192: 0.03},
                             resamples=150, seed=i) for i in range(40)]
    assert sum(f.p_low <= 1.3 <= f.p_high for f in fits) / 40 > 0.87


# Crossover: linear 4 T against T^2 / 512 meet at 2048

def linear(t):
    return 4.0 * t


def quadratic(t):
    return t * t / 512


def test_crossover_is_interpolated_exactly_for_power_laws():
    found = growth.crossover([256, 700, 3000, 8192], *(timings(f, lengths=[256, 700, 3000, 8192])
                                                       for f in (linear, quadratic)))
    assert found.kind == "between"
    assert (found.length, found.low, found.high) == (*[pytest.approx(2048)] * 3,)


def test_crossover_covers():
    generator = np.random.default_rng(3)
    lengths = [300, 600, 1200, 2400, 4800]
    found = [growth.crossover(lengths, timings(linear, generator, lengths=lengths),
                              timings(quadratic, generator, lengths=lengths), seed=i) for i in range(200)]
    assert all(f.kind == "between" for f in found)
    assert sum(f.low <= 2048 <= f.high for f in found) / 200 > 0.93
    assert sum(f.high - f.low for f in found) / 200 < 400


def test_crossover_says_on_which_side_it_lies():
    short, long = [256, 512, 1024], [4096, 8192, 16384]
    beyond = growth.crossover(short, *(timings(f, lengths=short) for f in (linear, quadratic)))
    assert (beyond.length, beyond.low, beyond.high, beyond.kind) == (None, 1024, math.inf, "beyond the longest")
    below = growth.crossover(long, *(timings(f, lengths=long) for f in (linear, quadratic)))
    assert (below.length, below.low, below.high, below.kind) == (None, 0, 4096, "below the shortest")
    assert growth.crossover(long, *(timings(f, lengths=long) for f in (quadratic, linear))).kind == "none"
    same = timings(linear, np.random.default_rng(4))
    assert growth.crossover(LENGTHS, [[2 * t for t in rounds] for rounds in same], same).kind == "none"


def test_crossover_needs_a_lead_that_lasts():
    lengths = [1, 2, 4, 8]
    a, b = [[1.0], [1.0], [3.0], [1.0]], [[2.0], [2.0], [2.0], [2.0]]
    assert 4 < growth.crossover(lengths, a, b).length < 8


def test_a_length_that_only_one_side_fits_decides_and_widens_the_interval():
    lengths = [256, 512, 1024]
    a, b = timings(linear, lengths=lengths), timings(quadratic, lengths=lengths)
    found = growth.crossover(lengths, a, [*b[:2], []])
    assert (found.length, found.kind) == (1024, "between")
    assert found.low == pytest.approx(512, rel=0.02)
    assert found.high == pytest.approx(1024, rel=0.02)
    assert growth.crossover(lengths, [*a[:2], []], b).kind == "none"
    assert growth.crossover([*lengths, 2048], [*a, []], [*b, []]).kind == "beyond the longest"


def test_crossover_pairs_rounds():
    """Noise common to both sides of a round, however large, moves nothing."""
    generator = np.random.default_rng(5)
    shared = np.exp(generator.normal(0, 1, (len(LENGTHS), 7)))
    a = (shared * np.array(LENGTHS)[:, None] * 4).tolist()
    b = (shared * np.array(LENGTHS)[:, None] ** 2 / 512).tolist()
    found = growth.crossover(LENGTHS, a, b)
    assert (found.low, found.high) == (pytest.approx(2048), pytest.approx(2048))


def test_largest_fit_stops_at_the_first_failure():
    assert growth.largest_fit([1, 2, 4, 8], [True, True, False, True]).value == 2
    assert growth.largest_fit([1, 2, 4, 8], [True, True, False, True]).high == 4
    assert growth.largest_fit([1, 2], [True, True]).high is None
    assert growth.largest_fit([1, 2], [False, False]).value == 0


# Bent growth, and what the machine does between lengths

SHORT = [128, 256, 512, 1024]
V2 = {128: 2.1e-2, 256: 3.45e-2, 512: 8.85e-2, 1024: 0.395}                # seconds of a step of v2 as published


def test_where_a_constant_hides_growth_the_exponent_is_that_of_the_power_term():
    """Local slopes of 0.72, 1.36 and 2.16 have a straight slope of 1.76: the system is quadratic and more."""
    generator = np.random.default_rng(0)
    costs = timings(V2.__getitem__, generator, noise=0.02, lengths=SHORT)
    found, words = growth.growth_exponent(SHORT, costs)
    assert growth.exponent(SHORT, costs).value < 1.8 < 2.2 < found.low < found.value < 2.5
    assert words.startswith("p of a + b T^p, since local slopes rise from 0.")


def test_what_is_straight_keeps_its_slope_and_what_falls_its_end():
    generator = np.random.default_rng(1)
    straight, words = growth.growth_exponent(LENGTHS, timings(lambda t: 1e-6 * t**1.5, generator))
    assert straight.low < 1.5 < straight.high and words == "slope of T 2048-8192"
    costs = timings(lambda t: t**2 / (1 + t / 512), generator, lengths=LENGTHS)
    falling, words = growth.growth_exponent(LENGTHS, costs)
    assert falling == growth.local_slopes(LENGTHS, costs)[-1] and "fall" in words


def test_the_told_exponent_covers_though_a_constant_is_under_it():
    generator, held = np.random.default_rng(2), 0
    for _ in range(30):
        found, _ = growth.growth_exponent(SHORT, timings(lambda t: 2e-2 + 3.6e-7 * t**2, generator, lengths=SHORT))
        held += found.low <= 2 <= found.high
    assert held >= 27


def test_drift_between_lengths_lies_in_the_interval():
    """Where each length has a clock of its own, intervals of rounds alone are far too narrow."""
    generator = np.random.default_rng(3)
    held = dict.fromkeys((0.0, growth.DRIFT), 0)
    for _ in range(100):
        clocks = dict(zip(SHORT, np.exp(generator.normal(0, growth.DRIFT, len(SHORT))), strict=True))
        costs = timings(lambda t, clocks=clocks: t**1.5 * clocks[t], generator, lengths=SHORT)
        for drift in held:
            found = growth.exponent(SHORT, costs, drift=drift)
            held[drift] += found.low <= 1.5 <= found.high
    assert held[0.0] < 50 and held[growth.DRIFT] >= 89
