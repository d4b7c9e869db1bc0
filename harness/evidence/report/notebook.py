"""The rows of a run for a notebook: a table of pandas that knows what its columns mean. (no torch)

    results = load_results("results/first")
    results[results.suite == "throughput"].wide()               # a row per plugin, a column per metric and length
    results.ratio(to="ssm").plot("tokens_per_s", phase="decode")
    verdict_table("results/claims")                              # a row per rule: what it says, rests on and gave
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas

from ...errors import UsageError, unknown
from ...reading import read_table
from ...store import COLUMNS as ROW_COLUMNS
from ..claims.verdict import REFUTED
from ..claims.verdict_file import load_verdicts
from ..drawing.canvas import Drawing
from ..drawing.lines import Label, Point, chart
from ..tables.pivot import CONTEXT, Place, as_rows
from .figures import Styles, axis_words, name_of, point_of

COLUMNS = ("suite", "metric", "phase", "seq_len", *CONTEXT)
PAIRED = (*COLUMNS, "seed", "repeat", "run_id")


class Results(pandas.DataFrame):  # type: ignore[misc]  # pandas has no types
    """Rows in long format; what is selected from them is one again."""

    @property
    def _constructor(self) -> type[Results]:
        return Results

    def measured(self) -> Results:
        """The rows with a number, each with its `label`: the plugin as the command line writes it."""
        found = self[(self["status"] == "ok") & self["value"].notna()]
        return Results(found.assign(label=[row.label for row in as_rows(found)]))

    def wide(self) -> pandas.DataFrame:
        """A row per plugin (and size, where it has several), a column for every metric, phase and length.

        Means over seeds. What does not vary is left out of the columns' names; runs that differ in more than plugin,
        size and seed (a budget, say) are to be told apart before.
        """
        found = self.measured()
        keys: dict[str, Any] = {name: found[name].astype(object).where(found[name].notna(), "") for name in COLUMNS}
        varying = [name for name in COLUMNS if name == "metric" or keys[name].nunique() > 1]
        sizes = found["params"].astype(object).where(found["params"].notna(), "")
        several = found.assign(params=sizes).groupby("label")["params"].nunique().gt(1).any()
        index = ["label", "params"] if several else ["label"]
        plain = pandas.DataFrame({"label": found["label"], "params": sizes, "value": found["value"], **keys})
        return plain.pivot_table(index=index, columns=varying, values="value", aggfunc="mean", sort=False)

    def ratio(self, to: str) -> Results:
        """Every number over that of the plugin `to`, measured under the same conditions; in units of "x TO".

        The interval is that of the worst case at both ends: wider than one of paired rounds or documents, which
        `time_ratio` rows and `harness compare` give. Raises UsageError where `to` has no rows.
        """
        found = self.measured()
        base = found[found["label"] == to]
        if not len(base):
            raise unknown("plugin", to, found["label"].unique())
        keys = list(PAIRED)
        base = base[~base.duplicated(keys, keep=False) & (base["value"] > 0)][[*keys, "value", "ci_low", "ci_high"]]
        pairs = found[found["label"] != to].merge(base, on=keys, suffixes=("", "_base"))
        pairs = pairs.assign(
            value=pairs["value"] / pairs["value_base"], unit=f"x {to}", limit=float("nan"), limit_kind="",
            ci_low=pairs["ci_low"] / pairs["ci_high_base"], ci_high=pairs["ci_high"] / pairs["ci_low_base"])
        return Results(pairs[list(ROW_COLUMNS)])

    def plot(self, metric: str, *, phase: str = "", x: str = "seq_len", log: bool = True) -> Drawing:
        """A metric against a numeric column, a line per plugin, with intervals, limits and failures.

        Raises UsageError where the metric has no number here.
        """
        rows = [row for row in as_rows(self) if row.metric == metric and phase in ("", row.phase)]
        rows = [row for row in rows if getattr(row, x) is not None]
        if not any(row.status == "ok" and row.value is not None for row in rows):
            raise unknown("metric", metric, self.measured()["metric"].unique()) if not rows else UsageError(
                f"{metric} has no number here")
        varying = [name for name in (*CONTEXT, "phase") if len({getattr(row, name) for row in rows}) > 1]
        groups: dict[str, dict[float, Place]] = {}
        for row in rows:
            name = name_of((row.label, *(str(getattr(row, name)) for name in varying)))
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


def load_results(directory: Path | str) -> Results:
    """The long table of a run. Raises FileError where `directory` holds no results."""
    return Results(read_table(directory))


def verdict_table(directory: Path | str) -> pandas.DataFrame:
    """The verdicts beside a run, a row per rule: what the claim says and where, the rule with its threshold, the number
    with its interval, the cells, and of a refuted claim what that means. Raises FileError."""
    columns = ["claim", "form", "scale", "verdict", "rule", "protocol", "value", "low", "high", "unit", "how", "reason",
               "quote", "source", "section", "failure", "cells"]
    records = []
    for one in load_verdicts(Path(directory)):
        told = {**vars(one), "failure": one.failure if one.verdict == REFUTED else "", "cells": ()}
        for finding in one.findings:
            unit = "x" if finding.scale == "ratio" else finding.unit
            records.append({**vars(finding), **told, "unit": unit, "cells": finding.cells,
                            "reason": "; ".join(filter(None, (finding.reason, finding.further)))})
        records += [told] * (not one.findings)
    return pandas.DataFrame(records, columns=columns)
