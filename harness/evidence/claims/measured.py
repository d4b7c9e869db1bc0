"""A measurement of a rule: its number with intervals, or that there is none. (no torch)"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...suite import ByRound, Counted
from ..comparison.pairs import Reading
from ..format import DEVIATION
from ..statistics.intervals import Estimate
from ..statistics.student import CONFIDENCE, normal_quantile, student_t, t_p_value


@dataclass(frozen=True)
class Measurement:
    """`estimate` with its 95 % interval, noise included; `tight` is that of the equivalence test.

    `ratio`: of two numbers, else a difference or the number itself, in `unit`. `estimate.n` counts `repeats`.
    """

    estimate: Estimate
    tight: Estimate
    ratio: bool = False
    unit: str = ""
    repeats: str = ""
    how: str = ""
    cells: tuple[str, ...] = ()
    degrees: float = 0.0                    # of freedom; 0: one less than its repetitions

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the interval; infinite where its spread counts as known."""
        return self.degrees or (self.estimate.n - 1 if self.estimate.n > 1 else math.inf)

    @property
    def error(self) -> tuple[float, float] | None:
        """The standard error that the interval tells, of the log of a ratio, with its degrees of freedom; None of what
        is exact, or has no interval."""
        low, high = self.estimate.low, self.estimate.high
        if low is None or high is None or low == high or math.isinf(high - low) or (self.ratio and low <= 0):
            return None
        width = math.log(high / low) if self.ratio else high - low
        return width / 2 / self._limit, self.freedom

    def p_of(self, threshold: float) -> float | None:
        """Two-sided, of the number being `threshold`, as its interval tells it; None of what is exact, or has none."""
        low, high = self.estimate.low, self.estimate.high
        if low is None or high is None or low == high or (self.ratio and min(low, threshold) <= 0):
            return None
        scale = math.log if self.ratio else float
        value, at = scale(self.estimate.value), scale(threshold)
        half = abs(scale(low if at < value else high) - value)
        if not half or math.isinf(half):
            return None
        distance, degrees = abs(value - at) / half * self._limit, self.freedom
        return t_p_value(distance, degrees) if math.isfinite(degrees) else math.erfc(distance / math.sqrt(2))

    @property
    def _limit(self) -> float:
        """Standard errors to an end of the interval."""
        finite = math.isfinite(self.freedom)
        return student_t(CONFIDENCE, self.freedom) if finite else normal_quantile(CONFIDENCE)


class NoMeasurement(Exception):
    """There is no number: what is missing."""


class ScoreRefused(Exception):
    """The number was refused: the model failed its audit. `both`: so did what it is compared with."""

    def __init__(self, reason: str, both: bool = False):
        super().__init__(reason)
        self.both = both


def is_exact(reading: Reading) -> bool:
    return isinstance(reading.compared, Counted) or reading.row.unit == DEVIATION


def rounds_of(reading: Reading) -> list[float]:
    how = reading.compared
    return reading.result.rounds(how.key) if isinstance(how, ByRound) else []
