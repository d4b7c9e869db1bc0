"""Locks on files: they name their holder, and end with the process however that ends. (no torch)

`flock` holds on one machine, and on a shared folder where its file system passes locks on; where there are none, nobody
is kept out.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FileError
from .store import now

try:
    import fcntl
except ImportError:                         # no POSIX
    fcntl = None                            # type: ignore[assignment]

HELD = (errno.EAGAIN, errno.EACCES)


class Held(Exception):
    """Somebody else has the lock; the text says who, "" where that is not known."""


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold `path` for the block, alone or beside other shared holders. Raises Held, or waits; FileError."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from None
    try:
        _take(file, shared, wait)
        os.ftruncate(file, 0)
        if not shared:
            os.write(file, f"process {os.getpid()} on {platform.node()}, since {now()}".encode())
        yield
    finally:
        os.close(file)


def _take(file: int, shared: bool, wait: bool) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in HELD:
            raise Held(os.pread(file, 200, 0).decode(errors="replace")) from None


@contextmanager
def at_work(directory: Path, shard: str = "") -> Iterator[None]:
    """Hold a results directory for one run; the shards of a run may work in one side by side. Raises FileError."""
    whole, part = directory / ".at-work", directory / f".at-work-{shard.replace('/', '-of-')}"
    try:
        with locked(whole, shared=bool(shard)):
            if not shard:
                yield
                return
            with locked(part):
                yield
    except Held as held:
        who = f" ({held})" if str(held) else ""
        mend = "name another with --out" if shard else "wait for it, name another with --out, or divide them by --shard"
        raise FileError(f"another run is at work in {directory}{who}; {mend}") from None
