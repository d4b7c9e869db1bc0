"""Two runs, or two plugins of a run, metric by metric: a verdict each, and what it rests on. (no torch)

A difference is told where its p-value, corrected for the family of all metrics compared together (Holm 1979), stays
below 5 % and its size clears the noise floor; what was measured once has no p-value, and no verdict. What is not told
apart is `same` only where an equivalence test says so within a stated margin; everything else is `within noise`, with
the effect that would have been found. A system that failed where the other did not is worse: what survives a crash is
no measurement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ...reading import Run
from ...store import Row
from ...suite import ByRound, Suite
from ..contents import newest_edition
from ..statistics import intervals as stats
from ..statistics.contrast import ratio_of
from . import timing
from .effect import Effect, Incomparable, effect, margin_of
from .pairs import Reading, ReadingPair, kind_of, pair_readings
from .tuning import TuningBudget, tuning_budgets

NOT_MEASURED = ("unsupported", "unavailable")           # this machine or this plugin has no such number


@dataclass(frozen=True)
class Comparison:
    """One metric of A and B. `effect` with its 95 % interval is B / A, or B - A where `scale` says so.

    `verdict` is of B: better, worse, same, within noise, incomparable, only in A, only in B.
    """

    suite: str
    metric: str
    phase: str
    unit: str
    better: str
    plugin_a: str
    plugin_b: str
    seq_len: int | None
    batch_size: int | None
    verdict: str
    told: bool = False                      # whether noise cannot explain the difference
    a: float | None = None
    b: float | None = None
    scale: str = ""                         # ratio | difference
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    noise_floor: float | None = None        # the factor below which nothing is ranked
    detectable: float | None = None         # the effect that would be found with 80 % power
    margin: float | None = None             # of `same`
    how: str = ""
    reason: str = ""
    cells_a: tuple[str, ...] = ()
    cells_b: tuple[str, ...] = ()
    corpus: str = ""
    rung: str = ""

    @property
    def ratio(self) -> float | None:
        """B / A, infinite where only A is zero; None where they were not compared or one of them is negative."""
        if self.scale != "difference":
            return self.effect
        return None if self.a is None or self.b is None else ratio_of(self.b, self.a)


Other = tuple[Run, tuple[str, str] | None]      # a run B, with a plugin of A and one of B where these are chosen


def compare_runs(a: Run, b: Run, suites: Sequence[Suite], *, plugins: tuple[str, str] | None = None,
                 margin: float | None = None) -> list[Comparison]:
    """Every metric that `suites` declare comparable. `plugins`: one of A and one of B. Raises UsageError.

    The two runs may be one and the same object: then the rounds of a timing group are paired.
    """
    return compare_with_each(a, [(b, plugins)], suites, margin)[0]


def compare_with_each(a: Run, others: Sequence[Other], suites: Sequence[Suite],
                      margin: float | None = None) -> list[list[Comparison]]:
    """Each of several others against A, as one family of comparisons. Raises UsageError."""
    pairs = [pair_readings(a, b, suites, plugins) for b, plugins in others]
    effects = [[_effect_or_refusal(pair, a, b) for pair in own] for own, (b, _) in zip(pairs, others, strict=True)]
    tested = [found for own in effects for found in own if isinstance(found, Effect) and found.p is not None]
    adjusted = dict(zip(map(id, tested), stats.holm([found.p or 0.0 for found in tested]), strict=True))
    return [[
        _judged(pair, found, adjusted.get(id(found)), margin or margin_of(pair)) if isinstance(found, Effect)
        else Comparison(**_described(pair), verdict=found[0], reason="; ".join(filter(None, [found[1], pair.note])))
        for pair, found in zip(own, effects_of, strict=True)]
        for own, effects_of in zip(pairs, effects, strict=True)]


def relative_growth(a: Run, b: Run, suites: Sequence[Suite], plugins: tuple[str, str]) -> list[Row]:
    """How B / A grows with length and where it falls below 1, where one run timed both at several lengths."""
    rows = []
    for suite in suites:
        ours, theirs = (run.label_of(plugin, suite.name) for run, plugin in zip((a, b), plugins, strict=True))
        results, _ = newest_edition([r for r in a.results if r.cell["suite"] == suite.name])
        keys = dict.fromkeys(kind.key for r in results for row in r.rows
                             if isinstance(kind := kind_of(suite, row), ByRound) and kind.key == row.phase)
        if a is b and ours and theirs and ours != theirs:
            rows += [row for key in keys for row in timing.relative_rows(results, theirs, ours, key)]
    return rows


def paired_budgets(a: Run, b: Run, suites: Sequence[Suite],
           plugins: tuple[str, str] | None = None) -> list[tuple[TuningBudget, TuningBudget]]:
    """What tuning took on both sides, task by task."""
    def counts(run: Run, budget: TuningBudget, selector: str) -> bool:
        return any(budget.suite == suite.name for suite in suites) and (
            not selector or run.label_of(selector, budget.suite) == budget.plugin)

    ours, theirs = (
        [budget for budget in tuning_budgets(row for r in newest_edition(run.results)[0] for row in r.rows)
         if counts(run, budget, selector)]
        for run, selector in zip((a, b), plugins or ("", ""), strict=True))
    return [(x, y) for x in ours for y in theirs if x.task == y.task and (plugins or x.plugin == y.plugin)]


def _effect_or_refusal(pair: ReadingPair, a: Run, b: Run) -> Effect | tuple[str, str]:
    """The effect, or verdict and reason where there is none."""
    if pair.reason:
        return "incomparable", pair.reason
    failed, verdict = (pair.failed_b, "worse") if pair.failed_b else (pair.failed_a, "better")
    if pair.failed_a and pair.failed_b:
        return "incomparable", "failed on both sides: " + _failure(pair.failed_b)
    if failed:
        if failed[0].status in NOT_MEASURED:
            verdict = "incomparable"
        return verdict, f"{'B' if pair.failed_b else 'A'} failed: {_failure(failed)}"
    if not pair.a or not pair.b:
        return ("only in A" if pair.a else "only in B"), ""
    try:
        return effect(pair, a, b)
    except Incomparable as error:
        return "incomparable", str(error)


def _failure(rows: Sequence[Row]) -> str:
    seeds = f"{len(rows)} seeds: " if len(rows) > 1 else ""
    return f"{seeds}{rows[0].status}: {rows[0].reason}" if rows[0].reason else seeds + rows[0].status


def _judged(pair: ReadingPair, found: Effect, p_holm: float | None, margin: float) -> Comparison:
    facts = _described(pair)
    estimate, neutral = found.estimate, 1.0 if found.ratio else 0.0
    told = found.told(max(abs(facts["a"]), abs(facts["b"])), p_holm)
    same = found.same(margin)
    if told and not (same and found.exact):
        verdict = "better" if (estimate.value > neutral) == (facts["better"] == "higher") else "worse"
    else:
        verdict = "same" if same else "within noise"
    return Comparison(
        **facts, verdict=verdict, told=told, scale="ratio" if found.ratio else "difference", effect=estimate.value,
        low=estimate.low, high=estimate.high, p=found.p, p_holm=p_holm, noise_floor=found.floor,
        detectable=found.detectable if math.isfinite(found.detectable) else None, margin=margin,
        how="; ".join(filter(None, [found.how, pair.note])))


def _described(pair: ReadingPair) -> dict[str, Any]:
    """What a comparison says of its rows, whatever the verdict."""
    key, some = pair.key, (pair.a or pair.b)[0]
    return {
        "suite": key.suite, "metric": key.metric, "phase": key.phase, "unit": key.unit, "better": some.row.better,
        "plugin_a": pair.a[0].result.label if pair.a else key.plugin,
        "plugin_b": pair.b[0].result.label if pair.b else key.plugin,
        "seq_len": key.seq_len or None, "batch_size": key.batch_size or None,
        "corpus": some.row.corpus, "rung": some.row.rung,
        "a": _mean(pair.a), "b": _mean(pair.b),
        "cells_a": tuple(r.result.id for r in pair.a), "cells_b": tuple(r.result.id for r in pair.b),
    }


def _mean(readings: Sequence[Reading]) -> float | None:
    return fmean(r.row.value or 0.0 for r in readings) if readings else None
