"""The power of a comparison of scores before it is run: of the very t-test that contrast.by_document does. (no torch)

Variances are taken apart from recorded scores of both systems on the same documents: of documents, on which the two
disagree; of seeds; of a document under a seed. Those of documents shrink with as many more of the same sizes, those of
seeds with seeds, and both with nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .contrast import interaction, linearised, seed_variance
from .documents import document_variance
from .intervals import POWER
from .student import CONFIDENCE, satterthwaite, student_t

if TYPE_CHECKING:
    from numpy import ndarray

DRAWS = 1000
MOST = 100_000                              # documents beyond which no number is told


@dataclass(frozen=True)
class Components:
    """Variances of log(B / A): of the mean over the recorded documents; of one seed of each side, its documents
    included; of the documents under that seed. `effective`: as how many equal ones the `recorded` documents count."""

    documents: float
    seeds: tuple[float, float]
    under_seed: tuple[float, float]
    effective: float
    recorded: int

    def of(self, documents: float) -> Components:
        """With another number of documents of the same sizes."""
        more = documents / self.recorded
        seeds = [seed - own + own / more for seed, own in zip(self.seeds, self.under_seed, strict=True)]
        return replace(self, documents=self.documents / more, seeds=(seeds[0], seeds[1]),
                       under_seed=(self.under_seed[0] / more, self.under_seed[1] / more),
                       effective=self.effective * more, recorded=round(documents))


@dataclass(frozen=True)
class Trial:
    """What is to be run: so many seeds and documents, on each of so many rungs whose ratios are averaged."""

    seeds: int
    documents: int
    rungs: int = 1


def components(a: ndarray, b: ndarray, sizes: ndarray) -> Components:
    """From scores of documents under seeds, a (S, N) and b (S', N) with S and S' at least 2, N at least 2."""
    x, y, weights = linearised(a, b, sizes)
    under = [interaction(side, weights) * len(side) for side in (x, y)]
    both = document_variance(y.mean(0) - x.mean(0), weights) - sum(
        own / len(side) for own, side in zip(under, (x, y), strict=True))
    seeds = [max(seed_variance(side), own) for side, own in zip((x, y), under, strict=True)]
    return Components(max(both, 0.0), (seeds[0], seeds[1]), (under[0], under[1]),
                      1 / float((weights**2).sum()), a.shape[1])


def power(found: Components, difference: float, trial: Trial) -> float:
    """The chance that a true difference, a share of the score, is told at 5 % two-sided; 0 for a single seed.

    The variances that the test will see are drawn, each with its degrees of freedom; given these the rest is normal.
    Rungs have the same documents, and seeds of their own.
    """
    import numpy as np

    if trial.seeds < 2 or trial.documents < 2:
        return 0.0
    here, runs = found.of(trial.documents), trial.seeds * trial.rungs
    free, documents = (trial.seeds - 1) * trial.rungs, max(1.0, here.effective - 1)
    generator = np.random.default_rng(0)

    def drawn(variance: float, degrees: float) -> ndarray:
        estimates: ndarray = variance * generator.chisquare(degrees, DRAWS) / degrees
        return estimates

    under = sum(here.under_seed) / runs
    parts = [drawn(here.documents + under, documents), *(drawn(seed / runs, free) for seed in here.seeds)]
    shared = drawn(under, free * documents) if under else np.zeros(DRAWS)
    variance = np.maximum(sum(parts) - shared, np.max(parts, axis=0))
    t = np.array([student_t(CONFIDENCE, satterthwaite(list(zip(each, (documents, free, free), strict=True)))[1])
                  for each in zip(*parts, strict=True)])
    true = here.documents + sum(here.seeds) / runs
    limit, shift = t * np.sqrt(variance / true), math.log1p(difference) / math.sqrt(true)
    return float(np.mean(_beyond(limit - shift) + _beyond(limit + shift)))


def detectable(found: Components, trial: Trial, wanted: float = POWER) -> float:
    """The least difference that is told with that power; infinite where none is."""
    if trial.seeds < 2 or trial.documents < 2:
        return math.inf
    low, high = 0.0, 10.0
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if power(found, middle, trial) >= wanted else (middle, high)
    return high


def enough(found: Components, difference: float, seeds: int, rungs: int = 1, wanted: float = POWER) -> int | None:
    """The fewest documents, within 1 %, with which so many seeds reach that power; None where MOST do not."""
    low, high = 1, MOST
    if power(found, difference, Trial(seeds, high, rungs)) < wanted:
        return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if power(found, difference, Trial(seeds, middle, rungs)) >= wanted else (middle, high)
    return high


def _beyond(z: ndarray) -> ndarray:
    """P(Z > z)."""
    import numpy as np

    found: ndarray = np.array([math.erfc(one / math.sqrt(2)) / 2 for one in z])
    return found
