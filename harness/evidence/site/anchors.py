"""Permanent links to rows: a row is found again under its cell and its metric, whatever else a site holds. (no torch)

    c0123abcd.bits_per_byte.score       cell, metric, phase
    c0123abcd.learning_curve.train.3    the third of several, such as the points of a curve
    r5f….c0123abcd.peak_bytes.train     where another run holds the same cell with another measurement
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...reading import Run
from ...store import Row

UNSAFE = re.compile(r"[^A-Za-z0-9_.@:+=,-]+")


def anchors_of(runs: Sequence[Run]) -> dict[int, str]:
    """The anchor of every row by `id(row)`. A row that several runs hold, the same in all, has one: of the first."""
    known: dict[str, Row] = {}
    found: dict[int, str] = {}
    for run in runs:
        count: dict[str, int] = {}
        for row in run.rows:
            name = ".".join(filter(None, [row.cell_id or row.suite, row.metric or row.status, row.phase]))
            name = UNSAFE.sub("-", name)
            count[name] = count.get(name, 0) + 1
            anchor = name if count[name] == 1 else f"{name}.{count[name]}"
            if anchor in known and not _same(known[anchor], row):
                anchor = _free(f"{UNSAFE.sub('-', row.run_id or run.name)}.{anchor}", known)
            if anchor not in known:
                known[anchor] = row
                found[id(row)] = anchor
    return found


def _free(anchor: str, known: dict[str, Row]) -> str:
    number = 1
    while (name := anchor if number == 1 else f"{anchor}.{number}") in known:
        number += 1
    return name


def _same(one: Row, other: Row) -> bool:
    """Whether two are one measurement in two folders; a merge gives its derived rows another run."""
    return {**vars(one), "run_id": ""} == {**vars(other), "run_id": ""}
