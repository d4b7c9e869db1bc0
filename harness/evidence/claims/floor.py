"""No verdict at a floor or a ceiling: two accuracies that are both chance, or both 1, differ by nothing. (no torch)

Whoever learned nothing of a task cannot be told from another who did not, and whoever has all of it not from another
who has: the difference of the two says nothing of what a claim ascribes to one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...reading import Run
from ...store import Row
from ...suite import Suite
from .claim import Quantity, Rule
from .measurement import readings_of
from .verdict import DECIDABLE, UNDECIDED, RuleFinding

MARGIN = 0.02                           # of all answers: less than any claim asks for
FLOOR, CEILING = "neither side is above chance", "both at the ceiling"


def beside_ends(finding: RuleFinding, rule: Rule, run: Run, other: Run, suites: Mapping[str, Suite]) -> RuleFinding:
    """Undecided where both sides of a difference of accuracies lie at the same end of what is possible."""
    if finding.verdict not in DECIDABLE or not (why := same_end(rule, run, other, suites)):
        return finding
    return replace(finding, verdict=UNDECIDED, reason=why, power="")


def same_end(rule: Rule, run: Run, other: Run, suites: Mapping[str, Suite]) -> str:
    """FLOOR where no interval of any seed is above chance by MARGIN, CEILING where all reach within MARGIN of 1, else
    "". Nothing is said of tasks without a known chance."""
    if rule.kind != "difference":
        return ""
    sides = [(run, rule.of, rule.quantity), (other, *rule.other)]
    tasks = [_task(quantity) for _, _, quantity in sides]
    if not all(tasks):
        return ""
    accuracies = [_rows(*side, rule.at, suites) for side in sides]
    chances = [_rows(run, plugin, replace(quantity, metric=f"chance:{task}"), rule.at, suites)
               for (run, plugin, quantity), task in zip(sides, tasks, strict=True)]
    if not all(accuracies) or not all(chances):
        return ""
    if all(_end(row.ci_low, row) <= (known[0].value or 0.0) + MARGIN
           for rows, known in zip(accuracies, chances, strict=True) for row in rows):
        return FLOOR
    return CEILING * all(_end(row.ci_high, row) >= 1 - MARGIN for rows in accuracies for row in rows)


def _task(quantity: Quantity) -> str:
    """ "mqar:64x4" of "accuracy:mqar:64x4"; "" of what is no accuracy on a task."""
    head, _, task = quantity.metric.partition(":")
    return task if head.partition("@")[0] == "accuracy" else ""


def _rows(run: Run, plugin: str, quantity: Quantity, at: int, suites: Mapping[str, Suite]) -> Sequence[Row]:
    found = readings_of(run, suites, plugin, quantity, at)
    return [reading.row for reading in found] if isinstance(found, list) else []


def _end(end: float | None, row: Row) -> float:
    return (row.value or 0.0) if end is None else end
