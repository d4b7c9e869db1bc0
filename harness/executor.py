"""The face of an executor: what runs cells, what it reports meanwhile, and how it is asked to stop. (no torch)

The local one is `harness.run.executors`. A plugin brings another with the hook `harness_executor`.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .errors import INTERRUPTED, TERMINATED
from .run.cells import Cell
from .specs import ModelSpec
from .store import CellResult


class Interrupted(Exception):
    """The user asked to stop at once, or the machine did."""


@dataclass
class Events:
    """What an executor reports. `progress` comes between `started` and `finished` with a text for the user.

    `joined` tells of machines elsewhere, before the first cell of one is finished: facts and limits by the id of the
    environment, which the results of its cells carry.
    """

    started: Callable[[Cell], None] = lambda cell: None
    progress: Callable[[Cell, str], None] = lambda cell, text: None
    finished: Callable[[CellResult], None] = lambda result: None
    joined: Callable[[Mapping[str, Any], Mapping[str, Any]], None] = lambda environments, limits: None


@dataclass
class Stop:
    """Whether the user has asked to stop, or the machine has.

    The first Ctrl-C sets `requested`: no further cell is started, and what runs is finished. The second raises
    Interrupted, but only after a `shield` has been left; so does the first SIGTERM, with which a cluster preempts.
    """

    requested: bool = False
    terminated: bool = False
    at_once: bool = False
    shielded: bool = False
    notify: Callable[[], None] = lambda: None

    @property
    def code(self) -> int:
        """The exit code of the command that was stopped."""
        return TERMINATED if self.terminated else INTERRUPTED

    @contextlib.contextmanager
    def on_interrupt(self) -> Iterator[Stop]:
        """Take Ctrl-C and SIGTERM while the block runs. Outside the main thread nothing is taken."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def handler(number: int, _: Any) -> None:
            self.terminated |= number == signal.SIGTERM
            if not self.requested:
                self.requested = True
                if not self.terminated:
                    self.notify()
                    return
            self.at_once = True
            if not self.shielded:
                raise Interrupted

        before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, old in before.items():
                signal.signal(number, old)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Finish the block whole, the storing of a result for instance: a second Ctrl-C takes effect after it."""
        self.shielded = True
        try:
            yield
        finally:
            self.shielded = False
        if self.at_once:
            raise Interrupted


class Executor(Protocol):
    """Runs the cells of a plan, on this machine or elsewhere.

    `limits` is set before `run` to what `measure_limits` found, now or when the run began; every worker is given it.
    """

    limits: dict[str, float]

    def measure_limits(self, device: str) -> dict[str, float]:
        """What the machine can do at most on "cpu" or "cuda": `copy_bytes_per_s` in bytes/s, read plus written, and
        `gemm_float32_flops_per_s`, `gemm_bfloat16_flops_per_s` in FLOP/s. {} where that cannot be measured."""
        ...

    def run(
        self, cells: Sequence[Cell], specs: Mapping[str, ModelSpec], done: dict[str, CellResult], events: Events,
        stop: Stop,
    ) -> None:
        """Run `cells` and call `events.finished` once for each, from the calling thread.

        `specs` holds the model plugins of the cells by name, `done` earlier results by the id of their cell. A cell
        that names others in `needs` is run after those of this call, and is handed their raw measurements. A cell that
        fails is finished too, with a row that says why: nothing is raised for it. After `stop.requested` no cell is
        started, and those that are left have no result.
        """
        ...
