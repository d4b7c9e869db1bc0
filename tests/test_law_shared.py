"""Laws side by side: exact ones are found again, intervals cover, and what no rung decides is open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ladders import ALPHA, BETA, BUDGETS, FACTORS, SIZES, WEIGHT, E, ladder, loss

from harness.evidence.laws.multiplier import multiplier
from harness.evidence.laws.point import NoLaw, largest_rung
from harness.evidence.laws.resampling import absorbed, resampled_interval, resampled_logs, run_weights, stretch
from harness.evidence.laws.shared import fit_laws
from harness.evidence.laws.sharing import sharing_p_value


@pytest.mark.parametrize("own", [False, True])
def test_exact_laws_on_two_corpora_are_found_again(own):
    laws = fit_laws(ladder(corpora=("text", "code")), "base", ["new"], own, resamples=0)
    for plugin in FACTORS:
        for corpus in WEIGHT:
            law = laws.law(plugin, corpus)
            assert law.E[0] == pytest.approx(WEIGHT[corpus] * E, rel=1e-4)
            assert (law.alpha[0], law.beta[0]) == pytest.approx((ALPHA, BETA), rel=1e-4)
            assert law(5e5, 2e7)[0] == pytest.approx(loss(plugin, corpus, 5e5, 2e7), rel=1e-6)
    if not own:
        found = laws.factors("new")
        assert (found["rho_N"].value, found["rho_D"].value) == pytest.approx(FACTORS["new"], rel=1e-3)
        assert laws.factors("base")["rho_N"].value == 1


def test_noise_of_runs_is_not_taken_for_that_of_rungs():
    """Three budgets of one run tell the noise of that run once: without clusters the interval would be too short."""
    points = ladder(np.random.default_rng(3), run_sd=0.01, rung_sd=0.001)
    apart = [replace(point, seed=i) for i, point in enumerate(points)]
    whole, split = (fit_laws(some, "base", ["new"], resamples=200) for some in (points, apart))
    wide, short = (laws.interval(laws.law("new", "text")(1e6, 1e7)) for laws in (whole, split))
    assert wide.high / wide.low - 1 > 1.3 * (short.high / short.low - 1)


def test_an_end_that_no_rung_decides_is_open():
    """Where all loss is above what size explains, E may be nothing at all."""
    points = [replace(point, bits=point.bits - 0.95 * E) for point in ladder(np.random.default_rng(1), (1, 1, 1, 1),
                                                                            run_sd=0.02)]
    assert fit_laws(points, "base", ["new"], resamples=200).estimates("base", "text")["E"].low is None


def test_fewer_runs_than_what_the_fit_takes_up_give_no_interval():
    laws = fit_laws(ladder(np.random.default_rng(1), (1, 1, 1)), "base", ["new"], own=True, resamples=50)
    assert laws.runs - laws.parameters < 1
    found = laws.estimates("base", "text")["alpha"]
    assert (found.low, found.high) == (None, None) and found.value > 0


def test_rungs_that_are_missing_are_named():
    with pytest.raises(NoLaw, match="no rung of wave was measured"):
        fit_laws(ladder(), "base", ["wave"])
    with pytest.raises(NoLaw, match="needs 3 sizes; base has 2"):
        fit_laws(ladder(sizes=SIZES[:2]), "base", ["new"])


def test_the_largest_rung_is_all_seeds_of_the_most_parameters_times_bytes():
    points = [point for point in ladder(seeds=(3, 2, 2, 2)) if point.plugin == "base"]
    assert {(point.params, point.bytes, point.seed) for point in largest_rung(points)} == {
        (SIZES[-1], BUDGETS[-1] + 3 * seed, seed) for seed in (0, 1)}


def test_exponents_that_are_shared_are_seldom_rejected_and_others_are():
    generator = np.random.default_rng(4)

    def rejected(times, **kind):
        found = [fit_laws(ladder(generator, (2, 2, 2, 1), **kind), "base", ["new"], resamples=0) for _ in range(times)]
        return sum(sharing_p_value(laws, 39) <= 0.05 for laws in found)

    assert rejected(8) <= 3
    assert rejected(2, alpha=0.2, run_sd=0.001, rung_sd=0.001) == 2


# Resampling

def test_a_run_is_weighed_as_a_whole_and_the_fit_as_it_is():
    weights = run_weights(["a", "a", "b", "c", "b"], 500, np.random.default_rng(0))
    assert weights.shape == (501, 5) and (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 2] == weights[:, 4]).all()
    assert weights[1:].mean(0) == pytest.approx(1, abs=0.15)
    assert abs(np.corrcoef(weights[1:, 0], weights[1:, 2])[0, 1]) < 0.15


def test_documents_are_resampled_together_over_all_rungs():
    sizes, points = (100, 400, 50), []
    for level, point in zip((2.0, 1.0), ladder()[:2], strict=True):
        bits = tuple(level * size * hard for size, hard in zip(sizes, (1.0, 1.3, 0.4), strict=True))
        points.append(replace(point, bits=sum(bits) / sum(sizes), document_bits=bits, document_bytes=sizes))
    logs = resampled_logs(points, 200, np.random.default_rng(0))
    assert logs[0] == pytest.approx(np.log([point.bits for point in points]))
    assert logs[:, 0] - logs[:, 1] == pytest.approx(np.log(2.0)) and logs[1:, 0].std() > 0.05
    assert len(resampled_logs([points[0], replace(points[1], document_bytes=())], 200, np.random.default_rng(0))) == 1


def test_a_fit_takes_up_its_rank_of_single_rungs_and_none_of_what_budgets_tell():
    generator = np.random.default_rng(0)
    assert absorbed(generator.normal(size=(20, 4)), range(20)) == pytest.approx(4)
    within = np.tile([-1.0, 0.0, 1.0], 5)[:, None]                              # a slope over the budgets of each run
    runs = np.repeat(np.arange(5), 3)
    assert absorbed(within, runs) == pytest.approx(0)
    assert absorbed(np.hstack([within, np.ones((15, 1))]), runs) == pytest.approx(1)


def test_percentiles_are_stretched_on_the_log_scale():
    generator = np.random.default_rng(0)
    values = np.exp(np.concatenate([[0.0], generator.normal(0, 0.1, 20_000)]))
    found = resampled_interval(values, 2.0, 8)
    assert np.log([found.low, found.high]) == pytest.approx([-0.392, 0.392], rel=0.05)
    values[1:1000] = np.inf
    assert resampled_interval(values, 1.0, 8).high is None
    assert resampled_interval(values, np.inf, 8).low is None
    assert stretch(1000, 5) == pytest.approx(1, abs=0.01) and stretch(8, 7.5) == np.inf
    assert stretch(8, 4) == pytest.approx(2**0.5 * 2.776 / 1.96, rel=1e-3)


def test_the_same_points_and_seed_give_the_same_interval():
    points = ladder(np.random.default_rng(5))
    one, again = (multiplier(fit_laws(points, "base", ["new"], resamples=50, seed=7), "new", "text") for _ in range(2))
    assert one == again
