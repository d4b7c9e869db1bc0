"""What a suite is, how its metrics are compared, and a kernel's case. (no torch)"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .run.cells import Cell, Request
from .store import CellResult, Row


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
    """One number of each cell, with the interval of its row if that has one. `machine`: it depends on the machine."""

    machine: bool = False


@dataclass(frozen=True)
class Counted:
    """An exact count: any difference is real."""


Compared = ByRound | ByDocument | ByValue | Counted


@dataclass(frozen=True)
class Suite:
    """A family of measurements.

    `plan(request)` yields the cells; `measure(cell, bench)` runs one in the worker; `conclude(results)` derives rows
    that need several cells (slopes, exponents). `timed` suites run alone, one timing group at a time. `compared(row)`
    says what the row's metric is compared by when two systems stand side by side; None: not at all.
    """

    name: str
    summary: str
    plan: Callable[[Request], Iterable[Cell]]
    measure: Callable[[Cell, Any], None]
    conclude: Callable[[Sequence[CellResult]], list[Row]] | None = None
    timed: bool = False
    primary: tuple[str, ...] = ()           # the metrics of the summary table, most important first
    plots: tuple[tuple[str, str], ...] = ()     # (metric, phase) to plot against length
    compared: Callable[[Row], Compared | None] | None = None    # default: the primary metrics by their values


@dataclass(frozen=True)
class KernelCase:
    """One implementation of a plugin's inner loop, for `--suite kernels`.

    `run()` does it once. `role` is "reference" (the published form), "implementation", "baseline" (what one would run
    in its place, such as standard attention), or "floor" (the least memory traffic: `bytes_moved` at copy speed);
    cases of one `group` do the same work, or stand for it, and are compared.
    """

    name: str
    run: Callable[[], object]
    role: str
    group: str = ""
    bytes_moved: int = 0
    flops: int = 0
