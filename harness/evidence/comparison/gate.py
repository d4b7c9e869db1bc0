"""Rules that a comparison must not fulfil, for continuous integration: "throughput.tokens_per_s < 0.95". (no torch)

A rule is of the ratio B / A and holds where noise cannot explain the difference: a gate that trips at random is soon
switched off. What lies beyond the threshold but within the noise, or was not measured alike in B, is told as undecided,
and so are negative numbers, which have no ratio. Anything is infinitely more than nothing. Where A has a number and B
failed every rule on it holds, since a crash is no way through.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import NotComparable, UsageError, unknown

if TYPE_CHECKING:
    from .compare import Comparison

PHASES = ("train", "prefill", "decode", "score")
OPERATORS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
FORM = 'write it as "throughput.tokens_per_s < 0.95" or "throughput.tokens_per_s@decode < 0.95", the ratio B / A'


@dataclass(frozen=True)
class GateRule:
    """SUITE.METRIC[@PHASE] OPERATOR VALUE; a metric without its case (`:CASE`, `@SIZE`) stands for all of them."""

    text: str
    suite: str
    metric: str
    phase: str
    operator: str
    value: float

    def covers(self, row: Comparison) -> bool:
        named = self.metric in (row.metric, row.metric.partition(":")[0], row.metric.partition("@")[0])
        return row.suite == self.suite and named and self.phase in ("", row.phase)

    def beyond(self, row: Comparison) -> bool:
        return row.ratio is not None and OPERATORS[self.operator](row.ratio, self.value)


@dataclass
class GateOutcome:
    """What a rule found: the comparisons it holds for, and those that are left undecided."""

    rule: GateRule
    held: list[Comparison] = field(default_factory=list)
    undecided: list[Comparison] = field(default_factory=list)


def parse_rule(text: str) -> GateRule:
    """Raises UsageError."""
    found = re.fullmatch(r"\s*([\w-]+)\.(\S+?)\s*(<=|>=|<|>)\s*(\S+)\s*", text)
    try:
        value = float(found[4]) if found else math.nan
    except ValueError:
        value = math.nan
    if not found or not 0 < value < math.inf:
        raise UsageError(f"malformed --fail-on {text!r}; {FORM}")
    metric, at, phase = found[2].rpartition("@")
    if not at or phase not in PHASES:
        metric, phase = found[2], ""
    return GateRule(text.strip(), found[1], metric, phase, found[3], value)


def apply_rule(rule: GateRule, rows: Sequence[Comparison]) -> GateOutcome:
    """Apply a rule. Raises UsageError where it names nothing, NotComparable where nothing that could be compared."""
    named = [row for row in rows if rule.covers(row)]
    if not named:
        raise unknown(f"metric of --fail-on {rule.text!r}:", f"{rule.suite}.{rule.metric}" + _at(rule.phase),
                      {name for row in rows for name in (f"{row.suite}.{row.metric}", written_metric(row))})
    outcome, compared = GateOutcome(rule), False
    for row in named:
        failed = row.effect is None and row.verdict in ("better", "worse")
        compared = compared or failed or row.ratio is not None
        if (failed and row.verdict == "worse") or (rule.beyond(row) and row.told):
            outcome.held.append(row)
        elif rule.beyond(row) or row.verdict in ("only in A", "incomparable") or (row.effect is not None
                                                                                  and row.ratio is None):
            outcome.undecided.append(row)
    if not compared:
        why = next((row.reason for row in named if row.reason), "") or _no_ratio(named[0])
        raise NotComparable(f"--fail-on {rule.text!r} compares nothing: {why}")
    return outcome


def _no_ratio(row: Comparison) -> str:
    return row.verdict if row.effect is None else f"no ratio of {row.b:g} and {row.a:g}"


def written_metric(row: Comparison) -> str:
    """The metric as --fail-on takes it."""
    return f"{row.suite}.{row.metric}{_at(row.phase)}"


def _at(phase: str) -> str:
    return f"@{phase}" if phase else ""
