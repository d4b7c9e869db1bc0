"""Intervals, ratios, bits per byte: what the numbers of a run can be said to show. (no torch, no SciPy)

One habit runs through it: what was measured together is compared together. Timings are paired by round, losses by
document, so that what both sides share (drift of the machine, difficulty of the text) cancels before an interval is
drawn. Intervals are distribution-free where rounds are few and noise is skewed; where there are too few values for an
interval there is none (None), never a narrow one. The coverage of each is tested by simulation.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import ranks
from .documents import bits_per_byte_interval as bits_per_byte_interval
from .documents import effective_number as effective_number
from .documents import paired_bits_difference as paired_bits_difference
from .student import CONFIDENCE as CONFIDENCE
from .student import Estimate as Estimate
from .student import Student, student_difference, student_mean
from .student import normal_quantile as normal_quantile
from .student import student_t as student_t

if TYPE_CHECKING:
    from numpy import ndarray

POWER = 0.8                                 # with which a minimum detectable effect is found


# One sample

def percentile(values: Sequence[float], q: float) -> float:
    """The q-th percentile, 0 <= q <= 100, linear between order statistics (Hyndman and Fan 1996, type 7)."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * q / 100
    below = min(math.floor(place), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def iqr(values: Sequence[float]) -> float:
    """The distance between the quartiles."""
    return percentile(values, 75) - percentile(values, 25)


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The median between two order statistics, from the binomial distribution (David and Nagaraja 2003, 7.1).

    Holds for every continuous distribution; at 95 % it needs six values.
    """
    ordered, n = sorted(values), len(values)
    tail, below = 0.5**n, 0                  # P(Binomial(n, 1/2) <= below)
    if tail > (1 - confidence) / 2:
        return Estimate(statistics.median(ordered), None, None, n)
    while (longer := tail + math.comb(n, below + 1) * 0.5**n) <= (1 - confidence) / 2:
        tail, below = longer, below + 1
    return Estimate(statistics.median(ordered), ordered[below], ordered[n - 1 - below], n)


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean with Student's t interval: for seeds, where a bootstrap of three values is far too narrow."""
    return student_mean(values).interval(confidence)


def share_interval(share: float, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share of successes in `n` independent trials with Wilson's score interval (Brown, Cai and DasGupta 2001).

    It holds at 0 and at 1. For a mean of shares, one of each text, it is too wide rather than too narrow: their
    variance is at most that of trials that succeed or fail as a whole.
    """
    z = normal_quantile(confidence)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return Estimate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)), n)


# Timings of two systems

def paired_ratio(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The ratio a / b of positive values measured in the same rounds.

    The pseudo-median of the log ratios with the exact signed-rank interval. It asks for symmetry only, which a log
    ratio has when the same noise falls on both sides, however skewed; a drift cancels and an outlier moves one rank.
    Below six rounds the t interval stands in.
    """
    return _ratio(*_paired(a, b), confidence)


def paired_p_value(a: Sequence[float], b: Sequence[float]) -> float:
    """Of a / b = 1 in the same rounds: signed rank, two-sided; 1 for a single round."""
    return _p_value(*_paired(a, b))


def unpaired_ratio(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE,
                   noise: float = 1.0) -> Estimate:
    """The ratio a / b of positive values measured apart, its interval widened by the factor `noise`.

    The median of the log ratios of all pairs with the exact rank-sum interval; below four a side, Welch's.
    """
    ratio = _ratio(*_unpaired(_logs(a), _logs(b)), confidence)
    if ratio.low is None or ratio.high is None:
        return ratio
    return Estimate(ratio.value, ratio.low / noise, ratio.high * noise, ratio.n)


def unpaired_p_value(a: Sequence[float], b: Sequence[float], noise: float = 1.0) -> float:
    """Of a / b lying within the factor `noise` of 1, measured apart: rank sum, two-sided."""
    logs, widest = math.log(unpaired_ratio(a, b).value), math.log(noise)
    if abs(logs) <= widest:
        return 1.0
    return _p_value(*_unpaired(_logs(a) - math.copysign(widest, logs), _logs(b)))


def _logs(values: Sequence[float]) -> ndarray:
    import numpy as np

    logs: ndarray = np.log(np.asarray(values, float))
    return logs


def _paired(a: Sequence[float], b: Sequence[float]) -> tuple[ndarray, ndarray, Student]:
    logs = _logs(a) - _logs(b)
    return ranks.walsh_averages(logs), ranks.signed_rank(len(logs)), student_mean(logs.tolist())


def _unpaired(a: ndarray, b: ndarray) -> tuple[ndarray, ndarray, Student]:
    student = student_difference(a.tolist(), b.tolist())
    return ranks.pair_differences(a, b), ranks.rank_sum(len(a), len(b)), student


def _ratio(pairs: ndarray, cumulative: ndarray, student: Student, confidence: float) -> Estimate:
    """From logs: the median pair between two others; where there are too few, the mean with its t interval."""
    import numpy as np

    depth = ranks.depth(cumulative, (1 - confidence) / 2)
    if depth:
        value, low, high = np.exp([np.median(pairs), pairs[depth - 1], pairs[-depth]]).tolist()
        return Estimate(value, low, high, student.n)
    mean = student.interval(confidence)
    if mean.low is None or mean.high is None:
        return Estimate(math.exp(mean.value), None, None, mean.n)
    return Estimate(math.exp(mean.value), math.exp(mean.low), math.exp(mean.high), mean.n)


def _p_value(pairs: ndarray, cumulative: ndarray, student: Student) -> float:
    """Of ranks. Where all pairs agree they know no smaller p however large the effect: t may then lower it."""
    if not ranks.depth(cumulative, (1 - CONFIDENCE) / 2):
        return student.p
    p, extreme = ranks.p_value(pairs, cumulative)
    return min(p, student.p) if extreme else p


def noise_floor(aa: tuple[Sequence[float], Sequence[float]]) -> float:
    """The ratio up to which identical code may appear to differ: the far end of the interval of the A/A control.

    At least 1; infinite where the control has too few rounds to tell.
    """
    control = paired_ratio(*aa)
    if control.low is None or control.high is None:
        return math.inf
    return max(control.high, 1 / control.low)


def distinguishable(ratio: Estimate, floor: float = 1.0) -> bool:
    """Whether a ratio differs from 1: its interval excludes 1 and its value lies beyond the noise floor."""
    if ratio.low is None or ratio.high is None:
        return False
    return not ratio.low <= 1 <= ratio.high and max(ratio.value, 1 / ratio.value) > floor


def equivalent(a: Sequence[float], b: Sequence[float], margin: float = 0.05, alpha: float = 0.05) -> bool:
    """Whether a / b is the same up to a factor 1 + margin: two one-sided tests at `alpha` (Schuirmann 1987)."""
    return within(paired_ratio(a, b, 1 - 2 * alpha), 1 / (1 + margin), 1 + margin)


def within(estimate: Estimate, low: float, high: float) -> bool:
    """Whether the interval lies between bounds: at confidence 1 - 2 alpha that is the equivalence test at alpha."""
    return estimate.low is not None and estimate.high is not None and low < estimate.low <= estimate.high < high


def minimum_detectable(ratio: Estimate, floor: float = 1.0) -> float:
    """The factor that rounds such as these would find to differ with POWER, alone; infinite without an interval.

    Found is what clears both the interval and the noise floor, as in `distinguishable`.
    """
    if ratio.low is None or ratio.high is None:
        return math.inf
    half = math.log(ratio.high / ratio.low) / 2
    error = half / normal_quantile(CONFIDENCE)
    return math.exp(max(half, math.log(floor)) + statistics.NormalDist().inv_cdf(POWER) * error)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in their order (Holm 1979)."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


# Resampling

def bootstrap_limits(replicates: ndarray, n: int, confidence: float) -> tuple[float | None, float | None]:
    """Percentiles of bootstrap replicates, moved outwards as far as t is wider than the normal for `n` values."""
    import numpy as np

    if n < 2:
        return None, None
    tail = statistics.NormalDist().cdf(-student_t(confidence, n - 1) * math.sqrt(n / (n - 1)))
    low, high = np.quantile(replicates, tail, method="lower"), np.quantile(replicates, 1 - tail, method="higher")
    return float(low), float(high)
