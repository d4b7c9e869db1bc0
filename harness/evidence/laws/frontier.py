"""The lowest loss that was reached for a resource, and equal amounts side by side. (no torch, no SciPy)

Inside the measured range only: between two budgets of a run, log loss is taken to be linear in the log of the resource.
Nothing is interpolated between sizes, and what a run reached it also reaches with more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from ..statistics.student import Estimate, student_mean
from .point import Point

AMOUNTS = 4                                 # rows of a table of equal amounts


@dataclass(frozen=True)
class Reached:
    """Bits per byte, the geometric mean over seeds, that a size of a plugin reached with an `amount` of a resource."""

    plugin: str
    corpus: str
    params: int
    amount: float
    bits: Estimate


def frontier(points: Sequence[Point], resource: str) -> list[Reached]:
    """The rungs of one plugin on one corpus that no rung beats with as little, from the smallest amount on.

    A resource is one of `point.RESOURCES`, `params` or `state_bytes`; rungs without it take no part.
    """
    rungs: dict[tuple[int, str | int], list[Point]] = {}
    for point in points:
        if point.amount(resource) is not None:
            rungs.setdefault(point.step, []).append(point)
    reached = [Reached(some[0].plugin, some[0].corpus, params, fmean(point.amount(resource) or 0.0 for point in some),
                       _geometric([point.bits for point in some])) for (params, _), some in rungs.items()]
    found: list[Reached] = []
    for one in sorted(reached, key=lambda one: (one.amount, one.bits.value)):
        if not found or one.bits.value < found[-1].bits.value:
            found.append(one)
    return found


def reached_with(points: Sequence[Point], resource: str, amount: float) -> Reached | None:
    """The best size of one plugin on one corpus with no more than that amount; None where all took more. A size counts
    from where all of its seeds have a rung."""
    found = []
    for params, seeds in _curves(points, resource).items():
        logs = [_between(curve, math.log(amount)) for curve in seeds]
        values = [math.exp(value) for value in logs if value is not None]
        if len(values) == len(seeds):
            found.append(Reached(points[0].plugin, points[0].corpus, params, amount, _geometric(values)))
    return min(found, key=lambda one: one.bits.value, default=None)


def _curves(points: Sequence[Point], resource: str) -> dict[int, list[list[tuple[float, float]]]]:
    """By size, of every seed: logs of the amount and of the loss, the least amount first."""
    runs: dict[int, dict[tuple[str, str, int, int], list[tuple[float, float]]]] = {}
    for point in points:
        if (own := point.amount(resource)) is not None:
            run = runs.setdefault(point.params, {}).setdefault(point.run, [])
            run.append((math.log(own), math.log(point.bits)))
    return {params: [sorted(curve) for curve in seeds.values()] for params, seeds in runs.items()}


def equal_amounts(points: Sequence[Point], plugins: Sequence[str], resource: str,
                  amounts: int = AMOUNTS) -> list[dict[str, Reached]]:
    """Of the points of one corpus, what every plugin reaches with the same amounts, evenly spaced on the log scale over
    the range in which all were measured; none where their ranges do not meet."""
    own = {plugin: [point for point in points if point.plugin == plugin] for plugin in plugins}
    curves = [_curves(some, resource).values() for some in own.values()]
    if not all(curves):
        return []
    low = math.exp(max(min(max(curve[0][0] for curve in seeds) for seeds in sizes) for sizes in curves))
    high = math.exp(min(max(curve[-1][0] for seeds in sizes for curve in seeds) for sizes in curves))
    if low > high * (1 + 1e-9):
        return []
    evenly = [min(low * (high / low) ** (step / (amounts - 1)), high) for step in range(amounts)]
    return [{plugin: reached for plugin, some in own.items() if (reached := reached_with(some, resource, at))}
            for at in evenly]


def _between(curve: Sequence[tuple[float, float]], at: float) -> float | None:
    """The curve at `at`: None before its first point, its last one after that; the amounts of one run rise."""
    if at < curve[0][0] - 1e-12:
        return None
    for (x, y), (u, v) in pairwise(curve):
        if at <= u:
            return y + (v - y) * max(at - x, 0.0) / (u - x)
    return curve[-1][1]


def _geometric(values: Sequence[float]) -> Estimate:
    logs = student_mean([math.log(value) for value in values]).interval()
    low, high = (None if end is None else math.exp(end) for end in (logs.low, logs.high))
    return Estimate(math.exp(logs.value), low, high, logs.n)
