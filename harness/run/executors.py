"""Running cells in local processes of their own. (no torch)

Plain cells run side by side, a fresh process each. Timing groups run alone, one worker per lane, woken round by round
in random order, never two at once; their workers stay for the next group. The parent sleeps in `wait`, it never spins.
A crash, a signal, a timeout or memory that ran out ends one cell with a reason; the run goes on.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from .. import registry
from ..executor import Events, Executor, Interrupted, Stop
from ..records import Status
from ..specs import ModelSpec
from ..store import CellResult, Row
from .cells import Cell, base_fields
from .digest import data_files
from .identity import model_files
from .process import SPAWN_LIMIT_S, Worker
from .watch import held_bytes, trim
from .worker import Setup, unavailable

CONTROL = "control:"                        # prefix of the raw timings of the A/A control lane
WATCH_S = 1.0                               # between two looks at what workers hold and print


@dataclass
class LocalExecutor(Executor):
    """Processes on this machine. `jobs` plain cells run side by side; `timeout` is seconds per cell."""

    setup: Setup
    jobs: int = 1
    timeout: float = 900.0
    limits: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    _looked: float = 0.0

    def measure_limits(self, device: str) -> dict[str, float]:
        """Measured in a process of its own."""
        alone = Worker(self.setup)
        try:
            alone.connection.send(("limits", device))
            while alone.inbox.full or wait([alone.connection], SPAWN_LIMIT_S):
                kind, *rest = alone.receive() or ("part",)
                if kind in ("died", "garbled"):
                    return {}
                if kind == "limits":
                    found: dict[str, float] = rest[0]
                    return found
            return {}
        finally:
            alone.kill()

    def run(
        self, cells: Sequence[Cell], specs: Mapping[str, ModelSpec], done: dict[str, CellResult], events: Events,
        stop: Stop,
    ) -> None:
        todo = []
        for cell in cells:
            row = unavailable(cell, specs[cell.plugin])
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
        self, cells: Sequence[Cell], jobs: int, specs: Mapping[str, ModelSpec], done: dict[str, CellResult],
        events: Events, stop: Stop,
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
                    started.assign(cell, self._context(cell, done, specs), self.timeout)
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

    def _context(
        self, cell: Cell, done: Mapping[str, CellResult], specs: Mapping[str, ModelSpec],
    ) -> dict[str, Any]:
        needs = {need: {"raw": done[need].raw, "ok": done[need].ok} for need in cell.needs if need in done}
        spec = specs[cell.plugin]
        sources = model_files(registry.current(), spec, dict(cell.options))     # a worker that seals imports none
        return {"limits": self.limits, "needs": needs, "spec": spec, "sources": sources | data_files(sources)}

    def _messages(self, workers: Sequence[Worker]) -> Iterator[tuple[Worker, tuple[Any, ...]]]:
        """Sleep until a worker speaks, dies, or has had too much time or memory; then yield (worker, message)."""
        by_connection: dict[Connection, Worker] = {w.connection: w for w in workers}
        full = [w.connection for w in workers if w.inbox.full]
        until = min(min(w.deadline for w in workers) - time.monotonic(), WATCH_S)
        spoke = full or wait(list(by_connection), max(0.0, until))
        for connection in spoke:
            current = by_connection[connection]                       # type: ignore[index]
            if message := current.receive():
                yield current, message
        held = self._too_much(workers)
        for current in workers:
            if current.connection not in spoke and current in held:
                yield current, ("overfull", f"the worker and what it started held {held[current]}, more than the "
                                            f"{_mebibytes(self.setup.memory_limit)} of --memory-limit")
            elif current.connection not in spoke and time.monotonic() >= current.deadline:
                yield current, ("timeout",)

    def _too_much(self, workers: Sequence[Worker]) -> dict[Worker, str]:
        """The workers that hold more than they may, and how much; now and then the log is cut too."""
        if time.monotonic() < self._looked + WATCH_S:
            return {}
        self._looked = time.monotonic()
        trim(Path(self.setup.log))
        most = self.setup.memory_limit
        held = {worker: held_bytes(worker.process.pid or 0, most) for worker in workers} if most else {}
        return {worker: _mebibytes(size) for worker, size in held.items() if size > most}

    def _handle(
        self, current: Worker, message: tuple[Any, ...], specs: Mapping[str, ModelSpec], events: Events,
    ) -> CellResult | None:
        """The result that a message completes, or None."""
        kind, *rest = message
        cell = current.cell
        if kind == "progress" and cell:
            events.progress(cell, rest[0])
        if kind == "weights":
            current.weights = rest[0]
        if kind == "spent":
            current.spent = True
        if kind not in ("done", "died", "timeout", "garbled", "overfull") or cell is None:
            return None
        if kind == "done":
            rows, raw = rest
            return CellResult(cell.record(), rows, raw, weights=current.weights)
        ends: dict[str, tuple[Status, str]] = {
            "garbled": ("error", "".join(rest)), "overfull": ("oom", "".join(rest)),
            "timeout": ("timeout", f"took longer than {self.timeout:g} s")}
        status, reason = ends[kind] if kind in ends else current.death()
        fields = base_fields(cell, specs[cell.plugin])
        return CellResult(cell.record(), [Row(**fields, status=status, reason=reason)])

    # Timing groups: one worker per lane, one lane at a time

    def _run_groups(self, cells: Sequence[Cell], specs: Mapping[str, ModelSpec], events: Events, stop: Stop) -> None:
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
        self, members: Sequence[Cell], specs: Mapping[str, ModelSpec], workers: dict[str, Worker], events: Events,
    ) -> list[CellResult]:
        """Interleave the members and an A/A control, a second worker with the cell marked for it (or the first)."""
        lanes = _lanes(members)
        control = next((label for label, cell in lanes.items() if cell.control), next(iter(lanes)))
        lanes[CONTROL + control] = lanes[control]
        order = random.Random(f"{self.seed}{members[0].group}")
        results: dict[str, CellResult] = {}
        secret = secrets.randbits(48)                       # of the inputs, which no member knows and all share
        for label, cell in lanes.items():
            if label not in workers:
                workers[label] = Worker(self.setup)
            workers[label].assign(
                cell, {"limits": self.limits, "needs": {}, "secret": secret}, self.timeout, SPAWN_LIMIT_S)
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
        self, labels: Sequence[str], workers: dict[str, Worker], specs: Mapping[str, ModelSpec], events: Events,
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
                    if message[0] != "done" or current.spent:
                        current.kill()
                        del workers[label]


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"


def _lanes(members: Sequence[Cell]) -> dict[str, Cell]:
    """Members by lane: named after the plugin, so that the next group finds its worker; a further one has a number."""
    count = Counter[str]()
    lanes = {}
    for cell in members:
        count[cell.label] += 1
        lanes[cell.label + (f" {count[cell.label]}" if count[cell.label] > 1 else "")] = cell
    return lanes
