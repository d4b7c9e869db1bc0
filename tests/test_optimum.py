"""The optimum of a known loss is found to the last digit; its interval covers the truth as often as it says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.search import search
from harness.bench.train import TrainResult
from harness.evidence.statistics.optimum import lowest, optimum


def measured(loss, octaves, seeds=1, choice=""):
    """Trials of loss(octaves, seed) at rates 2^octaves."""
    return [(choice, 2.0**x, seed, loss(x, seed)) for x in octaves for seed in range(seeds)]


def parabola(at, curvature=0.1, height=3.0):
    return lambda x, seed=0: height + curvature * (x - at) ** 2


@pytest.mark.parametrize("at", [-7.4, -7.0, -6.6])
def test_the_vertex_of_a_parabola_is_exact(at):
    found = optimum(measured(parabola(at), range(-9, -4)))
    assert (math.log2(found.lr), found.loss) == pytest.approx((at, 3.0))
    assert (found.low, found.high, found.edge) == (None, None, "")      # nothing repeats


def test_the_window_is_where_the_parabola_has_lost_one_percent():
    found = optimum(measured(parabola(-7.2), range(-10, -3)))
    assert found.window == pytest.approx(2 * math.sqrt(0.01 * 3 / 0.1)) and not found.open


def test_a_wide_window_goes_along_straight_lines_and_says_where_it_is_cut_off():
    heights = {-9: 3.2, -8: 3.01, -7: 3.0, -6: 3.005, -5: 3.02}
    found = optimum(measured(lambda x, seed: heights[x], heights))
    bottom = found.loss
    left = -8 - (1.01 * bottom - 3.01) / (3.2 - 3.01)
    assert found.open and found.window == pytest.approx(-5 - left)


def test_seeds_are_taken_out_and_an_exact_fit_has_an_exact_interval():
    """What a seed adds to all rates alike moves nothing, though one rate has not seen it."""
    trials = measured(lambda x, seed: parabola(-7.3)(x) + 0.5 * seed, range(-9, -5), seeds=2)
    found = optimum([trial for trial in trials if trial[1:3] != (2.0**-9, 1)])
    assert found.lr == pytest.approx(2.0**-7.3)
    assert (found.low, found.high) == (pytest.approx(found.lr), pytest.approx(found.lr))


@pytest.mark.parametrize(("at", "edge"), [(-12, "lowest"), (-3, "highest")])
def test_an_optimum_at_the_edge_says_so(at, edge):
    found = optimum(measured(parabola(at), range(-9, -4), seeds=2))
    assert found.edge == edge and edge in found.note and found.open
    assert found.lr == 2.0 ** (-9 if edge == "lowest" else -5) and found.low is None


def test_a_parabola_below_zero_is_no_optimum():
    """Losses of a task that is solved at one rate and not at the next."""
    heights = {-8: 0.04, -7: 0.002, -6: 2.1}
    assert lowest(list(heights.items()))[1] < -0.2
    found = optimum(measured(lambda x, seed: heights[x], heights))
    assert (found.lr, found.loss, found.low, found.edge) == (2.0**-7, 0.002, None, "")
    assert found.window == pytest.approx(0.01 * 0.002 * (1 / (0.04 - 0.002) + 1 / (2.1 - 0.002)))


@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), st.integers(1, 2))
def test_whatever_the_losses_the_optimum_is_among_the_rates(heights, seeds):
    trials = measured(lambda x, seed: heights[x] + 0.01 * seed * x, range(len(heights)), seeds)
    found = optimum(trials)
    assert 0 <= found.loss <= max(loss for *_, loss in trials)
    assert 1 <= found.lr <= 2.0 ** (len(heights) - 1)
    assert 0 <= found.window <= len(heights)


def test_a_rate_that_diverged_is_no_edge_and_ends_the_window():
    trials = [*measured(lambda x, seed: 3 - 0.001 * x, range(-9, -5)), ("", 2.0**-5, 0, math.inf)]
    found = optimum(trials)
    assert (found.lr, found.edge, found.low) == (2.0**-6, "", None)
    assert found.window == pytest.approx(3) and found.open              # downward
    assert optimum([("", 0.1, 0, 1.0), ("", 0.1, 1, math.inf), ("", 0.2, 0, 2.0)]).lr == 0.2


def test_all_that_diverge_leave_the_lowest_rate_and_a_note():
    found = optimum([("", 0.2, 0, math.inf), ("", 0.1, 0, math.inf)])
    assert (found.lr, found.loss, found.note) == (0.1, math.inf, "every trial diverged")


def test_one_trial_and_ties():
    assert (optimum([("", 0.1, 0, 1.0)]).lr, optimum([("", 0.1, 0, 1.0)]).open) == (0.1, True)
    tied = optimum(measured(lambda x, seed: 1.0, (-8, -7, -6)))
    assert (tied.lr, tied.edge, tied.window, tied.open) == (2.0**-8, "lowest", 2, True)
    with pytest.raises(ValueError, match="needs a trial"):
        optimum([])


def test_the_best_choice_is_the_one_whose_optimum_is_told():
    trials = measured(parabola(-7), (-8, -7, -6)) + measured(parabola(-6.3, height=2.9), (-8, -7, -6, -5), choice="a=1")
    found = optimum(trials)
    assert found.choice == "a=1" and found.lr == pytest.approx(2.0**-6.3)


def test_a_parabola_through_unequal_distances():
    points = [(x, parabola(-6.9)(x)) for x in (-9.0, -7.0, -6.5)]
    assert lowest(points) == pytest.approx((-6.9, 3.0, 0.1))


def test_a_choice_with_a_best_rate_of_its_own_widens_the_interval():
    def widths(other):
        losses = {"": parabola(-7), "a=1": parabola(other, height=2.9)}
        found = optimum([trial for choice, loss in losses.items() for trial in measured(loss, (-8, -7, -6), 1, choice)])
        return found.low, found.high

    assert widths(-7) == pytest.approx((2.0**-7, 2.0**-7))
    low, high = widths(-6.6)
    assert low < 2.0**-6.6 < high and math.log2(high / low) > 0.5


@pytest.mark.parametrize(("noise", "choices"), [(0.01, ("",)), (0.03, ("",)), (0.01, ("", "a=1", "a=2", "a=3"))])
def test_coverage_of_the_interval_of_a_search_is_what_it_says(noise, choices):
    """Whole searches on a parabola with noise and seeds, the optimum anywhere in three octaves. Where the loss is flat
    beside the noise the interval is wide, not wrong."""
    draw, covered = np.random.default_rng(5), []
    for _ in range(300):
        at, added = draw.uniform(-8.5, -5.5), draw.normal(0, 0.1, 10)

        def run(choice, lr, seed, at=at, added=added):
            loss = parabola(at, 0.08)(math.log2(lr)) + 0.05 * len(choice) + added[seed] + draw.normal(0, noise)
            return TrainResult(lr, 1, 10, 10, 0.1, False, [(10, loss)])

        found = optimum([(t.choice, t.lr, t.seed, t.loss) for t in search(run, (4e-3, 8e-3, 1.6e-2), 10, choices)])
        if found.low is not None:
            covered.append(found.low <= 2**at <= found.high)
    assert len(covered) > 280
    assert 0.92 <= np.mean(covered) <= 0.985
