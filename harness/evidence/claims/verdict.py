"""Verdicts: an interval wholly beyond a claim's threshold confirms it, wholly short refutes it. (no torch)

| verdict      | meaning                                                                              |
|--------------|--------------------------------------------------------------------------------------|
| confirmed    | the whole interval lies where the claim says; of several rules all do                |
| refuted      | the whole interval lies elsewhere, or the score is of a model that failed its audit  |
| inconclusive | neither; `further` repetitions would tell if the effect is what it now seems         |
| unmeasurable | no measurement decides it, and why                                                   |
| not run      | what is missing: a GPU, data, time                                                   |

What is to be the same takes the equivalence test at 5 %: an interval that reaches beyond the margin is not "the same".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...errors import FileError
from ...reading import Run
from ...store import finite, write_atomically
from ...suite import Suite
from ..format import format_value
from ..statistics.student import normal_quantile, student_t
from .claim import Claim, ClaimTest, Rule
from .measurement import Lacking, Measured, Unsound, measure
from .outcome import VERDICTS
from .outcome import Verdict as Told

CONFIRMED, REFUTED, INCONCLUSIVE, UNMEASURABLE, NOT_RUN = VERDICTS
FILE = "verdicts.json"
MOST = 1_000                               # repetitions beyond which none are promised
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Finding:
    """What became of one rule under a protocol: the number with its 95 % interval, its cells, what would settle it."""

    rule: str
    verdict: str
    protocol: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    scale: str = ""                         # ratio | value
    unit: str = ""
    how: str = ""
    reason: str = ""
    further: str = ""
    cells: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The number with its interval, or why there is none."""
        if self.value is None:
            return self.reason
        unit = "x" if self.scale == "ratio" else self.unit
        text = format_value(self.value, unit, self.low, self.high)
        return text + (f"; {self.further}" if self.further else "")


@dataclass(frozen=True)
class Verdict:
    """Of one claim in one form, at the scale at which it was tested."""

    claim: str
    quote: str
    source: str
    verdict: str
    form: str = ""
    scale: str = ""
    reason: str = ""
    failure: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def effect(self) -> str:
        return "; ".join(finding.words for finding in self.findings) or self.reason

    @property
    def lines(self) -> list[str]:
        """Every rule with its protocol and number, or why there is none; of a refuted claim what that means."""
        found = [f"{one.rule}" + (f" ({one.protocol})" if one.protocol else "") + f": {one.words}"
                 for one in self.findings]
        return (found or [self.reason]) + ([self.failure] if self.verdict == REFUTED else [])

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell for finding in self.findings for cell in finding.cells))


Sides = tuple[Run, Run]                     # cells that measure a test's plugin, and what it is compared with
Measurements = Callable[[ClaimTest], Sides | str]       # of a test, or what is missing of them


def judge_claim(claim: Claim, scale: str, measurements: Measurements, suites: dict[str, Suite]) -> list[Verdict]:
    """A verdict for every form in which the claim is tested at this scale; one that says why where it is not."""
    plain = Verdict(claim.id, claim.quote, claim.source, UNMEASURABLE, reason=claim.unmeasurable, failure=claim.failure)
    if claim.unmeasurable:
        return [plain]
    forms: dict[str, list[ClaimTest]] = {}
    for test in claim.tests:
        if test.scale == scale:
            forms.setdefault(test.form, []).append(test)
    if not forms:
        other = next(test.scale for test in claim.tests)
        device = "an NVIDIA GPU" if other == "gpu" else "a CPU"
        return [replace(plain, verdict=NOT_RUN, scale=other,
                        reason=f"needs {device}: harness reproduce {claim.id} --scale {other}")]
    return [_combined(replace(plain, form=form, scale=scale), [
        replace(find(test.rule, measurements(test), suites), protocol=test.words) for test in tests])
        for form, tests in forms.items()]


def _combined(verdict: Verdict, findings: Sequence[Finding]) -> Verdict:
    """One rule that fails refutes; all must hold to confirm."""
    found = {finding.verdict for finding in findings}
    worst = next(one for one in (REFUTED, NOT_RUN, UNMEASURABLE, INCONCLUSIVE, CONFIRMED) if one in found)
    return replace(verdict, verdict=worst, findings=tuple(findings))


def find(rule: Rule, runs: Sides | str, suites: dict[str, Suite]) -> Finding:
    """The finding of one rule from the cells of its protocol; a text says what is missing of them."""
    if isinstance(runs, str):
        return Finding(str(rule), NOT_RUN, reason=runs)
    try:
        measured = measure(rule, *runs, suites)
    except Lacking as missing:
        return Finding(str(rule), NOT_RUN, reason=str(missing))
    except Unsound as refusal:
        verdict = UNMEASURABLE if refusal.both else REFUTED
        cells = tuple(r.id for r in runs[0].results if any(row.status == "audit_failed" for row in r.rows))
        return Finding(str(rule), verdict, reason=f"no score: {refusal}", cells=cells)
    verdict, settling = judge(rule, measured)
    estimate = measured.estimate
    return Finding(str(rule), verdict, "", estimate.value, estimate.low, estimate.high,
                   "ratio" if measured.ratio else "value", measured.unit, measured.how, "", settling, measured.cells)


def judge(rule: Rule, measured: Measured) -> tuple[str, str]:
    """The verdict, and what would settle an inconclusive one."""
    estimate, low, high = measured.estimate, *_zone(rule, measured.ratio)
    tested = measured.tight if rule.confirms == "equals" else estimate
    if estimate.low is None or estimate.high is None or tested.low is None or tested.high is None:
        return INCONCLUSIVE, "no interval: at least 2 further repetitions"
    closed = rule.confirms == "equals"
    if (low <= tested.low and tested.high <= high) if closed else (low < tested.low and tested.high < high):
        return CONFIRMED, ""
    outside = (estimate.high < low or estimate.low > high) if closed else (estimate.high <= low or estimate.low >= high)
    if outside:
        return REFUTED, ""
    return INCONCLUSIVE, further(replace(measured, estimate=tested), low, high)


def _zone(rule: Rule, ratio: bool) -> tuple[float, float]:
    """Where the number must lie."""
    threshold, margin = rule.threshold, rule.margin
    if rule.confirms == "below":
        return -math.inf, threshold
    if rule.confirms == "above":
        return threshold, math.inf
    if rule.kind == "count" or ratio:
        ends = sorted((threshold / (1 + margin), threshold * (1 + margin)))
        return ends[0], ends[1]
    return -margin, margin                  # two numbers that have no ratio, such as accuracies


def further(measured: Measured, low: float, high: float) -> str:
    """How many more repetitions would draw the interval off the nearest end of the zone, if its value stays.

    Intervals shrink with the root of their number, and with Student's t where they are few.
    """
    estimate, n = measured.estimate, measured.estimate.n
    assert estimate.low is not None and estimate.high is not None
    scale = math.log if measured.ratio else float
    ends = [scale(end) for end in (low, high) if math.isfinite(end) and (end > 0 or not measured.ratio)]
    value = scale(estimate.value)
    nearest = min(ends, key=lambda end: abs(value - end))
    half = abs(value - scale(estimate.low if nearest < value else estimate.high))
    distance, repeats = abs(value - nearest), measured.repeats or "repetitions"
    if not distance or not half:
        return "it lies at the threshold"
    if n < 2:
        return f"at least 2 further {repeats}"
    for wanted in range(n + 1, MOST):
        if half * math.sqrt(n / wanted) * _t(wanted, repeats) / _t(n, repeats) < distance:
            return f"about {wanted - n} further {repeats}"
    return f"more than {MOST} further {repeats}"


def _t(n: int, repeats: str) -> float:
    few = repeats.startswith("seeds") and n < 60
    return student_t(CONFIDENCE, n - 1) if few else normal_quantile(CONFIDENCE)


# On disk

def save(directory: Path, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Write verdicts beside a run. Those that it has of other claims and scales stay. Returns all of them."""
    new, old = list(verdicts), load(directory)
    tested = {(one.claim, one.scale) for one in old if one.findings}
    new = [one for one in new if one.findings or (one.claim, one.scale) not in tested]
    renewed, claims = {(one.claim, one.scale) for one in new}, {one.claim for one in new}
    kept = [one for one in old if (one.claim, one.scale) not in renewed and (one.findings or one.claim not in claims)]
    records = [asdict(verdict) for verdict in [*kept, *new]]
    write_atomically(directory / FILE, json.dumps(finite({"verdicts": records}), indent=1, ensure_ascii=False) + "\n")
    return [*kept, *new]


def load(directory: Path) -> list[Verdict]:
    """The verdicts beside a run, [] where there are none. Raises FileError where the file is corrupt."""
    path = directory / FILE
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text(encoding="utf-8"))["verdicts"]
        return [_verdict(record) for record in records]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is corrupt ({type(error).__name__}: {error}); delete it, "
                        "`harness reproduce` makes it anew from the cells") from None


def _verdict(record: dict[str, Any]) -> Verdict:
    names, own = {f.name for f in fields(Finding)}, {f.name for f in fields(Verdict)}
    findings = tuple(Finding(**{**{k: v for k, v in one.items() if k in names}, "cells": tuple(one["cells"])})
                     for one in record["findings"])
    return Verdict(**{**{k: v for k, v in record.items() if k in own}, "findings": findings})


def told(verdicts: Iterable[Verdict]) -> list[Told]:
    """Verdicts as a report shows them."""
    return [Told(" · ".join(filter(None, (one.claim, one.form, one.scale))), one.quote, one.verdict, one.effect,
                 one.cells) for one in verdicts]
