"""Power is that of the test it speaks of: predicted, and counted in simulated comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_contrast import PYDOC

from harness.evidence.statistics import contrast, power
from harness.evidence.statistics.power import Components, Trial


def simulated(generator, seeds, sizes, difference, own=0.02, spread=0.01, residual=0.01, hard=0.3):
    """Bits of A and B under seeds: documents disagree by `own`, seeds by `spread`, a document under a seed besides."""
    level, disagree = generator.normal(2, hard, len(sizes)), generator.normal(0, own, len(sizes))
    one, other = (level * sizes * (1 + generator.normal(0, spread, (seeds, 1)) + generator.normal(
        0, residual, (seeds, len(sizes)))) for _ in range(2))
    return one, other * (1 + disagree) * (1 + difference)


@pytest.mark.parametrize(("seeds", "copies", "difference"), [(3, 1, 0.05), (5, 3, 0.02), (3, 8, 0.025), (8, 8, 0.012)])
def test_predicted_power_is_that_of_simulated_comparisons(seeds, copies, difference):
    """Within three points; documents are copies of a real corpus' sizes."""
    generator, sizes = np.random.default_rng(0), np.tile(PYDOC, copies).astype(float)
    square = float(((PYDOC / PYDOC.sum())**2).sum())
    truth = Components(0.02**2 * square, (0.01**2 * (1 + square),) * 2, (0.01**2 * square,) * 2, 1 / square, len(PYDOC))
    told = [contrast.by_document(*simulated(generator, seeds, sizes, difference, hard=0.0), sizes).student.p < 0.05
            for _ in range(1500)]
    assert power.power(truth, difference, Trial(seeds, len(sizes))) == pytest.approx(np.mean(told), abs=0.03)


def test_components_are_those_of_the_scores_on_average():
    generator, sizes = np.random.default_rng(1), np.full(40, 1000.0)
    found = [power.components(*simulated(generator, 3, sizes, 0.0, hard=0.0), sizes) for _ in range(60)]
    assert np.mean([one.documents for one in found]) == pytest.approx(0.02**2 / 40, rel=0.15)
    assert np.mean([one.seeds for one in found]) == pytest.approx(0.01**2 * (1 + 1 / 40), rel=0.25)
    assert found[0].effective == pytest.approx(40) and found[0].recorded == 40


def test_where_documents_alone_vary_power_is_the_noncentral_t():
    stats = pytest.importorskip("scipy.stats")
    found = Components(1e-4, (1e-12, 1e-12), (0.0, 0.0), 11.0, 11)
    for difference in (0.0, 0.01, 0.025, 0.05):
        t, shift = stats.t.ppf(0.975, 10), math.log1p(difference) / 1e-2
        exact = stats.nct.sf(t, 10, shift) + stats.nct.cdf(-t, 10, shift)
        assert power.power(found, difference, Trial(40, 11)) == pytest.approx(exact, abs=0.015)


def test_more_of_anything_is_told_better_and_enough_is_just_enough():
    found = Components(4e-5, (1e-4, 2e-4), (2e-5, 2e-5), 4.1, 10)
    assert power.power(found, 0.0, Trial(3, 10)) == pytest.approx(0.05, abs=0.02)
    for more in (Trial(5, 10), Trial(3, 40), Trial(3, 10, 3)):
        assert power.power(found, 0.02, more) > power.power(found, 0.02, Trial(3, 10))
    least = power.detectable(found, Trial(3, 10))
    assert power.power(found, least, Trial(3, 10)) == pytest.approx(0.8, abs=0.01)
    documents = power.enough(found, 0.02, 8)
    assert power.power(found, 0.02, Trial(8, documents)) == pytest.approx(0.8, abs=0.02)
    assert power.enough(found, 0.001, 2) is None


def test_one_seed_tells_nothing():
    found = Components(4e-5, (1e-4, 2e-4), (2e-5, 2e-5), 4.1, 10)
    assert power.power(found, 0.5, Trial(1, 1000)) == 0 and math.isinf(power.detectable(found, Trial(1, 1000)))
