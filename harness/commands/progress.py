"""What a person sees while a run goes on: a progress bar with an estimate on a terminal, plain lines elsewhere.

Everything goes to stderr, so that stdout holds results alone.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..executor import Events, Stop
from ..quantities import format_number
from ..run.cells import Cell
from ..store import CellResult

if TYPE_CHECKING:
    from ..run.plan import Plan


class Reporter:
    """Counts cells, estimates the rest from those that finished, and answers Ctrl-C."""

    def __init__(self, plan: Plan, *, quiet: bool = False, verbose: bool = False, terminal: bool | None = None):
        self.quiet, self.verbose = quiet, verbose
        self.total, self.resumed = len(plan.cells), len(plan.cells) - len(plan.missing)
        self.done = self.failed = 0
        self.terminal = not quiet and (sys.stderr.isatty() if terminal is None else terminal)
        self.started = time.monotonic()
        self.stop = Stop(notify=lambda: self.note("stopping: what runs is finished first; Ctrl-C again stops at once"))
        self.events = Events(started=self._on_start, progress=self._on_progress, finished=self._on_finish)
        self._bar: Any = None

    def __enter__(self) -> Reporter:
        if self.terminal:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            from ..console import make_console

            self._bar = Progress(
                BarColumn(24), MofNCompleteColumn(), TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=make_console(stderr=True),
                transient=True)
            self._task = self._bar.add_task("", total=self.total - self.resumed)
            self._bar.start()
        if self.resumed:
            verb = "is" if self.resumed == 1 else "are"
            self.note(f"{self.resumed} of {format_number(self.total, 'cell')} {verb} finished already")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()
        if self.done:
            self.note(f"{format_number(self.done, 'cell')} in {_span(time.monotonic() - self.started)}" + (
                f", {self.failed} not ok" if self.failed else ""))

    def note(self, text: str) -> None:
        if self.quiet:
            return
        if self._bar:
            self._bar.console.print(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def _on_start(self, cell: Cell) -> None:
        self._step(cell, "")

    def _on_progress(self, cell: Cell, text: str) -> None:
        self._step(cell, text)

    def _step(self, cell: Cell, text: str) -> None:
        if self.verbose:
            self.note(f"{cell_name(cell)} {text or 'begins'}")
        elif self._bar:
            self._bar.update(self._task, description=f"{cell_name(cell)} {text}".rstrip())

    def _on_finish(self, result: CellResult) -> None:
        self.done += 1
        bad = next((row for row in result.rows if row.status != "ok"), None)
        self.failed += bad is not None
        if self._bar:
            self._bar.advance(self._task)
            if bad:
                self.note(f"{cell_name(result.cell)}: {bad.status}: {bad.reason}")
            return
        spent = time.monotonic() - self.started
        left = spent / self.done * (self.total - self.resumed - self.done)
        text = f"{bad.status}: {bad.reason}" if bad else "ok"
        count = f"[{self.done + self.resumed}/{self.total}]"
        self.note(f"{count} {cell_name(result.cell)} {text} ({_span(spent)}, about {_span(left)} left)")


def cell_name(cell: Cell | dict[str, Any]) -> str:
    """A cell in a few words."""
    record = cell.record() if isinstance(cell, Cell) else cell
    options = "".join(f":{k}={v}" for k, v in record["options"].items())
    role = record["protocol"].get("role", "")
    options += f"@{record['checkpoint']}" if record.get("checkpoint") else ""
    parts = [record["suite"] + (f"/{role}" if role else ""), record["plugin"] + options, record["corpus"]]
    parts += [f"T={record['seq_len']}"] if record["seq_len"] else []
    parts += [record["protocol"].get(name, "") for name in ("task", "rung")]
    parts += [f"seed {record['seed']}" if record["seed"] else ""]
    return " ".join(filter(None, parts))


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
