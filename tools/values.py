"""Cells of generated tables: what a run measured of a plugin, and how it stands to the baseline's."""

from __future__ import annotations

from collections.abc import Sequence

from harness.evidence.comparison.compare import compare_runs
from harness.evidence.comparison.table import effect_text
from harness.evidence.format import format_value
from harness.reading import Run
from harness.registry import Registry
from harness.store import Row
from harness.tuning import choice_in

BASELINE = "baseline"


def value_cell(
    rows: Sequence[Row], suite: str, metric: str, phase: str, length: int | None, interval: bool = True,
) -> str:
    """A value, the mean over seeds, with the options that a search chose for it."""
    own = [r for r in rows if (r.suite, r.metric, r.phase) == (suite, metric, phase) and length in (None, r.seq_len)]
    measured = [r for r in own if r.value is not None]
    if not measured:
        failed = next((r for r in rows if r.suite == suite and r.status != "ok"), None)
        return failed.status if failed else "–"
    value = sum(r.value or 0.0 for r in measured) / len(measured)
    one = measured[0] if len(measured) == 1 and interval else None
    low, high = (one.ci_low, one.ci_high) if one else (None, None)
    choice = choice_in(measured[0].reason)
    return format_value(value, measured[0].unit, low, high) + (f" (`{choice}`)" if choice else "")


def beside_baseline(
    run: Run, registry: Registry, label: str, suite: str, metric: str, phase: str, corpus: str = "",
) -> str:
    """The effect beside the baseline with its interval, as `harness compare` has it, of a corpus if one is named."""
    if label == BASELINE:
        return "1"
    found = compare_runs(run, run, [registry.suites[suite]], plugins=(BASELINE, label))
    return next((effect_text(row) for row in found if (row.metric, row.phase) == (metric, phase)
                 and corpus in ("", row.corpus) and row.effect is not None), "–")
