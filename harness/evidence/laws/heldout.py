"""The largest rung is left out, predicted by the law of the others, and compared with what it measured. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..statistics.student import CONFIDENCE, Estimate
from .point import Point, largest_rung, of_plugins
from .shared import RESAMPLES, Laws, fit_laws


@dataclass(frozen=True)
class HeldOut:
    """`measured` is the geometric mean over `seeds`; `predicted` has the interval of such a mean, noise included."""

    plugin: str
    corpus: str
    params: int
    bytes: int
    seeds: int
    measured: float
    predicted: Estimate

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds what was measured; None where there is no interval."""
        low, high = self.predicted.low, self.predicted.high
        return None if low is None or high is None else low <= self.measured <= high

    @property
    def deviation(self) -> float:
        """What was measured over what was predicted, less 1."""
        return self.measured / self.predicted.value - 1


def hold_out(points: Sequence[Point], baseline: str, others: Sequence[str] = (),
             resamples: int = RESAMPLES, seed: int = 0) -> list[HeldOut]:
    """Of every architecture on every corpus; the largest rungs of all are left out of one fit. Raises NoLaw."""
    points = of_plugins(points, [baseline, *others])
    names = sorted({(point.plugin, point.corpus) for point in points},
                   key=lambda name: (name[1], [baseline, *others].index(name[0])))
    rungs = {name: largest_rung([p for p in points if (p.plugin, p.corpus) == name]) for name in names}
    left_out = {id(point) for rung in rungs.values() for point in rung}
    laws = fit_laws([point for point in points if id(point) not in left_out], baseline, others, False, resamples, seed)
    return [_held_out(laws, rung, seed) for rung in rungs.values()]


def _held_out(laws: Laws, rung: Sequence[Point], seed: int) -> HeldOut:
    """The prediction varies with the runs that the law is of, a measured mean besides as residuals do."""
    import numpy as np

    one, seeds = rung[0], len(rung)
    losses = np.log(laws.law(one.plugin, one.corpus)(one.params, one.bytes))
    generator = np.random.default_rng(seed)
    n, parameters = len(laws.points), laws.theta.shape[1]
    low = high = None
    if np.isfinite(laws.stretch) and n > parameters:
        spread = laws.residuals * np.sqrt(n / (n - parameters))
        noise = generator.choice(spread, size=(len(losses) - 1, seeds)).mean(1)
        drawn = (losses[1:] - losses[0]) * laws.stretch + noise
        tail = (1 - CONFIDENCE) / 2
        low, high = (float(np.exp(losses[0] + np.quantile(drawn, q))) for q in (tail, 1 - tail))
    measured = float(np.exp(np.mean(np.log([point.bits for point in rung]))))
    return HeldOut(one.plugin, one.corpus, one.params, one.bytes, seeds, measured,
                   Estimate(float(np.exp(losses[0])), low, high, laws.runs))
