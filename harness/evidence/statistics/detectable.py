"""The least effect that a t-test of such repetitions sees, and how well that is known. (no torch, no SciPy)

The standard error is itself estimated: s^2 / sigma^2 is chi-square over its degrees of freedom, and so the least effect
has an interval of its own, wide where seeds are few.
"""

from __future__ import annotations

import math
import statistics

from .intervals import CONFIDENCE, POWER, Estimate
from .student import normal_quantile, student_t

DRAWS = 2000


def detectable_effect(error: float, degrees: float) -> Estimate:
    """The true effect that a two-sided test at 5 % tells in POWER of runs (noncentral t), with the interval that its
    standard error leaves; none of an error that is known (infinite degrees)."""
    return _known_as_well(error * _noncentrality(degrees), error, degrees)


def confirmable_margin(error: float, degrees: float) -> Estimate:
    """The least margin in which two equals are told to be the same, by two one-sided tests at 5 %, in POWER of runs."""
    normal = not math.isfinite(degrees)
    test, chance = ((normal_quantile(c) if normal else student_t(c, degrees)) for c in (0.9, POWER))
    return _known_as_well(error * (test + chance), error, degrees)


def _known_as_well(effect: float, error: float, degrees: float) -> Estimate:
    if not math.isfinite(degrees) or not error:
        return Estimate(effect, None, None, 1)
    low, high = (math.sqrt(degrees / chi_square_quantile((1 + sign * CONFIDENCE) / 2, degrees)) for sign in (1, -1))
    return Estimate(effect, effect * low, effect * high, 1)


def _noncentrality(degrees: float) -> float:
    """The shift, in standard errors, with which |T| passes its 5 % limit in POWER of draws."""
    if not math.isfinite(degrees):
        return normal_quantile(CONFIDENCE) + statistics.NormalDist().inv_cdf(POWER)
    import numpy as np

    spread = np.sqrt(np.random.default_rng(0).chisquare(degrees, DRAWS) / degrees)
    limits = (student_t(CONFIDENCE, degrees) * spread).tolist()
    low, high = 0.0, 100.0
    while high - low > 1e-3 * high:
        shift = (low + high) / 2
        told = sum(math.erfc((limit - shift) / math.sqrt(2)) / 2 for limit in limits) / DRAWS
        low, high = (shift, high) if told < POWER else (low, shift)
    return high


def chi_square_quantile(probability: float, degrees: float) -> float:
    """The x with P(X <= x) = probability, by bisection."""
    low, high = 0.0, degrees + 20 * math.sqrt(2 * degrees) + 20
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if lower_gamma(degrees / 2, middle / 2) < probability else (low, middle)
    return high


def lower_gamma(a: float, x: float) -> float:
    """P(a, x), the regularised lower incomplete gamma function, by its series (Abramowitz and Stegun 1964, 6.5.29)."""
    if x <= 0:
        return 0.0
    term = total = 1 / a
    k = a
    while term > 1e-16 * total:
        k += 1
        term *= x / k
        total += term
    return min(1.0, total * math.exp(a * math.log(x) - x - math.lgamma(a)))
