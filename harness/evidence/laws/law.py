"""L = E + A / N^alpha + B / D^beta: loss against parameters N and training bytes (or tokens) D. (no torch, no SciPy)

Form and estimator are those of Hoffmann et al. 2022 (approach 3), mended as Besiroglu et al. 2024 do: the sum of
Huber's losses, minimised to convergence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import design, solver

if TYPE_CHECKING:
    from numpy import ndarray


@dataclass(frozen=True)
class Law:
    """Each of them a number, or an array of the fit and its resamplings, (1 + R,)."""

    E: Any
    A: Any
    alpha: Any
    B: Any
    beta: Any

    def __call__(self, params: Any, data: Any) -> Any:
        return self.E + self.A / params**self.alpha + self.B / data**self.beta

    @property
    def a(self) -> Any:
        """The exponent with which the best number of parameters grows with compute, where C is as N D."""
        return self.beta / (self.alpha + self.beta)


@dataclass(frozen=True)
class LawFit:
    """The law of the lowest objective; whether the solver converged there, and how many of its starts did as well."""

    law: Law
    objective: float
    converged: bool
    agreeing: int
    starts: int


def fit_law(params: Sequence[float], data: Sequence[float], losses: Sequence[float],
            delta: float = solver.DELTA) -> LawFit:
    """The law of points of one architecture on one corpus. Raises NoLaw for too few of them."""
    import numpy as np

    x, y = np.log(np.asarray(params, float)), np.log(np.asarray(data, float))
    form = design.make(x, y, [("", "")] * len(x), [""], [""])
    found = design.fit(form, form.terms(x, y, [("", "")] * len(x)), np.log(np.asarray(losses, float)), delta)
    best = int(found.objective.argmin())
    agreeing = int((found.objective <= found.objective[best] * (1 + 1e-6)).sum())
    law = law_of(form, found.theta[best], "", "")
    return LawFit(law, float(found.objective[best]), bool(found.converged[best]), agreeing, len(found.objective))


def law_of(form: design.Design, theta: ndarray, plugin: str, corpus: str) -> Law:
    """The law of a plugin on a corpus from parameters (..., P)."""
    import numpy as np

    e, a, alpha, b, beta = (theta @ column for column in form.rows(plugin, corpus))
    return Law(np.exp(e), np.exp(a + alpha * form.centre[0]), alpha, np.exp(b + beta * form.centre[1]), beta)
