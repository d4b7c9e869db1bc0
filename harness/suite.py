"""What a suite is, and how its metrics are compared. (no torch)"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .errors import PluginError
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


LIMITS = {"compute": "the rate of matrix products", "bandwidth": "the bandwidth of a copy"}


@dataclass(frozen=True)
class Suite:
    """A family of measurements.

    `plan(request)` yields the cells. `measure(cell, bench)` measures one in a worker and leaves its rows at the
    workbench. `conclude(results)` derives rows that need several cells, such as slopes and exponents. `timed` suites
    run alone, one timing group at a time. In a `sealed` suite, of those that come with the harness, the model lives in
    a process of its own, and `bench.seal(model)` tells whether what it said is a score. A suite of `rungs` plans for
    every size and budget of a request, others for the one that there may be. `compared(row)` says by what
    two systems are compared in the row's metric; None: by nothing. `limits` says which of LIMITS, by the words of a
    row's `limit_kind`, `measure` takes from `bench.limits`, and only for suites that use some is the machine measured;
    None: it may use any. Raises PluginError for another.
    """

    name: str
    summary: str
    plan: Callable[[Request], Iterable[Cell]]
    measure: Callable[[Cell, Workbench], None]
    conclude: Callable[[Sequence[CellResult]], list[Row]] | None = None
    timed: bool = False
    sealed: bool = False
    rungs: bool = False
    limits: tuple[str, ...] | None = None
    params: int = 300_000                   # to match models to where nothing is asked for; 0: its plan decides
    sizes: tuple[str, ...] = ()             # of its tasks; a suite that has some takes --tasks, and --size for these
    primary: tuple[str, ...] = ()           # the metrics of the summary table, most important first
    plots: tuple[tuple[str, str], ...] = ()     # (metric, phase) to plot against length
    compared: Callable[[Row], Compared | None] | None = None    # default: the primary metrics by their values

    def __post_init__(self) -> None:
        for name in self.limits or ():
            if name not in LIMITS:
                raise PluginError(f"suite {self.name!r}: a limit is one of {', '.join(LIMITS)}, not {name!r}")
