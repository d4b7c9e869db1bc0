"""B against A where documents and seeds vary: the log of their ratio, or their difference, and its variance. (no torch)

A score varies with the text that was held out and with the seed that trained the weights. Both systems read the same
documents, so these are paired and their difficulty cancels; seeds are paired where a seed gives both the same weights
and batches to start from (two runs of one plugin), otherwise each side has a variance of its own. Where all seeds score
the same documents the two are crossed, and their variances add (two-way random effects: Brennan 2001, 3.4); where every
seed draws its own they are nested, and the variance over seeds holds both. With few seeds that is all Student's t.

The variance of a ratio is that of its linearised terms, on the log scale (Cochran 1977, 6.4). Unlike resampling it has
a p-value as small as the data deserve, which a correction for many comparisons asks for. What unequal documents ask
for stands in documents.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .documents import document_degrees, document_variance, shortfall
from .intervals import CONFIDENCE, Estimate
from .pooling import Part
from .student import Student, normal_quantile, satterthwaite

if TYPE_CHECKING:
    from numpy import ndarray


@dataclass(frozen=True)
class Contrast:
    """B / A, told by its logarithm, or B - A."""

    student: Student
    ratio: bool

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        found = self.student.interval(confidence)
        if not self.ratio:
            return found
        low, high = (None if end is None else math.exp(end) for end in (found.low, found.high))
        return Estimate(math.exp(found.value), low, high, found.n)


def ratio_of(b: float, a: float) -> float | None:
    """B / A of two amounts. Anything is infinitely more than nothing, nothing is as much as nothing; None where one is
    negative or no number: there is no ratio."""
    if not (a >= 0 and b >= 0 and math.isfinite(a) and math.isfinite(b)):
        return None
    return b / a if a else (math.inf if b else 1.0)


def by_document(a: ndarray, b: ndarray, sizes: ndarray | None = None, *, same_seeds: bool = False,
                nested: bool = False, of_seed: Part | None = None) -> Contrast:
    """Scores of documents under seeds, a (S, N) and b (S', N).

    With `sizes` (N,) they are totals such as bits over bytes, and the contrast is their ratio; without, shares and
    their difference. `nested` asks for the same seeds on both sides. `of_seed`: the variance of the score of one seed
    with its degrees of freedom, where it is known from more than these two sides; relative where a ratio is asked for.
    Without it, one seed a side has the variance of documents alone: those weights are the question then.
    """
    import numpy as np

    counted = np.ones(a.shape[1]) if sizes is None else sizes
    ratio = sizes is not None and a.min() > 0 and b.min() > 0
    if ratio:
        value, (x, y, weights) = math.log(b.mean() / a.mean()), linearised(a, b, counted)
    else:
        mean_a, mean_b, mean_size = a.mean(), b.mean(), counted.mean()
        value, weights = float((mean_b - mean_a) / mean_size), counted / counted.sum()
        x, y = ((s - m / mean_size * counted) / mean_size for s, m in ((a, mean_a), (b, mean_b)))
    paired = same_seeds and len(x) > 1
    seeds = [y - x] if paired else [x, y]
    if of_seed and not paired:
        over_seeds = [(of_seed[0] * (1 / len(x) + 1 / len(y)), of_seed[1])]
    else:
        over_seeds = [_over_seeds(y - x)] if nested and len(x) > 1 else _over_each(seeds)
    if nested and over_seeds:
        parts, shared = over_seeds, 0.0
    else:
        parts = _over_documents(y.mean(0) - x.mean(0), weights) + over_seeds
        shared = sum(interaction(values, weights) for values in seeds)
    return Contrast(_student(value, parts, shared, a.shape[1]), bool(ratio))


def linearised(a: ndarray, b: ndarray, sizes: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Totals of documents under seeds as parts of their mean, each with mean 1, and the weight of each document."""
    return a / a.mean(), b / b.mean(), sizes / sizes.sum()


def by_seed(a: Sequence[float], b: Sequence[float], *, same_seeds: bool = False) -> Contrast:
    """One number of each seed: the ratio of geometric means where all are positive, else the difference of means."""
    import numpy as np

    ratio = min(*a, *b) > 0
    x, y = (np.log(np.asarray(s, float)) if ratio else np.asarray(s, float) for s in (a, b))
    paired = same_seeds and len(a) > 1
    parts = _over_each([(y - x)[:, None]] if paired else [x[:, None], y[:, None]])
    return Contrast(_student(float(y.mean() - x.mean()), parts, 0.0, min(len(a), len(b))), ratio)


def of_intervals(a: Estimate, b: Estimate) -> Contrast:
    """Two values with intervals of their own, taken to be normal and independent; a ratio where all is positive."""
    ends = [None if e.low is None or e.high is None else (e.low, e.high) for e in (a, b)]
    ratio = min(a.value, b.value, *(end for pair in ends if pair for end in pair)) > 0
    scale = math.log if ratio else float
    variance = None
    if all(ends):
        halves = [(scale(high) - scale(low)) / 2 for low, high in filter(None, ends)]
        variance = sum((half / normal_quantile(CONFIDENCE)) ** 2 for half in halves)
    return Contrast(Student(scale(b.value) - scale(a.value), variance, math.inf, 1), ratio)


def _student(value: float, parts: Sequence[Part], shared: float, n: int) -> Student:
    if not parts:
        return Student(value, None, 0, n)
    total, degrees = satterthwaite(parts)
    return Student(value, max(total - shared, *(variance for variance, _ in parts)), degrees, n)


def _over_documents(differences: ndarray, weights: ndarray) -> list[Part]:
    """Of the mean over documents; none for a single one. (N,), (N,)"""
    return [(document_variance(differences, weights), document_degrees(weights))] if len(weights) > 1 else []


def _over_seeds(values: ndarray) -> Part:
    """Of the mean over seeds. (S, N)"""
    return seed_variance(values) / len(values), len(values) - 1


def seed_variance(values: ndarray) -> float:
    """Of the score of one seed. (S, N)"""
    return float(values.mean(1).var(ddof=1))


def _over_each(sides: Sequence[ndarray]) -> list[Part]:
    """The variance over seeds of every side; a side of one seed is taken to vary as the other does."""
    known = [_over_seeds(side) for side in sides if len(side) > 1]
    if len(known) == 1 < len(sides):
        (variance, degrees), = known
        return [(variance + variance * (degrees + 1), degrees)]
    return known


def interaction(values: ndarray, weights: ndarray) -> float:
    """What the variances over documents and over seeds both hold: that of a document under a seed. (S, N), (N,)"""
    seeds, documents = values.shape
    if min(seeds, documents) < 2:
        return 0.0
    rest = (values - values.mean(0)) / documents
    rest = rest - weights * rest.sum(1, keepdims=True)
    return float((rest**2 / shortfall(weights)).sum() / ((seeds - 1) * seeds))
