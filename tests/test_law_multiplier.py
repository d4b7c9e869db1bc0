"""The compute multiplier against its closed form, by a search over sizes, and its coverage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ladders import BUDGETS, FACTORS, POWER, SIZES, ladder, loss
from ladders import multiplier as true_multiplier

from harness.evidence.laws.multiplier import cheapest_way, cost_curve, multiplier, resource_model
from harness.evidence.laws.point import NoLaw
from harness.evidence.laws.shared import fit_laws


@pytest.fixture(scope="module")
def exact():
    return fit_laws(ladder(corpora=("text", "code")), "base", ["new"], resamples=0)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("times", [1.0, 10.0])
def test_the_multiplier_of_exact_ladders_is_that_of_their_laws(own, times):
    laws = fit_laws(ladder(corpora=("text", "code")), "base", ["new"], own, resamples=0)
    for corpus in ("text", "code"):
        found = multiplier(laws, "new", corpus, "flops", times)
        assert found.estimate.value == pytest.approx(true_multiplier(), rel=2e-3)


def test_the_cheapest_way_is_that_of_a_search_over_sizes(exact):
    law, curve = exact.law("new", "text"), cost_curve(exact, "new", "text", "flops", 0)
    k, p = (float(values[0]) for values in resource_model(exact, "new", "flops"))
    assert (np.exp(k), p) == pytest.approx((6 * 1.2, POWER), rel=1e-6)
    wanted = 1.9
    params = np.exp(np.linspace(np.log(1e5), np.log(1e8), 200_001))
    left = wanted - law.E[0] - law.A[0] / params**law.alpha[0]
    data = np.log(law.B[0] / np.where(left > 0, left, 1e-300)) / law.beta[0]
    costs = k + p * np.log(params) + data
    assert curve.log_cost(wanted)[0] == pytest.approx(costs.min(), rel=1e-9)
    assert curve.loss(costs.min())[0] == pytest.approx(wanted)
    size, data = cheapest_way(exact, "new", "text", "flops", 0, wanted)
    assert size == pytest.approx(params[costs.argmin()], rel=1e-3)
    assert loss("new", "text", size, data) == pytest.approx(wanted, rel=1e-3)


def test_at_the_largest_rungs_both_have_reached_the_loss_with_what_was_measured(exact):
    """Their cheapest ways reach no less than their rungs did, which lie beside them."""
    found = multiplier(exact, "new", "text")
    most = 6 * SIZES[-1]**POWER * BUDGETS[-1]
    assert found.cost <= most * (1 + 1e-9) and found.cost * found.estimate.value <= 1.2 * most
    assert found.loss <= loss("base", "text", SIZES[-1], BUDGETS[-1])


def test_bytes_are_compared_at_the_largest_size_that_both_have(exact):
    found = multiplier(exact, "new", "text", "bytes")
    assert (found.cost, found.params) == (pytest.approx(BUDGETS[-1], rel=1e-3), (SIZES[-1], SIZES[-1]))
    assert found.loss == pytest.approx(loss("base", "text", SIZES[-1], BUDGETS[-1]), rel=1e-4)
    assert loss("new", "text", SIZES[-1], found.data[1]) == pytest.approx(found.loss, rel=1e-4)
    assert found.estimate.value == pytest.approx(found.data[1] / BUDGETS[-1], rel=1e-3)


def test_a_dear_resource_costs_as_much_more():
    points = [replace(point, seconds=point.seconds * (3 if point.plugin == "new" else 1)) for point in ladder()]
    laws = fit_laws(points, "base", ["new"], resamples=0)
    compute, time = (multiplier(laws, "new", "text", what).estimate.value for what in ("flops", "seconds"))
    assert time == pytest.approx(3 * compute, rel=1e-6)


def test_a_loss_that_is_never_reached_has_an_open_end():
    """At its largest size a newcomer's parameters leave more over than the baseline does with ten times the bytes."""
    points = ladder(np.random.default_rng(0), factors={"base": (1.0, 1.0), "new": (0.01, 1.5)})
    found = multiplier(fit_laws(points, "base", ["new"], resamples=100), "new", "text", "bytes", 10)
    assert (found.estimate.value, found.estimate.high, found.data[1]) == (np.inf, None, np.inf)


def test_beyond_ten_times_the_largest_rung_nothing_is_told(exact):
    with pytest.raises(ValueError, match="beyond 10 times the largest rung nothing is extrapolated; 30 was asked"):
        multiplier(exact, "new", "text", "flops", 30)


def test_a_cheapest_way_far_from_all_rungs_is_not_told():
    """Seconds that hardly grow with the size are least with a model of which no rung says anything."""
    points = [replace(point, seconds=point.bytes * point.params**0.02) for point in ladder()]
    laws = fit_laws(points, "base", ["new"], resamples=0)
    with pytest.raises(NoLaw, match=r"seconds of base are least at \S+ parameters, more than 10 times from all"):
        multiplier(laws, "new", "text", "seconds")


def test_what_was_not_measured_is_named(exact):
    with pytest.raises(NoLaw, match="energy_j of base was not measured at every rung"):
        multiplier(exact, "new", "text", "energy_j")
    with pytest.raises(NoLaw, match="no rung of base was measured on wiki"):
        multiplier(exact, "new", "wiki")
    flat = fit_laws([replace(point, seconds=point.bytes / point.params) for point in ladder()], "base", ["new"],
                    resamples=0)
    with pytest.raises(NoLaw, match="does not grow with its size"):
        multiplier(flat, "new", "text", "seconds")


def test_factors_of_the_truth_are_what_these_tests_suppose():
    assert FACTORS["base"] == (1, 1) and true_multiplier() == pytest.approx(1.2 / 1.3**0.9 / 1.5)
