"""One variance of several samples, where a test allows it. (no torch, no SciPy)"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray

POOLABLE = 0.25                             # of a test that only decides about the next: Bancroft 1964
DRAWS = 2000

Part = tuple[float, float]                  # a variance and its degrees of freedom


def pooled(parts: Sequence[Part]) -> Part:
    """The common variance, with the degrees of freedom of all."""
    degrees = sum(degrees for _, degrees in parts)
    return sum(variance * own for variance, own in parts) / degrees, degrees


def equal_variances_p(parts: Sequence[Part]) -> float:
    """Of the variances being equal: Bartlett's statistic (1937) against its own distribution, drawn, since with two
    degrees of freedom it is no chi-square. 1 for a single one, 0 where some vary and some do not at all."""
    import numpy as np

    variances, degrees = (np.array(column, float) for column in zip(*parts, strict=True))
    if len(parts) < 2 or not variances.any():
        return 1.0
    if not variances.all():
        return 0.0
    drawn = np.random.default_rng(0).chisquare(degrees, (DRAWS, len(parts))) / degrees
    found = _unlike(variances / variances.max(), degrees)
    return float((1 + (_unlike(drawn, degrees) >= found).sum()) / (1 + DRAWS))


def _unlike(variances: ndarray, degrees: ndarray) -> ndarray:
    """Log of the pooled variance less the mean log variance, weighed by degrees of freedom. (..., k), (k,) -> (...)"""
    import numpy as np

    share = degrees / degrees.sum()
    found: ndarray = np.log(variances @ share) - np.log(variances) @ share
    return found


def common_variance(parts: Sequence[Part]) -> tuple[Part | None, bool]:
    """The variance to use for all, and whether it is pooled: else the largest. None without any that is known."""
    known = [part for part in parts if math.isfinite(part[0])]
    if not known:
        return None, False
    if equal_variances_p(known) >= POOLABLE:
        return pooled(known), True
    return max(known), False
