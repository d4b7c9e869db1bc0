"""How cost grows with length: local slopes, the fit of a + b T^p, where one system becomes cheaper. (no torch)

Costs come as one sequence of rounds per length. Intervals resample the rounds within each length; below five rounds a
median resampled is too narrow, and there is none. A straight line through log-log points is no exponent: a fixed
overhead hides the growth at short lengths, so slopes are local, the exponent is that of the longest lengths, and the
fit has a constant of its own. What the machine did between lengths, that were timed apart, is in every slope: `drift`
is the standard deviation of the log of that, and lies inside the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .intervals import CONFIDENCE, Estimate, bootstrap_limits

if TYPE_CHECKING:
    from numpy import ndarray

RESAMPLES = 1000
MIN_ROUNDS = 5
MAX_EXPONENT = 4.0
DRIFT = 0.22                # of identical code timed in two groups: 36.5 and 49.9 ms on a shared machine


@dataclass(frozen=True)
class PowerFit:
    """t = a + b T^p with the interval of p, None without repeated rounds."""

    a: float
    b: float
    p: float
    p_low: float | None
    p_high: float | None


@dataclass(frozen=True)
class Crossover:
    """The length from which A stays cheaper than B.

    `kind` is "between" (two measured lengths, `length` is set), "below the shortest", "beyond the longest" (dearer so
    far, but the gap closes) or "none". An interval that is open reaches 0 or infinity.
    """

    length: float | None
    low: float | None
    high: float | None
    kind: str


def exponent(lengths: Sequence[int], costs: Sequence[Sequence[float]], window: int = 3, seed: int = 0,
             drift: float = 0.0) -> Estimate:
    """The slope of log cost on log length over the `window` longest lengths.

    There a fixed overhead hides least; fitted over all lengths it passes for a small exponent.
    """
    import numpy as np

    if min(len(lengths), window) < 2:
        raise ValueError("a slope needs two lengths")
    medians = _log_medians(costs[-window:], seed, drift)
    x = np.log(lengths[-window:]) - np.mean(np.log(lengths[-window:]))
    slopes = medians @ x / (x @ x)
    return Estimate(float(slopes[0]), *_limits(slopes[1:], costs[-window:]), min(map(len, costs[-window:])))


def local_slopes(lengths: Sequence[int], costs: Sequence[Sequence[float]], seed: int = 0,
                 drift: float = 0.0) -> list[Estimate]:
    """The slope of log cost on log length between each length and the next."""
    return [exponent(lengths[i:i + 2], costs[i:i + 2], 2, seed, drift) for i in range(len(lengths) - 1)]


def growth_exponent(lengths: Sequence[int], costs: Sequence[Sequence[float]], drift: float = 0.0,
                    seed: int = 0) -> tuple[Estimate, str]:
    """The exponent with which costs grow, and how it was told.

    Where local slopes agree within noise it is the slope of the longest lengths. Where they rise a constant hides the
    growth, and it is p of a + b T^p; where they fall it is the slope at the end.
    """
    bend, first, last = _bend(lengths, costs, drift, seed)
    words = f"local slopes {'rise' if bend > 0 else 'fall'} from {first:.2f} to {last:.2f}"
    if bend > 0:
        fit = fit_power(lengths, costs, drift=drift, seed=seed)
        return Estimate(fit.p, fit.p_low, fit.p_high, min(map(len, costs))), f"p of a + b T^p, since {words}"
    if bend < 0:
        return exponent(lengths, costs, 2, seed, drift), f"the end, since {words}"
    return exponent(lengths, costs, seed=seed, drift=drift), f"slope of T {lengths[-3:][0]}-{lengths[-1]}"


def _bend(lengths: Sequence[int], costs: Sequence[Sequence[float]], drift: float,
          seed: int) -> tuple[int, float, float]:
    """1 where the last local slope is above the first beyond noise, -1 below, else 0; and both."""
    import numpy as np

    slopes = np.diff(_log_medians(costs, seed, drift)) / np.diff(np.log(lengths))             # (R, L - 1)
    rise = slopes[:, -1] - slopes[:, 0]
    low, high = _limits(rise[1:], costs)
    if len(lengths) < 3 or low is None or high is None or low <= 0 <= high:
        return 0, float(slopes[0, 0]), float(slopes[0, -1])
    return (1 if rise[0] > 0 else -1), float(slopes[0, 0]), float(slopes[0, -1])


def _log_medians(costs: Sequence[Sequence[float]], seed: int, drift: float, resamples: int = RESAMPLES) -> ndarray:
    """Medians of log cost, the resampled ones each with a drift of their own. (1 + resamples, L)"""
    import numpy as np

    medians = _medians([[math.log(cost) for cost in rounds] for rounds in costs], seed, resamples)
    medians[1:] += np.random.default_rng(seed + 1).normal(0, 1, medians[1:].shape) * drift
    return medians


def _medians(samples: Sequence[Sequence[float]], seed: int, resamples: int = RESAMPLES) -> ndarray:
    """The median of each sample in the first row, of resampled ones in the others. (1 + resamples, samples)"""
    import numpy as np

    generator = np.random.default_rng(seed)
    columns = []
    for sample in samples:
        values = np.asarray(sample, float)
        chosen = generator.integers(len(values), size=(resamples, len(values)))
        columns.append(np.concatenate([[np.median(values)], np.median(values[chosen], axis=1)]))
    return np.stack(columns, axis=1)


def _limits(replicates: ndarray, costs: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """The interval of what all lengths settle together: widened as for their rounds taken together."""
    if min(map(len, costs)) < MIN_ROUNDS:
        return None, None
    return bootstrap_limits(replicates, sum(map(len, costs)), CONFIDENCE)


def fit_power(lengths: Sequence[int], costs: Sequence[Sequence[float]], censored: Mapping[int, float] | None = None,
              resamples: int = 400, seed: int = 0, drift: float = 0.0) -> PowerFit:
    """Fit cost = a + b T^p with a, b >= 0 and 0 <= p <= 4 to the medians of the rounds, by relative least squares.

    `censored` maps a length that did not finish to what is known to lie below its cost (a timeout in the unit of the
    costs); it counts only where the curve passes below. Given p the model is linear, so p alone is searched. b = 0
    (nothing grows) gives p = 0. Raises ValueError for fewer than three lengths.
    """
    import numpy as np

    if len(lengths) < 3:
        raise ValueError("a fit of a + b T^p needs three lengths")
    bounds = dict(censored or {})
    longest = max([*lengths, *bounds])
    x = np.array([*lengths, *bounds]) / longest                                 # (L,)
    medians = np.exp(_log_medians([*costs, *([bound] for bound in bounds.values())], seed, drift, resamples))
    measured = np.arange(len(x)) < len(lengths)
    p, step = np.full((len(medians), 1), MAX_EXPONENT / 2), MAX_EXPONENT / 80
    for points in (40, 10, 10):                                                # each stage refines the one before
        trial = np.clip(p + step * np.arange(-points, points + 1), 0, MAX_EXPONENT)     # (R, P)
        a, b, error = _fit_linear(x, medians, measured, trial)
        best = error.argmin(axis=1, keepdims=True)
        p, a, b = (np.take_along_axis(grid, best, axis=1) for grid in (trial, a, b))
        step /= 10
    p = np.where(b > 0, p, 0.0)[:, 0]
    low, high = _limits(p[1:], costs)
    return PowerFit(float(a[0, 0]), float(b[0, 0] / longest ** p[0]), float(p[0]), low, high)


def _fit_linear(x: ndarray, y: ndarray, measured: ndarray, p: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """The non-negative a, b of y = a + b x^p, and the squared relative error. x (L,), y (R, L), p (R, P) -> (R, P)"""
    import numpy as np

    u = np.broadcast_to(1 / y[:, None, :], (*p.shape, len(x)))                 # (R, P, L)
    v = x ** p[..., None] * u
    active = np.broadcast_to(measured, u.shape)
    for _ in range(1 + int((~measured).sum())):          # a bound joins the fit as long as the curve passes below it
        uu, uv, vv, u1, v1 = ((active * term).sum(-1) for term in (u * u, u * v, v * v, u, v))
        determinant = uu * vv - uv * uv
        regular = determinant > 1e-12 * uu * vv
        scale = np.where(regular, determinant, 1)
        a, b = (u1 * vv - v1 * uv) / scale, (v1 * uu - u1 * uv) / scale
        flat, proportional = ~regular | (b < 0), regular & (a < 0)
        a = np.where(flat, u1 / uu, np.where(proportional, 0, a))
        b = np.where(flat, 0, np.where(proportional, v1 / vv, b))
        residual = a[..., None] * u + b[..., None] * v - 1
        active = measured | (residual < 0)
    return a, b, (active * residual**2).sum(-1)


def crossover(lengths: Sequence[int], a: Sequence[Sequence[float]], b: Sequence[Sequence[float]],
              seed: int = 0) -> Crossover:
    """Where A becomes cheaper than B for good, between lengths by interpolation of the log ratio on log length.

    Rounds of A and B at one length are paired. An empty sequence means that the length did not fit: dearer than any
    that did. A length where neither fitted tells nothing.
    """
    import numpy as np

    shared = [i for i in range(len(lengths)) if len(a[i]) or len(b[i])]
    if len(shared) < 2:
        raise ValueError("a crossover needs two lengths")
    x = np.log2([lengths[i] for i in shared])
    gaps = [[math.log(s / t) for s, t in zip(a[i], b[i], strict=True)] if len(a[i]) and len(b[i])
            else [math.inf if len(b[i]) else -math.inf] for i in shared]
    gap = _medians(gaps, seed)                                                  # (R, L), negative where A is cheaper
    crossing = np.exp2(_last_crossing(x, gap))
    n = min((len(a[i]) for i in shared if len(a[i]) and len(b[i])), default=0)
    low, high = bootstrap_limits(crossing[1:], n, CONFIDENCE) if n >= MIN_ROUNDS else (None, None)
    length, shortest, longest = float(crossing[0]), float(2 ** x[0]), float(2 ** x[-1])
    if 0 < length < math.inf:
        return Crossover(length, low, high, "between")
    if length == 0:
        return Crossover(None, low, high if high is None else max(high, shortest), "below the shortest")
    with np.errstate(invalid="ignore"):
        closing = gap[:, -1] - gap[:, -2] < 0
    return Crossover(None, low if low is None else min(low, longest), high,
                     "beyond the longest" if closing[0] and closing.mean() >= (1 + CONFIDENCE) / 2 else "none")


def _last_crossing(x: ndarray, gap: ndarray) -> ndarray:
    """Where each row of `gap` last falls below zero: -inf if it always lies below, inf if it ends above. (R,)"""
    import numpy as np

    dearer = gap >= 0
    last = np.where(dearer.any(1), len(x) - 1 - dearer[:, ::-1].argmax(1), -1)  # the longest length where A is dearer
    left = np.clip(last, 0, len(x) - 2)
    before, after = (np.take_along_axis(gap, (left + k)[:, None], 1)[:, 0] for k in (0, 1))
    known = np.isfinite(before) & np.isfinite(after) & (before > after)
    unknown = np.linspace(1, 0, len(gap))     # where one did not fit: said of the length that shows it, or any before
    share = np.where(known, np.where(known, before, 1) / np.where(known, before - after, 1), unknown)
    inside = x[left] + share * (x[left + 1] - x[left])
    return np.where(last < 0, -math.inf, np.where(last == len(x) - 1, math.inf, inside))


def largest_fit(lengths: Sequence[int], fits: Sequence[bool]) -> Estimate:
    """The longest length before the first that failed; the truth lies below that one (None where all fitted)."""
    failed = next((length for length, ok in zip(lengths, fits, strict=True) if not ok), None)
    passed = [length for length in lengths if failed is None or length < failed]
    return Estimate(max(passed, default=0), max(passed, default=0), failed, len(lengths))
