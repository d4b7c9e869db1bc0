"""The laws of several architectures side by side, with what resampling makes of them. (no torch, no SciPy)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..statistics.student import Estimate, normal_quantile
from . import design, solver
from .law import Law, law_of
from .point import NoLaw, Point, of_plugins
from .resampling import absorbed, resampled_interval, resampled_logs, run_weights, stretch

if TYPE_CHECKING:
    from numpy import ndarray

RESAMPLES = 1000
COARSE = 0.03                               # delta of the first fit, from all starts: about least squares
ROUGH = 1e-3                                # its tolerance: the basin is asked for, not the optimum
EFFICIENT = 1.345                           # residual sd beyond which Huber's loss is 95 % efficient (Huber 1964)


@dataclass(frozen=True)
class Laws:
    """The fit is the first row of `theta` (1 + R, P), the others are resampled; `weights` (1 + R, n) of the points."""

    form: design.Design
    points: tuple[Point, ...]
    theta: ndarray
    weights: ndarray
    residuals: ndarray                      # of the fit, log measured - log fitted, (n,)
    parameters: float                       # how much of what varies between runs the fit takes up
    delta: float

    @property
    def runs(self) -> int:
        return len({point.run for point in self.points})

    @property
    def stretch(self) -> float:
        return stretch(self.runs, self.parameters)

    def law(self, plugin: str, corpus: str) -> Law:
        """Its numbers are arrays (1 + R,)."""
        return law_of(self.form, self.theta, plugin, corpus)

    def interval(self, values: ndarray) -> Estimate:
        """Of something positive that follows from each row."""
        return resampled_interval(values, self.stretch, self.runs)

    def estimates(self, plugin: str, corpus: str) -> dict[str, Estimate]:
        """E, A, alpha, B, beta and a with intervals; an end that lies at a bound of the fit is open."""
        import numpy as np

        law = self.law(plugin, corpus)
        lower, upper = design.bounds(self.form, np.log([point.bits for point in self.points]))
        found = {}
        for name, row in zip(("E", "A", "alpha", "B", "beta"), self.form.rows(plugin, corpus), strict=True):
            low, high = (((self.theta <= lower) & (row > 0)).any(1), ((self.theta >= upper) & (row > 0)).any(1))
            found[name] = self.interval(np.where(low, 0.0, np.where(high, np.inf, getattr(law, name))))
        return found | {"a": self.interval(law.a)}

    def factors(self, plugin: str) -> dict[str, Estimate]:
        """rho_N, rho_D of shared laws: what a parameter, and a byte of training, are worth beside the baseline's."""
        import numpy as np

        found = {}
        for name, column, exponent in (("rho_N", "N", "alpha"), ("rho_D", "D", "beta")):
            names = self.form.columns
            power = self.theta[:, names.index(f"{exponent} ")]
            factor = self.theta[:, names.index(f"{column} {plugin}")] if plugin != self.form.plugins[0] else 0 * power
            found[name] = self.interval(np.exp(-factor / power))
        return found


def fit_laws(points: Sequence[Point], baseline: str, others: Sequence[str] = (), own: bool = False,
             resamples: int = RESAMPLES, seed: int = 0) -> Laws:
    """The laws of a baseline and of others, on all corpora of their points. Raises NoLaw where these are too few.

    Huber's loss becomes linear at 1.345 standard deviations of the noise, which are found by a first fit, and no
    sooner than DELTA: the fixed one is made for hundreds of points and wastes a third of a few.
    """
    import numpy as np

    points = of_plugins(points, [baseline, *others])
    names = [(point.plugin, point.corpus) for point in points]
    for plugin in (baseline, *others):
        if plugin not in {name for name, _ in names}:
            raise NoLaw(f"no rung of {plugin} was measured")
    x, y = (np.log([float(value) for value in column])
            for column in ([point.params for point in points], [point.bytes for point in points]))
    form = design.make(x, y, names, [baseline, *others], list(dict.fromkeys(corpus for _, corpus in names)), own)
    terms, generator = form.terms(x, y, names), np.random.default_rng(seed)
    logs = resampled_logs(points, resamples, generator)
    weights = run_weights([point.run for point in points], resamples, generator)
    theta, delta = optimum(form, terms, logs[0])
    lower, upper = design.bounds(form, logs[0])
    again = solver.minimise(terms, logs, weights, np.repeat(theta[None], 1 + resamples, 0), lower, upper, delta)
    fitted, shares = solver.predict(terms, again.theta[:1])
    jacobian = np.einsum("kn,knp->np", shares[:, 0], terms)
    return Laws(form, tuple(points), again.theta, weights, logs[0] - fitted[0],
                absorbed(jacobian, [point.run for point in points]), delta)


def optimum(form: design.Design, terms: ndarray, logs: ndarray) -> tuple[ndarray, float]:
    """The best fit (P,) and the delta that its residuals ask for: a start for it, then two rounds of both."""
    import numpy as np

    first = design.fit(form, terms, logs, COARSE, ROUGH)
    theta, delta = first.theta[[first.objective.argmin()]], COARSE
    bounds, ones = design.bounds(form, logs), np.ones((1, len(logs)))
    for _ in range(2):
        left = np.sort(np.abs(logs - solver.predict(terms, theta)[0][0]))
        free = left[min(terms.shape[2], len(left) - 1):]                        # the fit goes through as many as it may
        delta = max(solver.DELTA, EFFICIENT * float(np.median(free)) / normal_quantile(0.5))
        theta = solver.minimise(terms, logs[None], ones, theta, *bounds, delta).theta
    return theta[0], delta
