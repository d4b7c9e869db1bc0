"""The fit of a law against the 245 points of the Chinchilla paper, whose answer is known, and against known laws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.evidence.laws import design, solver
from harness.evidence.laws.law import Law, fit_law
from harness.evidence.laws.point import NoLaw

POINTS = Path(__file__).parents[1] / "../shared/data/chinchilla/points.csv"
OUTLIERS = 5                                # the highest losses, which Besiroglu et al. 2024 leave out


@pytest.fixture(scope="module")
def chinchilla():
    """Parameters, tokens and losses of all points, the outliers last."""
    if not POINTS.is_file():
        pytest.skip(f"no points of the Chinchilla paper at {POINTS}")
    rows = np.loadtxt(POINTS, delimiter=",", skiprows=1)
    params, flops, losses = rows[np.argsort(rows[:, 2])].T
    return params, flops / 6 / params, losses


def test_the_law_of_the_chinchilla_points_is_that_of_besiroglu_et_al(chinchilla):
    found = fit_law(*(column[:-OUTLIERS] for column in chinchilla))
    law = found.law
    assert (law.E, law.alpha, law.beta) == pytest.approx((1.817235, 0.347313, 0.367183), rel=5e-5)
    factors = law.A / 477.84, law.B / 2143.86
    assert factors == pytest.approx((1, 1), abs=5e-4)
    assert law.a == pytest.approx(0.5139, abs=2e-4)
    assert found.objective == pytest.approx(0.00101827, rel=1e-5)
    assert found.converged and found.agreeing == found.starts


def test_outliers_that_are_kept_move_the_data_term(chinchilla):
    law = fit_law(*chinchilla).law
    assert [law.B, law.a] == [pytest.approx(12_846, rel=2e-3), pytest.approx(0.565, abs=1e-3)]


def test_a_thousand_resamplings_have_the_spread_that_epoch_published(chinchilla):
    params, tokens, losses = (column[:-OUTLIERS] for column in chinchilla)
    x, y, names = np.log(params), np.log(tokens), [("", "")] * len(params)
    form = design.make(x, y, names, [""], [""])
    terms, logs = form.terms(x, y, names), np.log(losses)
    first = design.fit(form, terms, logs, solver.DELTA)
    counts = np.random.default_rng(0).multinomial(len(x), np.full(len(x), 1 / len(x)), size=1000).astype(float)
    start = np.repeat(first.theta[[first.objective.argmin()]], 1000, 0)
    again = solver.minimise(terms, logs[None], counts, start, *design.bounds(form, logs))
    assert again.converged.all()
    alpha, beta = (again.theta[:, form.columns.index(name)] for name in ("alpha ", "beta "))
    assert alpha.std() == pytest.approx(0.0154, rel=0.08)
    assert beta.std() == pytest.approx(0.021, rel=0.08)
    assert (beta / (alpha + beta)).std() == pytest.approx(0.0200, rel=0.08)


def scipy_objective(theta, x, y, logs, mean):
    """Of Hoffmann et al.: a, b, e, alpha, beta; Huber at 1e-3, summed or averaged."""
    a, b, e, alpha, beta = theta
    fitted = np.logaddexp(np.logaddexp(a - alpha * x, b - beta * y), e)
    size = np.abs(fitted - logs)
    huber = np.where(size <= 1e-3, size**2 / 2, 1e-3 * (size - 5e-4))
    return huber.mean() if mean else huber.sum()


def test_the_mean_stops_early_where_the_sum_does_not(chinchilla):
    """The mistake of Hoffmann et al.: to L-BFGS-B a mean's small gradient is an optimum, as at their beta of .28."""
    optimize = pytest.importorskip("scipy.optimize")
    params, tokens, losses = (column[:-OUTLIERS] for column in chinchilla)
    rest = np.log(params), np.log(tokens), np.log(losses)
    right = fit_law(params, tokens, losses)
    published = np.log(406.4), np.log(410.7), np.log(1.69), 0.3392, 0.2849
    stuck = optimize.minimize(scipy_objective, published, (*rest, True), "L-BFGS-B")
    assert stuck.success and stuck.x[4] == pytest.approx(0.28, abs=0.01)
    assert scipy_objective(stuck.x, *rest, False) > 1.1 * right.objective
    starts = [(a, b, 0.5, 0.5, 0.5) for a in (0, 10) for b in (0, 10)]
    best = {}
    for mean in (False, True):
        ends = [optimize.minimize(scipy_objective, start, (*rest, mean), "L-BFGS-B").x for start in starts]
        best[mean] = min(scipy_objective(end, *rest, False) for end in ends)
    assert best[False] == pytest.approx(right.objective, rel=1e-5)
    assert best[True] > 1.5 * right.objective


@pytest.mark.parametrize("law", [Law(1.7, 400.0, 0.34, 410.0, 0.28), Law(0.8, 30.0, 0.25, 900.0, 0.5)])
def test_an_exact_law_is_found_again(law):
    params, data = (grid.ravel() for grid in np.meshgrid([3e4, 1e5, 3e5, 1e6], [1e6, 3e6, 1e7]))
    found = fit_law(params, data, law(params, data))
    for name in ("E", "A", "alpha", "B", "beta"):
        assert getattr(found.law, name) == pytest.approx(getattr(law, name), rel=1e-4)


def test_two_sizes_or_budgets_decide_no_law():
    with pytest.raises(NoLaw, match="needs 3 sizes; this has 2"):
        fit_law([1e4, 1e5, 1e4, 1e5], [1e6, 1e6, 2e6, 3e6], [3, 2, 2.9, 1.9])
    with pytest.raises(NoLaw, match="needs 3 budgets"):
        fit_law([1e4, 1e5, 1e6], [1e6, 1e6, 2e6], [3, 2, 1.9])
