"""The solver against SciPy's on random weights, and at bounds."""

from __future__ import annotations

import numpy as np
import pytest
from ladders import ladder

from harness.evidence.laws import design, solver


@pytest.fixture(scope="module")
def problem():
    points = ladder(np.random.default_rng(0))
    names = [(point.plugin, point.corpus) for point in points]
    x, y = np.log([point.params for point in points]), np.log([point.bytes for point in points])
    form = design.make(x, y, names, ["base", "new"], ["text"])
    return form, form.terms(x, y, names), np.log([point.bits for point in points])


def objective(theta, terms, logs, weights, delta):
    size = np.abs(np.logaddexp.reduce(terms @ theta) - logs)
    return weights @ np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


@pytest.mark.parametrize("delta", [1e-3, 1e-2])
def test_weighted_minima_are_those_of_scipy(problem, delta):
    optimize = pytest.importorskip("scipy.optimize")
    form, terms, logs = problem
    weights = np.random.default_rng(1).exponential(size=(3, len(logs)))
    lower, upper = design.bounds(form, logs)
    start = design.fit(form, terms, logs, delta).theta[:3]
    found = solver.minimise(terms, logs[None], weights, start, lower, upper, delta)
    assert found.converged.all()
    for theta, value, own in zip(found.theta, found.objective, weights, strict=True):
        assert objective(theta, terms, logs, own, delta) == pytest.approx(value)
        oracle = optimize.minimize(objective, theta * 1.001, (terms, logs, own, delta), "BFGS",
                                   options={"gtol": 1e-10, "maxiter": 60})
        assert value <= oracle.fun * (1 + 1e-6)


def test_batches_and_single_fits_agree(problem):
    form, terms, logs = problem
    weights = np.random.default_rng(2).exponential(size=(5, len(logs)))
    bounds, start = design.bounds(form, logs), np.repeat(design.fit(form, terms, logs, 1e-3).theta[:1], 5, 0)
    together = solver.minimise(terms, logs[None], weights, start, *bounds)
    for i in range(5):
        alone = solver.minimise(terms, logs[None], weights[[i]], start[[i]], *bounds)
        assert alone.theta[0] == pytest.approx(together.theta[i], rel=1e-6)


def test_a_parameter_stays_within_its_bounds_and_the_others_are_best_there(problem):
    form, terms, logs = problem
    lower, upper = design.bounds(form, logs)
    at = form.columns.index("beta ")
    upper[at] = 0.2
    ones, start = np.ones((1, len(logs))), design.fit(form, terms, logs, 1e-2).theta[:1]
    found = solver.minimise(terms, logs[None], ones, start, lower, upper, 1e-2)
    assert found.converged.all() and found.theta[0, at] == 0.2
    for column in range(len(lower)):
        for step in (1e-4, -1e-4):
            moved = found.theta.copy()
            moved[0, column] = np.clip(moved[0, column] + step, lower[column], upper[column])
            assert objective(moved[0], terms, logs, ones[0], 1e-2) >= found.objective[0] * (1 - 1e-9)
