"""Intervals of laws, predictions, multipliers and held-out rungs cover, in ladders of few seeds."""

from __future__ import annotations

import numpy as np
import pytest
from ladders import ALPHA, BETA, FACTORS, E, ladder, loss
from ladders import multiplier as true_multiplier

from harness.evidence.laws.heldout import hold_out
from harness.evidence.laws.multiplier import multiplier
from harness.evidence.laws.shared import fit_laws

SIMULATIONS, RESAMPLES = 30, 80


def covers(estimate, truth):
    return estimate.low <= truth <= estimate.high


@pytest.mark.parametrize("seeds", [(1, 1, 1, 1), (3, 2, 2, 1)])
def test_laws_multipliers_and_predictions_are_covered(seeds):
    """Runs vary as a whole. The prediction is three times beyond the largest rung in size and bytes."""
    generator, hits = np.random.default_rng(0), []
    for seed in range(SIMULATIONS):
        laws = fit_laws(ladder(generator, seeds), "base", ["new"], resamples=RESAMPLES, seed=seed)
        found, factors = laws.estimates("base", "text"), laws.factors("new")
        truths = [
            (found["alpha"], ALPHA), (found["beta"], BETA), (found["E"], E), (found["a"], BETA / (ALPHA + BETA)),
            (factors["rho_N"], FACTORS["new"][0]), (factors["rho_D"], FACTORS["new"][1]),
            (laws.interval(laws.law("new", "text")(3e6, 3e7)), loss("new", "text", 3e6, 3e7)),
            *((multiplier(laws, "new", "text", "flops", times).estimate, true_multiplier()) for times in (1, 10))]
        hits.append([covers(*one) for one in truths])
    shares = np.mean(hits, 0)
    assert shares.mean() > 0.93 and shares.min() > 0.85


def test_held_out_rungs_are_covered_and_not_by_width_alone():
    generator, found = np.random.default_rng(1), []
    for seed in range(SIMULATIONS):
        found += hold_out(ladder(generator, (2, 2, 1, 1)), "base", ["new"], RESAMPLES, seed)
    assert len(found) == 2 * SIMULATIONS
    assert np.mean([one.covered for one in found]) > 0.9
    assert np.median([one.predicted.high / one.predicted.low for one in found]) < 1.06
    assert np.median([abs(one.deviation) for one in found]) < 0.01
