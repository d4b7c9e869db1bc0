"""Processor time of this process with all that it has started, against the wall: what a clock of one call cannot see.

A round that is quick because other threads or processes work for it has used more processors than the run gives it;
one that leaves them burning slows down whoever is timed next. Processor time, unlike the wall, is the same on a busy
machine, so an honest model is never accused for its neighbours.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import AuditFailed

SLACK, LEAST = 1.25, 0.03               # times the threads and the wall, and seconds besides: ticks, the interpreter
BURNING = 0.1                           # of the wall between two turns, and LEAST besides
SETTLE_S, LOOK_S = 0.4, 0.2             # an OpenMP pool spins for up to 0.2 s after its work, then it sleeps
ADOPT_ORPHANS = 36                      # PR_SET_CHILD_SUBREAPER


def adopt_orphans() -> None:
    """Become the parent of whatever a descendant leaves behind, so that it stays one. Linux only."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 1, 0, 0, 0)


def has_children() -> bool:
    """Whether a process that this one started, or adopted, is there, be it as a zombie."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def descendants() -> list[int]:
    """Process ids of all that this process started; [] where there is no /proc."""
    return below(os.getpid()) if has_children() else []


def below(pid: int) -> list[int]:
    """Process ids of all that a process started and what these did; [] where there is no /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int(_stat(folder)[1])
    found, todo = list[int](), [pid]
    while todo:
        parent = todo.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        todo += children
    return found


def _stat(folder: Path) -> list[str]:
    """The fields of a process's stat behind its name, from its state on."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def processor_seconds() -> float:
    """Of this process, all its threads, and of all that it started, ended or not."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(_seconds_of(descendants()))


def _seconds_of(pids: list[int]) -> Iterator[float]:
    """User and system time of processes and of the children that they waited for."""
    for pid in pids:
        with suppress(OSError):
            yield sum(map(int, _stat(Path(f"/proc/{pid}"))[11:15])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Meter:
    """Processor and wall seconds within `with meter:` and between two such blocks. `threads`: what the run gives."""

    threads: int = 1
    busy: float = 0.0
    busy_wall: float = 0.0
    idle: float = 0.0
    idle_wall: float = 0.0
    _last: tuple[float, float] | None = None

    def __enter__(self) -> None:
        processor, wall = processor_seconds(), time.perf_counter()
        if self._last:
            self.idle += processor - self._last[0]
            self.idle_wall += wall - self._last[1]
        self._last = processor, wall

    def __exit__(self, *_: object) -> None:
        processor, wall = processor_seconds(), time.perf_counter()
        assert self._last
        self.busy += processor - self._last[0]
        self.busy_wall += wall - self._last[1]
        self._last = processor, wall

    def judge(self) -> str:
        """A note, "" for none. Raises AuditFailed where the rounds had more than their threads, or left some burning.
        """
        if self.busy > SLACK * self.threads * self.busy_wall + LEAST:
            raise AuditFailed(f"its rounds took {self.busy:.2f} s of processor time in {self.busy_wall:.2f} s, more "
                              f"than {self.threads} thread{'s' * (self.threads > 1)} can: others worked for it")
        if self.idle <= BURNING * self.idle_wall + LEAST:
            return ""
        found = f"{self.idle:.2f} s of processor time in {self.idle_wall:.2f} s between its turns"
        time.sleep(SETTLE_S)
        with (later := Meter()):
            time.sleep(LOOK_S)
        if later.busy > BURNING * later.busy_wall:
            raise AuditFailed(f"{found}: threads or processes that it left running slow down the others")
        return f"{found}: threads that spin for a while after their work slow down the others"
