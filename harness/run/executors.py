"""Running cells in local processes of their own. (no torch)

Plain cells run side by side, a fresh process each, forked off a server that has imported torch and done nothing else:
as clean as a spawned one, and there at once. Timing groups run alone, one worker per lane, woken round by round
in random order, never two at once; their workers stay for the next group. The parent sleeps in `wait`, it never spins.
A crash, a signal, a timeout or memory that ran out ends one cell with a reason; the run goes on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from ..store import CellResult, Row
from . import worker
from .cells import Cell

CONTROL = "control:"                        # prefix of the raw timings of the A/A control lane
SPAWN_LIMIT_S = 120.0
# By the server of all workers: torch comes with the first; the second is what an optimiser's first step imports.
IMPORTED_ONCE = ("harness.bench.workbench", "torch._dynamo")
LONGEST_SLEEP_S = 3600.0


class Interrupted(Exception):
    """The user asked to stop at once."""


@dataclass
class Events:
    """What the command line wants to hear about."""

    started: Callable[[Cell], None] = lambda cell: None
    progress: Callable[[Cell, str], None] = lambda cell, text: None
    finished: Callable[[CellResult], None] = lambda result: None


@dataclass
class Stop:
    """Ctrl-C once: start nothing more, let what runs finish. Twice: stop at once, but not inside `shield`."""

    requested: bool = False
    at_once: bool = False
    shielded: bool = False
    notify: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def on_interrupt(self) -> Iterator[Stop]:
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def handler(*_: Any) -> None:
            if not self.requested:
                self.requested = True
                self.notify()
                return
            self.at_once = True
            if not self.shielded:
                raise Interrupted

        before = signal.signal(signal.SIGINT, handler)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Store a result, or end a process, whole: a second Ctrl-C takes effect afterwards."""
        self.shielded = True
        try:
            yield
        finally:
            self.shielded = False
        if self.at_once:
            raise Interrupted


def process_context() -> Any:
    """Where workers come from: a fork server on Linux, single-threaded until it forks; elsewhere a spawned process."""
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED_ONCE))
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(worker.THREADS, "1"))
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


class Worker:
    """A process that serves one cell at a time."""

    def __init__(self, setup: worker.Setup):
        context = process_context()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=worker.main, args=(theirs, setup, dict(os.environ)), daemon=True)
        # The child inherits the mask, so that Ctrl-C is for the parent alone, which gets it a moment later.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.cell: Cell | None = None
        self.deadline = time.monotonic() + SPAWN_LIMIT_S
        self.waiting = False                # in a timing group: it asked for the baton
        self.left = 0.0                     # in a timing group: seconds its turns may still take

    def assign(self, cell: Cell, context: dict[str, Any], timeout: float, start: float = 0.0) -> None:
        """Give it a cell to finish within `timeout` seconds, and `start` more to get ready."""
        self.cell, self.waiting, self.left = cell, False, timeout
        self.deadline = time.monotonic() + timeout + start
        with contextlib.suppress(OSError):                            # a dead worker shows in receive()
            self.connection.send(("cell", cell, context))

    def receive(self) -> tuple[Any, ...] | None:
        """The next message, or None where the process died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def death(self) -> tuple[str, str]:
        """(status, reason) of a process that ended without an answer."""
        self.process.join(5)
        code = self.process.exitcode
        if code is None:
            return "error", "the worker closed its connection"
        if code >= 0:
            return "error", f"the worker exited with code {code} in the middle of the cell"
        name = signal.Signals(-code).name
        if name == "SIGKILL":
            return "oom", "the worker was killed (SIGKILL), most likely by the kernel for want of memory"
        return "error", f"the worker died of {name}"

    def kill(self) -> None:
        """End the process and whatever it has started: it leads a group of its own."""
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.connection.close()


@dataclass
class LocalExecutor:
    """Spawned processes on this machine. `jobs` plain cells run side by side; `timeout` is seconds per cell."""

    setup: worker.Setup
    jobs: int = 1
    timeout: float = 900.0
    limits: dict[str, float] = field(default_factory=dict)
    seed: int = 0

    def measure_limits(self, device: str) -> dict[str, float]:
        """The physical limits of the machine, measured in a process of their own; {} where that fails."""
        alone = Worker(self.setup)
        try:
            alone.connection.send(("limits", device))
            while wait([alone.connection], SPAWN_LIMIT_S):
                message = alone.receive()
                if message is None:
                    return {}
                if message[0] == "limits":
                    return message[1]
            return {}
        finally:
            alone.kill()

    def run(
        self, cells: Sequence[Cell], specs: dict[str, Any], done: dict[str, CellResult], events: Events, stop: Stop,
    ) -> None:
        """Run `cells`, calling `events.finished` once for each. `done` holds results that other cells may need."""
        todo = []
        for cell in cells:
            row = worker.unavailable(cell, specs[cell.plugin])
            if row is None:
                todo.append(cell)
            else:
                done[cell.id] = CellResult(cell.record(), [row])
                events.finished(done[cell.id])
        try:
            self._run_plain([c for c in todo if not c.group and not c.alone], self.jobs, specs, done, events, stop)
            self._run_plain([c for c in todo if c.alone and not c.group], 1, specs, done, events, stop)
            self._run_groups([c for c in todo if c.group], specs, events, stop)
        except Interrupted:
            stop.requested = True

    # Plain cells: side by side, a fresh process each

    def _run_plain(
        self, cells: Sequence[Cell], jobs: int, specs: dict[str, Any], done: dict[str, CellResult], events: Events,
        stop: Stop,
    ) -> None:
        pending, running = list(cells), list[Worker]()
        promised = {cell.id for cell in cells}

        def ready(cell: Cell) -> bool:
            return all(need in done or need not in promised for need in cell.needs)

        try:
            while (pending and not stop.requested) or running:
                while not stop.requested and len(running) < jobs:
                    cell = next((c for c in pending if ready(c)), None if running or not pending else pending[0])
                    if cell is None:
                        break
                    pending.remove(cell)
                    started = Worker(self.setup)
                    started.assign(cell, self._context(cell, done), self.timeout)
                    running.append(started)
                    events.started(cell)
                for current, message in self._messages(running):
                    result = self._handle(current, message, specs, events)
                    if result is not None:
                        with stop.shield():
                            running.remove(current)
                            current.kill()
                            done[result.id] = result
                            events.finished(result)
        finally:
            stop.shielded = True
            for current in running:
                current.kill()
            stop.shielded = False

    def _context(self, cell: Cell, done: dict[str, CellResult]) -> dict[str, Any]:
        needs = {need: {"raw": done[need].raw, "ok": done[need].ok} for need in cell.needs if need in done}
        return {"limits": self.limits, "needs": needs}

    def _messages(self, workers: Sequence[Worker]) -> Iterator[tuple[Worker, tuple[Any, ...]]]:
        """Sleep until a worker speaks, dies or runs out of time; then yield (worker, message)."""
        by_connection: dict[Connection, Worker] = {w.connection: w for w in workers}
        soonest = min(w.deadline for w in workers)
        spoke = wait(list(by_connection), min(max(0.0, soonest - time.monotonic()), LONGEST_SLEEP_S))
        for connection in spoke:
            current = by_connection[connection]                       # type: ignore[index]
            yield current, current.receive() or ("died",)
        for current in workers:
            if current.connection not in spoke and time.monotonic() >= current.deadline:
                yield current, ("timeout",)

    def _handle(
        self, current: Worker, message: tuple[Any, ...], specs: dict[str, Any], events: Events,
    ) -> CellResult | None:
        """The result that a message completes, or None."""
        kind, *rest = message
        cell = current.cell
        if kind == "progress" and cell:
            events.progress(cell, rest[0])
        if kind not in ("done", "died", "timeout") or cell is None:
            return None
        if kind == "done":
            rows, raw = rest
            return CellResult(cell.record(), rows, raw)
        status, reason = current.death() if kind == "died" else ("timeout", f"took longer than {self.timeout:g} s")
        fields = worker.base_fields(cell, specs[cell.plugin])
        return CellResult(cell.record(), [Row(**fields, status=status, reason=reason)])

    # Timing groups: one worker per lane, one lane at a time

    def _run_groups(self, cells: Sequence[Cell], specs: dict[str, Any], events: Events, stop: Stop) -> None:
        groups: dict[str, list[Cell]] = {}
        for cell in cells:
            groups.setdefault(cell.group, []).append(cell)
        workers: dict[str, Worker] = {}
        try:
            for members in groups.values():
                if stop.requested:
                    return
                results = self._run_group(members, specs, workers, events)
                with stop.shield():
                    for result in results:
                        events.finished(result)
        finally:
            stop.shielded = True
            for current in workers.values():
                current.kill()
            stop.shielded = False

    def _run_group(
        self, members: Sequence[Cell], specs: dict[str, Any], workers: dict[str, Worker], events: Events,
    ) -> list[CellResult]:
        """Interleave the members and an A/A control, a second worker with the cell marked for it (or the first)."""
        lanes = _lanes(members)
        control = next((label for label, cell in lanes.items() if cell.control), next(iter(lanes)))
        lanes[CONTROL + control] = lanes[control]
        order = random.Random(f"{self.seed}{members[0].group}")
        results: dict[str, CellResult] = {}
        for label, cell in lanes.items():
            if label not in workers:
                workers[label] = Worker(self.setup)
            workers[label].assign(cell, {"limits": self.limits, "needs": {}}, self.timeout, SPAWN_LIMIT_S)
        for cell in members:
            events.started(cell)
        live = list(lanes)
        while live:
            unready = [label for label in live if not workers[label].waiting]
            self._until_all_wait(unready, workers, specs, events, results)
            live = [label for label in live if label not in results]
            order.shuffle(live)
            for label in live:
                current = workers[label]
                current.waiting = False
                started = time.monotonic()
                current.deadline = started + current.left
                with contextlib.suppress(OSError):
                    current.connection.send(("go",))
                self._until_all_wait([label], workers, specs, events, results)
                current.left -= time.monotonic() - started
            live = [label for label in live if label not in results]
        twin = results.pop(CONTROL + control)
        main = results[control]
        main.raw = {**main.raw, **{CONTROL + key: value for key, value in twin.raw.items()}}
        return [results[label] for label in lanes if label in results]

    def _until_all_wait(
        self, labels: Sequence[str], workers: dict[str, Worker], specs: dict[str, Any], events: Events,
        results: dict[str, CellResult],
    ) -> None:
        """Listen to these lanes until each asks for the baton or has ended."""
        busy = {label: workers[label] for label in labels}
        while busy:
            for current, message in self._messages(list(busy.values())):
                label = next(name for name, w in busy.items() if w is current)
                if message[0] == "turn":
                    current.waiting = True
                    del busy[label]
                    continue
                result = self._handle(current, message, specs, events)
                if result is not None:
                    results[label] = result
                    del busy[label]
                    if message[0] != "done":
                        current.kill()
                        del workers[label]


def _lanes(members: Sequence[Cell]) -> dict[str, Cell]:
    """Members by lane: named after the plugin, so that the next group finds its worker; a further one has a number."""
    count = Counter[str]()
    lanes = {}
    for cell in members:
        count[cell.label] += 1
        lanes[cell.label + (f" {count[cell.label]}" if count[cell.label] > 1 else "")] = cell
    return lanes
