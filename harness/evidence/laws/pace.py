"""The seconds of trainings from steps that were timed side by side. (no torch)

The runs of a ladder are hours apart, and a machine is not the same in all of them. Where training steps of every plugin
were timed in interleaved rounds at the sizes and shapes of the rungs, their rate counts in the place of the clock of
each run.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...selector import options_in
from ...store import CellResult
from .point import Point

RATE, PHASE = "tokens_per_s", "train"
ALIKE = ("plugin", "params", "seq_len", "batch_size", "device", "dtype", "threads", "tokenizer")


def paced(points: Sequence[Point], results: Iterable[CellResult]) -> list[Point]:
    """The points with seconds of their plugins' steps; as they are where one of them has none, or where a token is not
    a byte."""
    cells = {result.id: result for result in results}
    rates = {_shape(result, result.cell["options"]): row.value for result in cells.values() if result.cell["group"]
             for row in result.rows if (row.metric, row.phase, row.status) == (RATE, PHASE, "ok") and row.value}
    found = []
    for point in points:
        result = cells[point.cell]
        rate = rates.get(_shape(result, {**result.cell["options"], **_tuned(result, cells)}))
        if not rate or result.cell["tokenizer"] != "bytes":
            return list(points)
        found.append(replace(point, seconds=point.bytes / rate, paced=True))
    return found


def _shape(result: CellResult, options: Mapping[str, str]) -> Hashable:
    return (*(result.cell.get(name) for name in ALIKE), result.environment, frozenset(options.items()))


def _tuned(result: CellResult, cells: Mapping[str, CellResult]) -> dict[str, str]:
    """The options that the search of a rung has chosen."""
    searches: list[Any] = [cells[need].raw.get("choice") for need in result.cell.get("needs", ()) if need in cells]
    return options_in(next((choice for choice in searches if isinstance(choice, str)), ""))
