"""Processes behind the wall, as they begin: forked, alone, with nothing open that another has open too. (no torch)"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe

from . import wall

DESCRIPTORS = 1 << 16                   # that a process may have open


def forked(
    serve: Callable[[Connection, list[str]], None], output: int,
    tell: Callable[[Connection, int], None] = lambda connection, pid: None,
) -> tuple[Connection, int]:
    """Our end of a pipe, and the process that is to be waited for. A copy of this one calls `serve` with the other end
    and with what the system does not keep from it, in words; what it prints goes to `output`. `tell` is told, over
    there, which process it is that serves."""
    ours, theirs = Pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():                     # of other threads, which the fork does not need
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        theirs.close()
        return ours, pid
    try:
        _begin(theirs, parent, output)
        notes = wall.alone(lambda inner: tell(theirs, inner))
        os.register_at_fork(after_in_child=theirs.close)
        serve(theirs, notes)
    finally:
        os._exit(0)


def _begin(connection: Connection, parent: int, output: int) -> None:
    """End with `parent`, and keep nothing of it open but the pipe."""
    wall.die_with_parent()
    if os.getppid() != parent:                          # it went before that was asked for
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = (
        open(number, "w", buffering=1, errors="backslashreplace", closefd=False) for number in (1, 2))   # noqa: SIM115
    os.closerange(3, connection.fileno())
    os.closerange(connection.fileno() + 1, DESCRIPTORS)
