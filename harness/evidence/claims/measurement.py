"""What a claim's rule comes to in measured cells: an effect with its interval, or why there is none. (no torch)

Two plugins are compared as `harness compare` does it: scores by document and seed, timings by round within the factor
that the A/A control shows. Two cases of one cell were timed in interleaved rounds of one process and are paired. A
single plugin's number has Student's interval over its seeds, or that of its row. What is counted, and what an audit
finds of given weights, is exact; what was measured once has no interval, and a rule on it no verdict.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from ...quantities import format_count
from ...reading import Run
from ...store import Row
from ...suite import ByDocument, ByRound, ByValue, Compared, Counted, Suite
from ..comparison.effect import ALPHA, Incomparable, effect
from ..comparison.pairs import MetricKey, Reading, ReadingPair, kind_of, missed_size
from ..statistics import intervals as stats
from ..statistics.contrast import ratio_of
from ..statistics.intervals import Estimate
from ..statistics.student import student_difference, student_mean
from .claim import Quantity, Rule
from .measured import Measurement, NoMeasurement, ScoreRefused, is_exact, rounds_of
from .slope import slope_of

NAMED = 4                                   # metrics that are named where the one asked for is not among them


def measure(rule: Rule, run: Run, other: Run, suites: dict[str, Suite]) -> Measurement:
    """The number of a rule from the cells of its protocol, those of `other` for what it is compared with.

    The two runs may be one and the same object. Raises NoMeasurement, ScoreRefused.
    """
    readings = readings_of(run, suites, rule.of, rule.quantity, rule.at)
    others = readings_of(other, suites, *rule.other, rule.at) if rule.compares else []
    if isinstance(readings, ScoreRefused) and isinstance(others, ScoreRefused):
        raise ScoreRefused(str(readings), both=True)
    if isinstance(others, ScoreRefused):
        raise NoMeasurement(f"{rule.other[0]}, that it is compared with, has no score: {others}")
    for found in (readings, others):
        if isinstance(found, Exception):
            raise found
    assert isinstance(readings, list) and isinstance(others, list)
    if rule.kind == "slope":
        return slope_of(readings, run)
    if not rule.compares:
        return _alone(readings, exact=rule.kind == "count")
    cells = tuple(dict.fromkeys(r.result.id for r in [*readings, *others]))
    try:
        compared = _compared(rule, readings, others, run, other)
    except Incomparable as reason:
        raise NoMeasurement(str(reason)) from None
    return replace(compared, cells=cells, how="; ".join([compared.how, *_missed(readings, others)]))


def _missed(*sides: Sequence[Reading]) -> list[str]:
    """What to tell of models that no width brings near the size of the protocol."""
    missed = {side[0].result.label: (missed_size(side[0]), side[0].result.cell["params"]) for side in sides}
    return [f"{label} has {format_count(reached)} parameters, and no width is nearer to {format_count(asked)}"
            for label, (reached, asked) in missed.items() if reached]


# Rows

def readings_of(run: Run, suites: Mapping[str, Suite], plugin: str, quantity: Quantity,
                at: int) -> list[Reading] | NoMeasurement | ScoreRefused:
    """Every row of a quantity of a plugin; what became of it where there is none, or where an audit refused one."""
    suite, label = suites[quantity.suite], run.label_of(plugin, quantity.suite)
    results = {r.id: r for r in run.results if r.cell["suite"] == quantity.suite}
    rows = [row for result in results.values() for row in result.rows] + list(run.derived)
    found, failed, whole = [], [], _without_test(quantity.metric)
    for row in rows:
        result = results.get(row.cell_id)
        if result is None or result.label != label or at not in (0, row.seq_len or 0):
            continue
        named = row.metric == quantity.metric and quantity.phase in ("", row.phase)
        if named and row.value is not None:
            found.append(Reading(row, result, kind_of(suite, row) or ByValue()))
        elif row.status != "ok" and row.metric in ("", quantity.metric, whole):
            failed.append(row)
    if refused := next((row for row in failed if row.status == "audit_failed"), None):
        return ScoreRefused(refused.reason)
    if not found:
        return NoMeasurement(_why(failed, run, plugin, quantity, at))
    return found


def _without_test(metric: str) -> str:
    """ "accuracy:needle" of "accuracy@256:needle": what a cell without numbers names is the task, not each of its
    tests."""
    head, colon, case = metric.partition(":")
    return head.partition("@")[0] + colon + case


def _why(failed: Sequence[Row], run: Run, plugin: str, quantity: Quantity, at: int) -> str:
    if failed:
        return f"{plugin}: {failed[0].status}: {failed[0].reason}; --retry measures it again"
    measured = {row.metric for r in run.results if r.cell["suite"] == quantity.suite for row in r.rows if row.metric}
    known = difflib.get_close_matches(quantity.metric, sorted(measured), NAMED, cutoff=0)
    where = f" at T={at}" if at else ""
    return f"{plugin} has no {quantity}{where}" + (f"; measured are {', '.join(known)}" if known else "")


# One plugin

def _alone(readings: Sequence[Reading], exact: bool) -> Measurement:
    """The mean over seeds; of several rows of one cell (lengths, checks) the largest."""
    cells: dict[str, Reading] = {}
    for reading in sorted(readings, key=lambda r: r.row.value or 0.0):
        cells[reading.result.id] = reading
    values = [r.row.value or 0.0 for r in cells.values()]
    first, names = next(iter(cells.values())), tuple(cells)
    if exact or (len(values) == 1 and is_exact(first)):
        value = fmean(values)
        span = Estimate(value, min(values), max(values), len(values))
        return Measurement(span, Estimate(value, value, value, 1), False, first.row.unit, "", "counted", names)
    if len(values) > 1:
        student = student_mean(values)
        return Measurement(student.interval(), student.interval(1 - 2 * ALPHA), False, first.row.unit, "seeds",
                           f"{len(values)} seeds", names)
    row, rounds = first.row, rounds_of(first)
    if row.ci_low is not None and row.ci_high is not None:
        own = Estimate(values[0], row.ci_low, row.ci_high, len(rounds) or 1)
        repeats = "rounds" if rounds else "documents"
        return Measurement(own, own, False, row.unit, repeats, "the interval of its row", names)
    own = Estimate(values[0], None, None, 1)
    return Measurement(own, own, False, row.unit, "seeds", "one value, no spread", names)


# Two

def _compared(rule: Rule, readings: list[Reading], others: list[Reading], run: Run, other: Run) -> Measurement:
    for side, quantity in ((readings, rule.quantity), (others, rule.other[1])):
        if len({reading.result.cell["seed"] for reading in side}) < len(side):
            lengths = ", ".join(dict.fromkeys(f"{r.row.phase} T={r.row.seq_len}" for r in side))
            raise NoMeasurement(
                f"{quantity} was measured more than once ({lengths}); the rule must name a phase and `at`")
    if rule.to_quantity:
        if found := _paired_cases(readings, others):
            return found
        readings, others = ([replace(r, compared=_plain(r.compared)) for r in side] for side in (readings, others))
    top = readings[0].row
    key = MetricKey(top.suite, top.metric, top.phase, top.seq_len or 0, top.batch_size or 0, top.unit, "")
    found = _measured_effect(ReadingPair(key, tuple(others), tuple(readings)), other, run)
    if found.ratio and rule.kind == "difference":
        x, y = ([r.row.value or 0.0 for r in side] for side in (readings, others))
        student = student_difference(x, y)
        return Measurement(student.interval(), student.interval(1 - 2 * ALPHA), False, top.unit, "seeds", found.how)
    if not found.ratio and rule.kind == "ratio":
        return _plain_ratio(rule, readings, others)
    return found


def _plain_ratio(rule: Rule, readings: Sequence[Reading], others: Sequence[Reading]) -> Measurement:
    """The ratio of means where one of the values is zero or less: exact of counts, else without an interval."""
    x, y = (fmean(r.row.value or 0.0 for r in side) for side in (readings, others))
    ratio = ratio_of(x, y)
    if ratio is None:
        raise NoMeasurement(f"{rule.quantity} has no ratio: {x:g} and {y:g}; its claim needs a difference")
    end = ratio if all(map(is_exact, [*readings, *others])) else None
    own = Estimate(ratio, end, end, 1)
    return Measurement(own, own, True, "x", "seeds", f"{x:g} to {y:g}")


def _measured_effect(pair: ReadingPair, a: Run, b: Run) -> Measurement:
    """B beside A as `harness compare` has it; the conditions are equal, since one protocol planned both."""
    found, how = effect(pair, a, b), pair.a[0].compared
    estimate, tight = (_widened(one, found.floor, found.ratio) for one in (found.estimate, found.tight))
    if found.p is None and not found.exact:
        estimate = replace(estimate, low=None, high=None)
    if isinstance(how, ByRound) and estimate.n > 1:
        repeats = "rounds"
    else:
        repeats = "" if found.exact else "seeds" + " and as much more text" * isinstance(how, ByDocument)
        estimate = replace(estimate, n=min(len(pair.a), len(pair.b)))
    floor = f"; identical code differs by up to {found.floor:.3g}×" if found.floor > 1 else ""
    degrees = found.degrees if math.isfinite(found.degrees) and repeats != "rounds" else 0.0
    return Measurement(estimate, tight, found.ratio, pair.key.unit, repeats, found.how + floor, degrees=degrees)


def _widened(estimate: Estimate, floor: float, ratio: bool) -> Estimate:
    """Noise that no interval of its own shows: identical code may seem to differ by `floor`."""
    if not ratio or floor <= 1 or estimate.low is None or estimate.high is None:
        return estimate
    if math.isinf(floor):
        return replace(estimate, low=None, high=None)
    value = estimate.value
    return replace(estimate, low=min(estimate.low, value / floor), high=max(estimate.high, value * floor))


def _paired_cases(readings: Sequence[Reading], others: Sequence[Reading]) -> Measurement | None:
    """Two cases of one cell by their rounds."""
    top, bottom = readings[0], others[0]
    x, y = rounds_of(top), rounds_of(bottom)
    if len(readings) + len(others) > 2 or top.result.id != bottom.result.id or not x or len(x) != len(y):
        return None
    if top.row.better == "higher":
        x, y = y, x
    return Measurement(stats.paired_ratio(x, y), stats.paired_ratio(x, y, 1 - 2 * ALPHA), True, "x", "rounds",
                    f"paired by round, {len(x)} rounds in one process")


def _plain(how: Compared) -> Compared:
    """By values, where the raw measurements of two quantities have nothing in common."""
    return how if isinstance(how, Counted) else ByValue()
