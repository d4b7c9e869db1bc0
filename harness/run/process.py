"""A worker process as its parent sees it: started, given a cell, listened to, ended. (no torch)

On Linux workers are forked off a server that has imported torch and done nothing else: as clean as a spawned process,
and there at once. Elsewhere they are spawned.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from typing import Any

from ..errors import FileError
from ..records import Status
from ..untrusted import Malformed
from . import worker
from .cells import Cell
from .failures import death
from .messages import Inbox, unpacked
from .watch import MARK, end_below, end_strays

SPAWN_LIMIT_S = 120.0
# By the server of all workers: torch comes with the first; the second is what an optimiser's first step imports.
IMPORTED_ONCE = ("harness.bench.workbench", "torch._dynamo")
# A socket's path has at most 103 bytes on macOS, 107 on Linux; the server's own part takes up to 40 of them.
LONGEST_FOLDER = 60
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
LIVING = set[int]()                     # workers: they live on where the server that forked them dies


def process_context() -> Any:
    """Where workers come from: a fork server on Linux, single-threaded until it forks; elsewhere a spawned process."""
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED_ONCE))
    before = dict(os.environ)
    os.environ.update(dict.fromkeys(worker.THREADS, "1") | {MARK: str(os.getpid())})
    try:
        with _short_temporary_folder():
            forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


@contextlib.contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Within it sockets get a path that is not too long for them, whatever TMPDIR says. Raises FileError."""
    try:
        usual = tempfile.gettempdir()
    except OSError:
        raise FileError("no temporary folder can be written; name one with TMPDIR") from None
    folders = [usual] if len(os.fsencode(usual)) <= LONGEST_FOLDER else SHORT_FOLDERS
    folder = next((folder for folder in folders if os.access(folder, os.W_OK | os.X_OK)), None)
    if folder is None:
        raise FileError(f"TMPDIR {usual} is too long for the sockets of the workers; name one of at most "
                        f"{LONGEST_FOLDER} bytes")
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = usual


class Worker:
    """A process that serves one cell at a time."""

    def __init__(self, setup: worker.Setup):
        context = process_context()
        self.connection, theirs = context.Pipe()
        self.inbox = Inbox(self.connection.fileno())
        environ = {**os.environ, MARK: str(os.getpid())}
        self.process = context.Process(target=worker.main, args=(theirs, setup, environ), daemon=True)
        # The child inherits the mask, so that Ctrl-C is for the parent alone, which gets it a moment later.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        LIVING.add(self.process.pid)
        self.cell: Cell | None = None
        self.weights: dict[str, bytes] = {}             # the files of what it has scored
        self.deadline = time.monotonic() + SPAWN_LIMIT_S
        self.spent = False                  # a cell changed its process: no other is to follow there
        self.waiting = False                # in a timing group: it asked for the baton
        self.left = 0.0                     # in a timing group: seconds its turns may still take

    def assign(self, cell: Cell, context: dict[str, Any], timeout: float, start: float = 0.0) -> None:
        """Give it a cell to finish within `timeout` seconds, and `start` more to get ready."""
        self.cell, self.weights, self.waiting, self.left = cell, {}, False, timeout
        self.deadline = time.monotonic() + timeout + start
        with contextlib.suppress(OSError):                            # a dead worker shows in receive()
            self.connection.send(("cell", cell, context))

    def receive(self) -> tuple[Any, ...] | None:
        """The next message, ("garbled", reason) for what is none, ("died",) from a process that has ended, or None
        where the next message is not whole yet."""
        try:
            message = self.inbox.take()
            return message if message is None else unpacked(message, self.cell)
        except Malformed as wrong:
            return "garbled", str(wrong)
        except (EOFError, OSError):
            return ("died",)

    def death(self) -> tuple[Status, str]:
        """(status, reason) of a process that ended without an answer. What it had started is ended too."""
        self.process.join(5)
        LIVING.discard(self.process.pid)
        end_strays({*sources(), *LIVING})
        return death(self.process.exitcode)

    def kill(self) -> None:
        """End the process and whatever it has started, be it in a group of its own.

        It is not stopped meanwhile: if this process were killed then, nobody would ever wake it, to see that and end.
        """
        if pid := self.process.pid:
            end_below(pid)
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        self.connection.close()
        LIVING.discard(self.process.pid)


def sources() -> list[int]:
    """The processes that workers come from."""
    helpers = (forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid)    # type: ignore[attr-defined]
    return [pid for pid in helpers if pid]
