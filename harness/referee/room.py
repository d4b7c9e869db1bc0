"""A room: a process with one model in it, as the referee sees it.

On Linux it is forked off the cell's worker before that has read any text or plugin, elsewhere started anew. It belongs
to the worker's process group, so that whatever ends the worker ends it too. What comes back is data (wire.py), bounded
and held to its form.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import torch

from ..errors import HarnessError
from ..run.failures import death
from . import resident, wall
from .behind import forked
from .wire import NotPlain, decode, encode

MOST = 2 << 30                          # bytes of one answer
MOST_PRINTED = 1 << 20


class RoomFailed(HarnessError):
    """What went wrong in a room, with the status of the row that tells it."""

    def __init__(self, reason: str, status: str):
        super().__init__(reason)
        self.status = status


class Room:
    """Starts a process and speaks with it. `shared`: it writes to the worker's own log at once, else at its end."""

    def __init__(self, *, shared: bool = False) -> None:
        self.log = None if shared else tempfile.TemporaryFile()     # noqa: SIM115 — until `close`
        output = self.log.fileno() if self.log else 1
        self.connection, self.started = (
            forked(resident.serve, output, tell=resident.tell) if wall.LINUX else _started(output))
        self.pid = int(decode(self.connection.recv_bytes(MOST)))           # behind what was started
        self.ended = False

    @cached_property
    def folder(self) -> Path:
        """The empty folder that it may write to. No room was forked after it was made, so no other knows its name."""
        return Path(tempfile.mkdtemp(prefix=f"harness-room-{secrets.token_hex(8)}-"))

    def pause(self, paused: bool) -> None:
        """Stop the process, so that it takes in nothing of what happens meanwhile, or let it go on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP if paused else signal.SIGCONT)

    def call(
        self, name: str, *given: Any, answers: Mapping[str, Callable[..., Any]] | None = None,
        seconds: float | None = None,
    ) -> Any:
        """What the command `name` of `resident.Resident` returns, within `seconds`; what it asks for meanwhile,
        `answers` give by name. Raises RoomFailed.
        """
        try:
            self.connection.send_bytes(encode([name, *given]))
            while True:
                if seconds is not None and not self.connection.poll(seconds):
                    raise RoomFailed(f"no answer within {seconds:.0f} s", "timeout")
                kind, *rest = self._received()
                if kind == "ask" and answers and rest[0] in answers:
                    self.connection.send_bytes(encode(answers[rest[0]](*rest[1:])))
                elif kind == "done":
                    return rest[0]
                elif kind == "failed":
                    raise RoomFailed(str(rest[1]), str(rest[0]))
                else:
                    raise RoomFailed("the model's process speaks out of turn", "error")
        except (EOFError, OSError):
            status, reason = death(self._exit_code())
            raise RoomFailed(reason, status) from None
        except (NotPlain, IndexError, TypeError, ValueError) as error:
            raise RoomFailed(f"the model's process answers what is no answer: {error}", "error") from None

    def _received(self) -> list[Any]:
        message = decode(self.connection.recv_bytes(MOST))
        if not isinstance(message, list) or not message:
            raise NotPlain("it is no list")
        return message

    def _exit_code(self) -> int | None:
        """Of the process that closed its end, negative for a signal."""
        self.ended = True
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.started, 0)[1])
        return None

    def close(self) -> None:
        """End the process and remove its folder."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.started, 0)
            self.ended = True
        self.connection.close()
        if self.log:
            self.log.seek(0)
            sys.stdout.write(self.log.read(MOST_PRINTED).decode("utf-8", "replace"))
            self.log.close()
            self.log = None
        if "folder" in vars(self):
            shutil.rmtree(self.folder, ignore_errors=True)


def _started(output: int) -> tuple[Connection, int]:
    """A new interpreter, where a fork of a process with torch in it is not safe."""
    ours, theirs = Pipe()
    code = f"from harness.referee.resident import connected; connected({theirs.fileno()}, {torch.get_num_threads()})"
    process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdout=output, stderr=output)
    theirs.close()
    return ours, process.pid
