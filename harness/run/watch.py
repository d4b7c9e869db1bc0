"""What a worker and all that it started hold, print and leave behind, as the parent sees it. (no torch)

A limit of the system counts one process and what is its own (RLIMIT_DATA); a cell may start others, or share memory
with them. Linux tells the whole; elsewhere there is the limit of the system alone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ..bench.processor import below

MARK = "HARNESS_WORKER_OF"                  # in the environment of a run's workers: the process id of the run
LOG_MOST, LOG_KEPT = 64 << 20, 1 << 20      # bytes of a log, and what is kept of either end of one that has more


def held_bytes(pid: int, most: int) -> int:
    """Bytes that a process and all that it started hold: exact if that is more than `most`, else an upper bound. Pages
    of files do not count, which the system takes back when it wants them."""
    pids = _family(pid)
    resident = _sum_of(pids, "status", ("RssAnon:", "RssShmem:"))
    return resident if resident <= most else _sum_of(pids, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))


def _family(pid: int) -> list[int]:
    """A process and all that it started, as the kernel lists children by thread (proc(5)): one that starts as another
    ends may be missed, but unlike `below` it does not look at every process of the machine."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        return [pid, *below(pid)]
    found, todo = list[int](), [pid]
    while todo:
        found.append(one := todo.pop())
        for listed in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                todo += map(int, listed.read_text().split())
    return found


def _sum_of(pids: Collection[int], name: str, fields: tuple[str, ...]) -> int:
    """Bytes under these fields of a file of each process; shared pages count in equal parts under `Pss`."""
    total = 0
    for pid in pids:
        with suppress(OSError):                             # it has ended, or is another's
            lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(fields))
    return total


def trim(log: Path) -> None:
    """Cut the middle out of a log that has become too large, while others append to it."""
    with suppress(OSError):
        size = log.stat().st_size
        if size <= LOG_MOST or not log.is_file():
            return
        with log.open("r+b") as file:
            file.seek(-LOG_KEPT, os.SEEK_END)
            last = file.read(LOG_KEPT)
            file.truncate(LOG_KEPT)
        with log.open("ab") as file:
            file.write(b"\n... %d bytes were cut out here ...\n" % (size - 2 * LOG_KEPT) + last)


def end_below(pid: int) -> None:
    """End all that a process started, in whatever group or session that is."""
    seen = set[int]()
    while new := set(below(pid)) - seen:                    # stopped first, so that none starts another meanwhile
        for one in new:
            _signal(one, signal.SIGSTOP)
        seen |= new
    for one in seen:
        _signal(one, signal.SIGKILL)


def end_strays(own: Collection[int]) -> None:
    """End what workers of this run left behind when they died: marked as theirs, and no child of one of them any more.
    `own` are the workers that are at work, and the processes that they come from."""
    mark = f"{MARK}={os.getpid()}".encode()
    marked = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                marked[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    for pid, parent in marked.items():
        if pid not in own and parent not in marked and pid != os.getpid():
            end_below(pid)
            _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    with suppress(OSError):
        os.kill(pid, number)
