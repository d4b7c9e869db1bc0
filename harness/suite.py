"""What a suite is, and how its metrics are compared. (no torch)"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .run.cells import Cell, Request
from .store import CellResult, Row
from .workbench import Workbench


@dataclass(frozen=True)
class ByRound:
    """A time: `key` names the raw measurement beside the cell that holds its rounds in seconds.

    A metric of which more is better is taken to be inverse to them.
    """

    key: str


@dataclass(frozen=True)
class ByDocument:
    """A score: raw `key` holds a number for each document, raw `size` what they are counted by (bits, bytes).

    Without `size` they are shares. `nested`: every seed draws documents of its own, else all seeds score the same.
    """

    key: str
    size: str = ""
    nested: bool = False


@dataclass(frozen=True)
class ByValue:
    """One measured number of each cell, with the interval of its row if that has one; without, and of one seed, it gets
    no verdict. `machine`: it depends on the machine."""

    machine: bool = False


@dataclass(frozen=True)
class Counted:
    """An exact count, the same whenever it is taken: any difference is real."""


Compared = ByRound | ByDocument | ByValue | Counted


@dataclass(frozen=True)
class Suite:
    """A family of measurements.

    `plan(request)` yields the cells. `measure(cell, bench)` measures one in a worker and leaves its rows at the
    workbench. `conclude(results)` derives rows that need several cells, such as slopes and exponents. `timed` suites
    run alone, one timing group at a time. `compared(row)` says by what two systems are compared in the row's metric;
    None: by nothing.
    """

    name: str
    summary: str
    plan: Callable[[Request], Iterable[Cell]]
    measure: Callable[[Cell, Workbench], None]
    conclude: Callable[[Sequence[CellResult]], list[Row]] | None = None
    timed: bool = False
    primary: tuple[str, ...] = ()           # the metrics of the summary table, most important first
    plots: tuple[tuple[str, str], ...] = ()     # (metric, phase) to plot against length
    compared: Callable[[Row], Compared | None] | None = None    # default: the primary metrics by their values
