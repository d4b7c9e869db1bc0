"""Intervals of what follows from a fit: runs are resampled, and documents where they are known. (no torch, no SciPy)

All budgets that branch off one trunk vary together, so a run is weighed as a whole. Weights are exponential instead of
counts (Rubin 1981; Xu et al. 2020): a ladder has few runs of its largest size, and counts would leave them all out time
and again. Documents have weights of their own, crossed with those of the runs (Owen and Eckles 2012).

A fit takes up some of what varies between runs, so resampled ones vary too little: deviations are stretched, on the log
scale, by sqrt(m / (m - q)) and by Student's t over the normal, for m runs and q parameters' worth of their variation.
What is told by the budgets within a run, such as beta, takes up none of it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from ..statistics.student import CONFIDENCE, Estimate, normal_quantile, student_t
from .point import Point

if TYPE_CHECKING:
    from numpy import ndarray
    from numpy.random import Generator


def run_weights(runs: Sequence[Hashable], resamples: int, generator: Generator) -> ndarray:
    """Ones in the first row, then one exponential weight of each run. (1 + R, n)"""
    import numpy as np

    places = {run: place for place, run in enumerate(dict.fromkeys(runs))}
    drawn = np.concatenate([np.ones((1, len(places))), generator.exponential(size=(resamples, len(places)))])
    weights: ndarray = drawn[:, [places[run] for run in runs]]
    return weights


def resampled_logs(points: Sequence[Point], resamples: int, generator: Generator) -> ndarray:
    """The log loss of every point, with documents weighed anew in all rows but the first. (1 + R, n)

    Where a corpus has no documents, or not the same ones everywhere, it is (1, n) for all."""
    import numpy as np

    logs = np.log([point.bits for point in points])[None]
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for point in points:
        sizes.setdefault(point.corpus, set()).add(point.document_bytes)
    if any(len(found) > 1 or not all(found) for found in sizes.values()):
        return logs
    weights = {corpus: generator.exponential(size=(resamples, len(next(iter(found)))))
               for corpus, found in sizes.items()}
    totals = {corpus: weights[corpus] @ np.array(next(iter(found)), float) for corpus, found in sizes.items()}
    columns = [np.log(weights[point.corpus] @ np.array(point.document_bits) / totals[point.corpus]) for point in points]
    return np.concatenate([logs, np.stack(columns, axis=1)])


def absorbed(jacobian: ndarray, runs: Sequence[Hashable]) -> float:
    """The number q of run effects that a fit takes up: the trace of its hat matrix between unit vectors of runs.

    `jacobian` (n, P). A fit of rank P takes up P where every point is a run of its own.
    """
    import numpy as np

    places = {run: place for place, run in enumerate(dict.fromkeys(runs))}
    of_run = np.eye(len(places))[[places[run] for run in runs]]                 # (n, m)
    basis, sizes, _ = np.linalg.svd(jacobian, full_matrices=False)
    basis = basis[:, sizes > sizes[0] * 1e-9]
    return float((((of_run / np.sqrt(of_run.sum(0))).T @ basis)**2).sum())


def stretch(runs: int, parameters: float, confidence: float = CONFIDENCE) -> float:
    """By how much deviations of resampled fits fall short; infinite where the fit takes up all variation of runs."""
    degrees = runs - parameters
    if degrees < 1:
        return math.inf
    return math.sqrt(runs / degrees) * student_t(confidence, degrees) / normal_quantile(confidence)


def resampled_interval(values: ndarray, factor: float, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """Of positive values, the fit's first and then those resampled: percentiles of their log deviations times `factor`.

    An end that reaches 0 or infinity is open, None: the points do not say.
    """
    import numpy as np

    value, tail = float(values[0]), (1 - confidence) / 2
    if len(values) < 2 or not (math.isfinite(factor) and 0 < value < math.inf):
        return Estimate(value, None, None, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.log(values[1:] / value) * factor
    deviations = deviations[~np.isnan(deviations)]
    ends = (np.quantile(deviations, tail, method="lower"), np.quantile(deviations, 1 - tail, method="higher"))
    low, high = (value * math.exp(end) if -700 < end < 700 else None for end in map(float, ends))
    return Estimate(value, low, high, n)
