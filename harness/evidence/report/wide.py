"""The wide form of result rows: a line per plugin, a column per metric, each value with its interval. (no torch)"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas

from ...store import Row
from ..statistics.intervals import Estimate
from ..tables.pivot import CONTEXT, Place, as_rows

COLUMNS = ("suite", "metric", "phase", "seq_len", *CONTEXT)
LINES = ("label", "run", "params")
ONE_POINT = ("cell_id", "seed", "repeat")   # of these a metric has one row, or it is a curve

Key = tuple[Any, ...]


def wide_table(found: pandas.DataFrame) -> pandas.DataFrame:
    """Measured rows with their `label`, as `Results.wide` describes it."""
    names = [name for name in (*LINES, *COLUMNS, *ONE_POINT) if name in found]
    plain = pandas.DataFrame({name: found[name].astype(object).where(found[name].notna(), "") for name in names})
    plain = plain.assign(row=as_rows(found))[~plain.duplicated(keep=False)]
    several = plain.groupby("label")[names].nunique().gt(1).any()
    lines = [name for name in LINES if name == "label" or (name in names and several[name])]
    columns = [name for name in COLUMNS if name == "metric" or plain[name].nunique() > 1]
    at, table, ranks = columns.index("metric"), dict[Key, dict[Key, float | None]](), dict[Key, int]()
    for key, rows in plain.groupby([*lines, *columns], sort=False)["row"]:
        place = Place(list(rows))
        line, column = key[:len(lines)], key[len(lines):]
        if (estimate := place.estimate) is not None:
            rank = min(_rank(place.measured[0], estimate), ranks.get(column, 2))
            for end, value in (("", estimate.value), (" ci_low", estimate.low), (" ci_high", estimate.high)):
                if value is not None:
                    where = (*column[:at], column[at] + end, *column[at + 1:])
                    table.setdefault(where, {})[line] = value
                    ranks[where] = rank
    order = sorted(table, key=lambda column: ranks[column])
    index = list(dict.fromkeys(line for column in table.values() for line in column))
    values = [[table[column].get(line, math.nan) for column in order] for line in index]
    return pandas.DataFrame(values, _labels(index, lines), _labels(order, columns), dtype="float64")


def _rank(row: Row, estimate: Estimate) -> int:
    """0 for a result, 1 for one without an interval, 2 for what is kept for the record: rates chosen, trials."""
    return 0 if row.better and estimate.low is not None else 1 if row.better and "@" not in row.metric else 2


def _labels(keys: Sequence[Key], names: Sequence[str]) -> pandas.Index:
    if len(names) > 1:
        return pandas.MultiIndex.from_tuples(keys, names=names)
    return pandas.Index([key for key, in keys], name=names[0])
