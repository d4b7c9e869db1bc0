"""What else kept the machine busy while times were taken, told to whoever reads them. (no torch)

The load is seen once, as a run begins. A timed cell keeps it in its raw measurements; of one that has none, written
before there was such a record, the load is that of its environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .quantities import format_number
from .store import CellResult

BUSY = 0.25                             # share of the processors' time that others take, from which times suffer
KEY = "foreign_load"


def is_timed(cell: Mapping[str, Any]) -> bool:
    """Whether a cell is measured with nothing else of its run beside it."""
    return bool(cell.get("group") or cell.get("alone"))


def keep_load(result: CellResult, load: float | None) -> None:
    """Leave the load beside the times of a cell; what a node saw of itself stays."""
    if load is not None and is_timed(result.cell):
        result.raw.setdefault(KEY, load)


def load_beside(result: CellResult, environments: Mapping[str, Mapping[str, Any]]) -> float:
    """The share of the processors' time that other processes took, 0 where nobody knows."""
    now = environments.get(result.environment, {}).get("now")
    found = result.raw.get(KEY, now.get(KEY) if isinstance(now, Mapping) else None)
    return float(found) if isinstance(found, int | float) else 0.0


def busy_line(results: Iterable[CellResult], environments: Mapping[str, Mapping[str, Any]]) -> str:
    """What is to be known of times that were taken on a busy machine, "" where none were."""
    loads = [load for result in results if is_timed(result.cell) and any(row.status == "ok" for row in result.rows)
             and (load := load_beside(result, environments)) > BUSY]
    if not loads:
        return ""
    share = " to ".join(dict.fromkeys(f"{load:.0%}" for load in (min(loads), max(loads))))
    return (f"timed beside a foreign load of {share} of the processors: {format_number(len(loads), 'cell')}; "
            "their intervals may be too narrow")
