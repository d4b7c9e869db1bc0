"""A newcomer's ladder beside the baseline's: the laws, the multipliers, and what was held out. (no torch, no SciPy)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..statistics.student import Estimate
from .heldout import HeldOut, hold_out
from .multiplier import FURTHEST, Multiplier, multiplier
from .point import RESOURCES, NoLaw, Point, of_plugins
from .shared import RESAMPLES, Laws, fit_laws
from .sharing import sharing_p_value


@dataclass(frozen=True)
class Answer:
    """A multiplier at the largest common rung and at FURTHEST times that, with shared exponents and with its own."""

    here: Multiplier
    further: Multiplier
    own_here: Multiplier
    own_further: Multiplier


@dataclass(frozen=True)
class LadderComparison:
    """`estimates` of the baseline's law by corpus, the newcomer's `factors`; `sharing` is the p-value of sharing.

    `unanswered` says of a resource why it has no multiplier.
    """

    baseline: str
    other: str
    runs: int
    rungs: int
    estimates: dict[str, dict[str, Estimate]]
    factors: dict[str, Estimate]
    sharing: float
    answers: list[Answer]
    unanswered: list[str]
    held_out: list[HeldOut]


def compare_ladders(points: Sequence[Point], baseline: str, other: str, resamples: int = RESAMPLES,
                    seed: int = 0) -> LadderComparison:
    """On the corpora that both were measured on. Raises NoLaw where their rungs decide no law."""
    corpora = [corpus for corpus in dict.fromkeys(point.corpus for point in points)
               if {baseline, other} <= {point.plugin for point in points if point.corpus == corpus}]
    if not corpora:
        raise NoLaw(f"{baseline} and {other} have no rung on one and the same corpus")
    points = [point for point in of_plugins(points, [baseline, other]) if point.corpus in corpora]
    laws = fit_laws(points, baseline, [other], False, resamples, seed)
    own = fit_laws(points, baseline, [other], True, resamples, seed)
    answers, unanswered = [], []
    for corpus in corpora:
        for resource in RESOURCES:
            try:
                answers.append(_answer(laws, own, other, corpus, resource))
            except NoLaw as reason:
                unanswered.append(str(reason))
    try:
        held_out = hold_out(points, baseline, [other], resamples, seed)
    except NoLaw as reason:
        held_out = []
        unanswered.append(f"no rung is held out: {reason} without the largest rung")
    return LadderComparison(
        baseline, other, laws.runs, len(points), {corpus: laws.estimates(baseline, corpus) for corpus in corpora},
        laws.factors(other), sharing_p_value(laws, seed=seed), answers, list(dict.fromkeys(unanswered)), held_out)


def _answer(laws: Laws, own: Laws, other: str, corpus: str, resource: str) -> Answer:
    here, further = (multiplier(laws, other, corpus, resource, times) for times in (1.0, FURTHEST))
    return Answer(here, further, *(multiplier(own, other, corpus, resource, times) for times in (1.0, FURTHEST)))
