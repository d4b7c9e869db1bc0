"""The best learning rate of a search, with its interval and the width of the window around it. (no torch, no SciPy)

Losses are arms plus seeds: every arm (a choice of options at a rate) has a mean of its own, every seed adds the same to
all arms (two-way layout, least squares). The optimum is the vertex of the parabola in log2 rate through the best arm
and its two neighbours. Its interval is Fieller's (1954) for the ratio of two contrasts of the fit, by Student's t, and
is clipped to the rates that were tried. Noise is what rates, choices and seeds that add up leave unexplained: that a
choice has a best rate of its own counts as noise, which makes the interval wider.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .student import CONFIDENCE, student_t

BEYOND = "the optimum may lie beyond"   # of a rate that is the last one tried
WINDOW = 0.01                           # share of the best loss that a rate of the window loses at most

Arm = tuple[str, float]                             # choice of options, learning rate
Measured = tuple[str, float, int, float]            # choice, learning rate, seed, loss; infinite where it diverged
Point = tuple[float, float]                         # log2 of a rate, loss


@dataclass(frozen=True)
class Optimum:
    """What a search found.

    `edge` is "lowest" or "highest" where the best rate is the last one tried in that direction. `window` is the span of
    the rates within 1 % of the best loss, in octaves (factors of two); `open` where it may go on beyond those tried.
    `low` and `high` are None where nothing repeats, the best arm has no two neighbours that did not diverge, or the
    parabola through them goes below zero, as it does where losses are of different orders of magnitude.
    """

    choice: str
    lr: float
    loss: float                         # infinite where every trial diverged
    low: float | None
    high: float | None
    edge: str
    window: float
    open: bool

    @property
    def note(self) -> str:
        """What must not go unsaid of the rate, or ""."""
        if math.isinf(self.loss):
            return "every trial diverged"
        return f"the best rate is the {self.edge} of those tried: {BEYOND}" if self.edge else ""


def optimum(trials: Iterable[Measured]) -> Optimum:
    """The optimum of the choice that has the best arm of all. Raises ValueError without trials."""
    trials = list(trials)
    if not trials:
        raise ValueError("an optimum needs a trial")
    diverged = {trial[:2] for trial in trials if not math.isfinite(trial[3])}
    sound = [trial for trial in trials if trial[:2] not in diverged]
    if not sound:
        choice, lr = min(diverged, key=lambda arm: (arm[1], arm[0]))
        return Optimum(choice, lr, math.inf, None, None, "", 0.0, False)
    fit = TwoWay(sound)
    means = dict.fromkeys(diverged, math.inf) | dict(zip(fit.arms, fit.means, strict=True))
    best = min(means, key=lambda arm: (means[arm], arm[1]))
    own = sorted(arm for arm in means if arm[0] == best[0])
    points, at = [(math.log2(arm[1]), means[arm]) for arm in own], own.index(best)
    inside = 0 < at < len(own) - 1
    bracket = own[at - 1:at + 2] if inside and not diverged & set(own[at - 1:at + 2]) else []
    (vertex, loss), curvature, low, high = points[at], 0.0, None, None
    if bracket and (fitted := lowest(points[at - 1:at + 2]))[1] > 0:                # no loss is below zero
        vertex, loss, curvature = fitted
        rates = [x for x, mean in points if math.isfinite(mean)]
        low, high = fit.vertex_interval(bracket, rates[0], rates[-1])
    left, right = (_reach(side, vertex, loss, curvature) for side in (points[:at + 1][::-1], points[at:]))
    edge = "" if inside else "lowest" if at == 0 else "highest"
    return Optimum(best[0], 2.0**vertex, loss, _rate(low), _rate(high), edge, right[0] - left[0], left[1] or right[1])


def lowest(points: Sequence[Point]) -> tuple[float, float, float]:
    """The vertex of the parabola through three points, its height there, and its curvature."""
    origin = points[1][0]
    a, b, c = _through([x - origin for x, _ in points]) @ [y for _, y in points]
    return float(origin - b / (2 * a)), float(c - b**2 / (4 * a)), float(a)


def _through(x: Sequence[float]) -> np.ndarray:
    """(3, 3): the coefficients of x^2, x and 1 of the parabola through three points, as weights of their heights."""
    return np.linalg.inv(np.vander(np.asarray(x, float), 3))


def _reach(side: Sequence[Point], vertex: float, loss: float, curvature: float) -> tuple[float, bool]:
    """How far the window goes from the best of `side`, outward, and whether it may go on beyond the last point. Along
    the parabola next to the vertex, along straight lines farther out; not beyond a rate whose next one diverged."""
    limit = loss * (1 + WINDOW)
    for number, (near, far) in enumerate(pairwise(side)):
        if far[1] <= limit:
            continue
        if math.isinf(far[1]):
            return near[0], False
        if curvature and not number:
            return vertex + math.copysign(math.sqrt((limit - loss) / curvature), far[0] - near[0]), False
        return near[0] + (limit - near[1]) / (far[1] - near[1]) * (far[0] - near[0]), False
    return side[-1][0], True


def _rate(octaves: float | None) -> float | None:
    return None if octaves is None else float(2.0**octaves)


def _indicators(labels: Sequence[Any]) -> np.ndarray:
    """(n, k): which of the k distinct labels, in order, each of n is."""
    known = sorted(set(labels))
    return np.array([[float(label == one) for one in known] for label in labels]).reshape(len(labels), -1)


class TwoWay:
    """Losses as arms plus seeds, by least squares. `means` (A,) are those of the arms at an average seed, `covariance`
    (A, A) is theirs for noise of variance 1; `noise` is its variance with so many `degrees` of freedom, or None."""

    def __init__(self, trials: Sequence[Measured]):
        self.arms: list[Arm] = sorted({trial[:2] for trial in trials})
        n, losses = len(self.arms), np.array([trial[3] for trial in trials])
        seeds = _indicators([trial[2] for trial in trials])
        seeds = seeds[:, :-1] - seeds[:, -1:]               # what they add amounts to nothing together
        inverse = np.linalg.pinv(np.hstack([_indicators([trial[:2] for trial in trials]), seeds]))
        self.means: list[float] = (inverse @ losses)[:n].tolist()
        self.covariance = (inverse @ inverse.T)[:n, :n]
        effects = np.hstack([*(_indicators([trial[at] for trial in trials]) for at in (0, 1)), seeds])
        fitted, _, rank, _ = np.linalg.lstsq(effects, losses)
        self.degrees = len(trials) - int(rank)
        self.noise = float(np.square(losses - effects @ fitted).sum()) / self.degrees if self.degrees else None

    def vertex_interval(self, bracket: Sequence[Arm], least: float, most: float) -> tuple[float | None, float | None]:
        """Of the vertex through three arms, in log2 rate, within `least` and `most`, which it is where the parabola may
        be flat."""
        if self.noise is None:
            return None, None
        at = [self.arms.index(arm) for arm in bracket]
        x = [math.log2(lr) for _, lr in bracket]
        weights = _through([value - x[1] for value in x])[:2]
        a, b = weights @ [self.means[index] for index in at]
        (aa, ab), (_, bb) = weights @ self.covariance[np.ix_(at, at)] @ weights.T * (
            self.noise * student_t(CONFIDENCE, self.degrees)**2)
        square, linear, constant = 4 * (a * a - aa), 4 * (a * b - ab), b * b - bb       # <= 0 within the interval
        if square <= 0:
            return least, most
        middle, half = -linear / (2 * square), math.sqrt(max(0.0, linear**2 - 4 * square * constant)) / (2 * square)
        return max(least, float(x[1] + middle - half)), min(most, float(x[1] + middle + half))
