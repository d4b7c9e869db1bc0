"""The rows of a run for a notebook: a table of pandas that knows what its columns mean. (no torch)

    results = load_results("results/first")
    results[results.suite == "throughput"].wide()               # a row per plugin, a column per metric and length
    results.ratio(to="ssm").plot("tokens_per_s", phase="decode")
    verdict_table("results/claims")                              # a row per rule: what it says, rests on and gave
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from pathlib import Path

import pandas

from ...errors import UsageError, unknown
from ...reading import read_table
from ...store import COLUMNS as ROW_COLUMNS
from ...store import Row
from ..claims.verdict import REFUTED
from ..claims.verdict_file import load_verdicts
from ..contents import Contents
from ..drawing.drawing import Drawing
from ..drawing.lines import chart
from ..drawing.points import Label, Point
from ..statistics.contrast import ratio_of
from ..tables.pivot import CONTEXT, Place, as_rows
from .citation import run_names
from .figures import Styles, axis_words, name_of, point_of
from .wide import COLUMNS, wide_table

SEPARATE = (*CONTEXT, "phase")
PAIRED = (*COLUMNS, "seed", "repeat", "measured_by", "run")
TIMED = r"(?:^|/)s(?:$|/)|^J"               # units of what depends on the machine and on what else ran there


class Results(pandas.DataFrame):  # type: ignore[misc]  # pandas has no types
    """Rows in long format; what is selected from them is one again."""

    @property
    def _constructor(self) -> type[Results]:
        return Results

    def measured(self) -> Results:
        """The rows with a number, each with its `label`: the plugin as the command line writes it, marked where its
        code is older than what was measured of it last. Texts are named by their content.

        Warns of every name that stood for more than one thing.
        """
        rows = as_rows(self)
        contents = Contents(rows)
        labels = [f"{row.label} ({older})" if (older := contents.edition(row)) else row.label for row in rows]
        kept = ((self["status"] == "ok") & self["value"].notna()).tolist()
        for note in contents.notes(row for row, keep in zip(rows, kept, strict=True) if keep):
            warnings.warn(note, stacklevel=3)
        return Results(self.assign(label=labels, corpus=list(map(contents.corpus, rows))).loc[kept])

    def wide(self) -> pandas.DataFrame:
        """A row per plugin (and run, and size, where it has several), a column for every metric, phase and length.

        Metrics with a better side and an interval come first, what has neither last; the ends of an interval stand
        behind the value, as "METRIC ci_low" and "METRIC ci_high". Seeds become their mean with its t interval; points
        of curves are left out. What does not vary is left out of the columns' names; runs that differ in more than
        plugin, size and seed (a budget, say) are to be told apart before.
        """
        return wide_table(self.measured())

    def ratio(self, to: str) -> Results:
        """Every number over that of the plugin `to`, measured under the same conditions; in units of "x TO".

        The interval is that of the worst case at both ends: wider than one of paired rounds or documents, which
        `time_ratio` rows and `harness compare` give. Of `to` the newest measurement counts. A ratio to zero is
        infinite, one of negative numbers is left out. Where runs were merged, times are paired within each of them.
        Raises UsageError where `to` has no rows.
        """
        found = self.measured()
        timed = found["unit"].str.contains(TIMED, na=False)
        found = Results(found.assign(measured_by=found["run_id"].where(timed, "")))
        base = found[found["label"] == to]
        if not len(base):
            raise unknown("plugin", to, found["label"].unique())
        keys = [name for name in PAIRED if name in found]
        newest = base.groupby(keys, dropna=False)["started_at"].transform("max")
        base = base[base["started_at"].isna() | (base["started_at"] == newest)]
        base = base[~base.duplicated(keys, keep=False)][[*keys, "value", "ci_low", "ci_high"]]
        pairs = found[found["label"] != to].merge(base, on=keys, suffixes=("", "_base"))
        ratios = [ratio_of(*both) for both in zip(pairs["value"], pairs["value_base"], strict=True)]
        pairs = pairs.assign(
            value=ratios, unit=f"x {to}", limit=float("nan"), limit_kind="",
            ci_low=pairs["ci_low"] / pairs["ci_high_base"].where(pairs["ci_low_base"] > 0),
            ci_high=pairs["ci_high"] / pairs["ci_low_base"].where(pairs["ci_low_base"] > 0))
        return Results(pairs[pairs["value"].notna()][list(self.columns)])

    def plot(self, metric: str, *, phase: str = "", x: str = "seq_len", log: bool = True) -> Drawing:
        """A metric against a numeric column, a line per plugin, with intervals, limits and failures.

        Raises UsageError where the metric has no number here, or `phase` or `x` is none that it has.
        """
        everything = as_rows(self)
        contents = Contents(everything)
        of_run = dict(zip(map(id, everything), self["run"], strict=True)) if "run" in self else {}
        rows = [row for row in everything if row.metric == metric]
        if not rows:
            raise unknown("metric", metric, self.measured()["metric"].unique())
        if not any(row.status == "ok" and row.value is not None for row in rows):
            raise UsageError(f"{metric} has no number here")
        if phase and phase not in (phases := {row.phase for row in rows}):
            raise unknown(f"phase of {metric}", phase, phases)
        if x not in (numeric := self.select_dtypes("number").columns):
            raise unknown("numeric column", x, numeric)
        rows = [row for row in rows if phase in ("", row.phase) and not pandas.isna(getattr(row, x))
                and (row.value is None or math.isfinite(row.value))]
        if not rows:
            raise UsageError(f"no row of {metric} tells its {x}")

        def names(row: Row) -> tuple[str, ...]:
            return (*(contents.corpus(row) if name == "corpus" else str(getattr(row, name)) for name in SEPARATE),
                    contents.edition(row), of_run.get(id(row), ""))

        varying = [len(set(values)) > 1 for values in zip(*map(names, rows), strict=True)]
        groups: dict[str, dict[float, Place]] = {}
        for row in rows:
            name = name_of((row.label, *(word for word, told in zip(names(row), varying, strict=True) if told)))
            groups.setdefault(name, {}).setdefault(float(getattr(row, x)), Place()).rows.append(row)
        lines: dict[str, list[Point]] = {
            name: [point_of(place, at) for at, place in sorted(places.items())] for name, places in groups.items()}
        styles, unit = Styles(), rows[0].unit
        kinds = dict.fromkeys(row.limit_kind for row in rows if row.limit_kind)
        return chart(
            [styles.series(name, points) for name, points in lines.items()],
            title=" ".join(filter(None, [metric.replace("_", " "), phase])),
            x=Label("length in tokens" if x == "seq_len" else x.replace("_", " "), log=log),
            y=Label(axis_words(unit, rows), unit, log), limit=f"{' and '.join(kinds)} limit" if kinds else "",
            levels=[(1.0, unit.removeprefix("x").strip())] if unit.startswith("x") else ())


def load_results(*directories: Path | str | Iterable[Path | str]) -> Results:
    """The long table of a run, or of several, whose names the column `run` then holds; a measurement that lies in more
    than one of them (folders that were merged) counts once. Raises FileError where one holds no results."""
    paths = [Path(path) for one in directories for path in ([one] if isinstance(one, str | Path) else one)]
    if not paths:
        raise UsageError("load_results takes one results directory or more")
    if len(paths) == 1:
        return Results(read_table(paths[0]))
    table = pandas.concat([read_table(path).assign(run=name)
                           for path, name in zip(paths, run_names(paths), strict=True)], ignore_index=True)
    again = table.duplicated([name for name in ROW_COLUMNS if name != "run_id"])
    return Results(table[~again].reset_index(drop=True))


def verdict_table(directory: Path | str) -> pandas.DataFrame:
    """The verdicts beside a run, a row per rule: what the claim says and where, the rule with its threshold, the number
    with its interval, the cells, and of a refuted claim what that means. Raises FileError."""
    columns = ["claim", "form", "scale", "verdict", "rule", "protocol", "value", "low", "high", "unit", "how", "reason",
               "because", "sensitivity", "controls", "subject", "quote", "source", "section", "failure", "cells"]
    records = []
    for one in load_verdicts(Path(directory)):
        told = {**vars(one), "failure": one.failure if one.verdict == REFUTED else "", "cells": ()}
        for finding in one.findings:
            unit = "x" if finding.scale == "ratio" else finding.unit
            records.append({**vars(finding), **told, "unit": unit, "cells": finding.cells, "controls": finding.controls,
                            "reason": "; ".join(filter(None, (finding.reason, finding.power)))})
        records += [told] * (not one.findings)
    return pandas.DataFrame(records, columns=columns)
