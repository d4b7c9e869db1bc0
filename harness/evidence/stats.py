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
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A value from `n` measurements with its interval, None where `n` allows none."""

    value: float
    low: float | None
    high: float | None
    n: int


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
    n, mean = len(values), statistics.fmean(values)
    if n < 2:
        return Estimate(mean, None, None, n)
    half = student_t(confidence, n - 1) * statistics.stdev(values) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def share_interval(share: float, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share of successes in `n` independent trials with Wilson's score interval (Brown, Cai and DasGupta 2001).

    It holds at 0 and at 1. For a mean of shares, one of each text, it is too wide rather than too narrow: their
    variance is at most that of trials that succeed or fail as a whole.
    """
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def student_t(confidence: float, degrees: int) -> float:
    """The t with P(|T| <= t) = confidence, by bisection of the finite series for whole degrees of freedom.

    Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
    """
    odd = degrees % 2

    def inside(theta: float) -> float:
        term = math.cos(theta) ** odd
        total = 0.0 if degrees == 1 else term
        for k in range(2 + odd, degrees - 1, 2):
            term *= (k - 1) / k * math.cos(theta) ** 2
            total += term
        return 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) < confidence else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


# Timings of two systems in interleaved rounds

def paired_ratio(a: Sequence[float], b: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The ratio a / b of positive values measured in the same rounds.

    The pseudo-median of the log ratios with the exact signed-rank interval (Hodges and Lehmann 1963; Hollander, Wolfe
    and Chicken 2014, 3.3). It asks for symmetry only, which a log ratio has when the same noise falls on both sides,
    however skewed; a drift cancels and an outlier moves one rank. Below six rounds the t interval stands in.
    """
    import numpy as np

    logs = np.log(np.asarray(a, float)) - np.log(np.asarray(b, float))
    n = len(logs)
    depth = _signed_rank_depth(n, (1 - confidence) / 2)
    if depth == 0:
        mean = mean_interval(logs.tolist(), confidence)
        if mean.low is None or mean.high is None:
            return Estimate(math.exp(mean.value), None, None, n)
        return Estimate(math.exp(mean.value), math.exp(mean.low), math.exp(mean.high), n)
    first, second = np.triu_indices(n)
    walsh = np.sort((logs[first] + logs[second]) / 2)        # (n (n + 1) / 2,)
    value, low, high = np.exp([np.median(walsh), walsh[depth - 1], walsh[-depth]]).tolist()
    return Estimate(value, low, high, n)


def _signed_rank_depth(n: int, tail: float) -> int:
    """How many Walsh averages to cut off at each end: the largest k with P(W < k) <= tail, 0 where there is none."""
    import numpy as np

    chance = np.zeros(n * (n + 1) // 2 + 1)                   # of each rank sum W
    chance[0] = 1.0
    for rank in range(1, n + 1):
        chance[rank:] = (chance[rank:] + chance[:-rank]) / 2
        chance[:rank] /= 2
    return int(np.searchsorted(np.cumsum(chance), tail * (1 + 1e-9), side="right"))


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
    ratio = paired_ratio(a, b, 1 - 2 * alpha)
    return ratio.low is not None and ratio.high is not None and 1 / (1 + margin) < ratio.low <= ratio.high < 1 + margin


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, in their order (Holm 1979)."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


# Losses by document

def bits_per_byte_interval(bits: Sequence[float], bytes: Sequence[float], confidence: float = CONFIDENCE,
                           resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Total bits over total bytes, resampling documents: `bits` and `bytes` of each, in one order.

    Tokens of a document are not independent, documents are. Expanded percentile interval (Hesterberg 2015).
    """
    import numpy as np

    pairs = np.stack([np.asarray(bits, float), np.asarray(bytes, float)])        # (2, documents)
    n = pairs.shape[1]
    generator, block = np.random.default_rng(seed), max(1, 1_000_000 // n)
    ratios = []
    for start in range(0, resamples, block):
        chosen = generator.integers(n, size=(min(block, resamples - start), n))
        totals = pairs[:, chosen].sum(-1)                                        # (2, resamples)
        ratios.append(totals[0] / totals[1])
    value = float(pairs[0].sum() / pairs[1].sum())
    return Estimate(value, *bootstrap_limits(np.concatenate(ratios), n, confidence), n)


def paired_bits_difference(bits_a: Sequence[float], bits_b: Sequence[float], bytes: Sequence[float],
                           confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Bits per byte of A minus those of B over the same documents: resampled together, their difficulty cancels."""
    difference = [a - b for a, b in zip(bits_a, bits_b, strict=True)]
    return bits_per_byte_interval(difference, bytes, confidence, resamples, seed)


def bootstrap_limits(replicates: ndarray, n: int, confidence: float) -> tuple[float | None, float | None]:
    """Percentiles of bootstrap replicates, moved outwards as far as t is wider than the normal for `n` values."""
    import numpy as np

    if n < 2:
        return None, None
    tail = statistics.NormalDist().cdf(-student_t(confidence, n - 1) * math.sqrt(n / (n - 1)))
    low, high = np.quantile(replicates, tail, method="lower"), np.quantile(replicates, 1 - tail, method="higher")
    return float(low), float(high)
