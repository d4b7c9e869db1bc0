"""An estimate and its interval; Student's t for what is about normal: few seeds, many documents. (no torch, no SciPy)

Variances that add up (of two samples, of seeds and documents) keep the degrees of freedom that they have together, so
that a variance known from three seeds is not taken for one known from sixty documents.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value from `n` measurements with its interval, None where `n` allows none."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Student:
    """A normal value; its variance has `degrees` of freedom, infinite where it is known. None where nothing repeats."""

    value: float
    variance: float | None
    degrees: float
    n: int

    def interval(self, confidence: float = CONFIDENCE) -> Estimate:
        if self.variance is None:
            return Estimate(self.value, None, None, self.n)
        t = student_t(confidence, self.degrees) if math.isfinite(self.degrees) else normal_quantile(confidence)
        half = t * math.sqrt(self.variance)
        return Estimate(self.value, self.value - half, self.value + half, self.n)

    @property
    def p(self) -> float:
        """Of the value being 0, two-sided; 1 where nothing repeats."""
        if self.variance is None or self.value == 0:
            return 1.0
        if self.variance == 0:
            return 0.0
        t = self.value / math.sqrt(self.variance)
        return t_p_value(t, self.degrees) if math.isfinite(self.degrees) else math.erfc(abs(t) / math.sqrt(2))


def student_mean(values: Sequence[float]) -> Student:
    n = len(values)
    return Student(statistics.fmean(values), statistics.variance(values) / n if n > 1 else None, n - 1, n)


def student_difference(a: Sequence[float], b: Sequence[float]) -> Student:
    """The mean of A minus that of B, apart, each with a variance of its own (Welch 1947)."""
    one, other = student_mean(a), student_mean(b)
    parts = [(s.variance, s.degrees) for s in (one, other) if s.variance is not None]
    variance, degrees = satterthwaite(parts) if len(parts) == 2 else (None, 0)
    return Student(one.value - other.value, variance, degrees, min(one.n, other.n))


def satterthwaite(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The sum of variances and its degrees of freedom (Satterthwaite 1946), rounded down for a sum of several: with few
    degrees they are told too many. From (variance, degrees)."""
    if len(parts) == 1:
        return parts[0]
    total, largest = sum(variance for variance, _ in parts), max((variance for variance, _ in parts), default=0.0)
    if not largest or not math.isfinite(total):
        return total, sum(degrees for _, degrees in parts)
    spread = sum((variance / largest)**2 / degrees for variance, degrees in parts)      # its square may overflow
    return total, max(1.0, math.floor((total / largest)**2 / spread + 1e-9))


def normal_quantile(confidence: float) -> float:
    """The z with P(|Z| <= z) = confidence."""
    return statistics.NormalDist().inv_cdf((1 + confidence) / 2)


@cache
def student_t(confidence: float, degrees: float) -> float:
    """The t with P(|T| <= t) = confidence, by bisection; `degrees` need not be whole."""
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _outside(middle, degrees) > 1 - confidence else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def t_p_value(t: float, degrees: float) -> float:
    """P(|T| > |t|)."""
    return _outside(math.atan(abs(t) / math.sqrt(degrees)), degrees)


def _outside(theta: float, degrees: float) -> float:
    """P(|T| > sqrt(degrees) tan theta), an incomplete beta function (Abramowitz and Stegun 1964, 26.7.1)."""
    return incomplete_beta(math.cos(theta)**2, degrees / 2, 0.5)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b), 0 <= x <= 1, by its continued fraction (the same, 26.5.8), evaluated as Lentz 1976 does."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):                           # where it converges slowly
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny, upper = 1e-300, 1.0
    value = lower = 1 / (1 - (a + b) * x / (a + 1) or tiny)
    for step in range(1, 10_000):
        for term in (step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
                     -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))):
            lower = 1 / (1 + term * lower or tiny)
            upper = 1 + term / upper or tiny
            value *= lower * upper
        if abs(lower * upper - 1) < 1e-15:
            break
    return front * value
