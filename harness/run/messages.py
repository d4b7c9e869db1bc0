"""What a worker says, as data: a model's code may run there, and a pickle would run whatever it names. (no torch)

A message is its length in eight bytes and then itself. The parent reads what has come and never waits for the rest, so
that a worker that stops within a message keeps nobody waiting.
"""

from __future__ import annotations

import os
import struct
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import PurePath
from typing import Any

import msgspec

from ..store import Row, finite
from ..untrusted import Malformed, bounded, held_to
from .cells import Cell, base_fields

MOST = 2 << 30                          # bytes of a message
AT_ONCE = 1 << 20                       # bytes of one look into the pipe
LENGTH = struct.Struct("<Q")
FORMS: dict[str, Any] = {               # a message's kind -> what it brings
    "hello": tuple[()], "turn": tuple[()], "spent": tuple[()], "progress": tuple[str],
    "limits": tuple[dict[str, float]], "weights": tuple[dict[str, bytes]],
    "done": tuple[list[Row], dict[str, Any]]}
CELL = ("cell_id", "suite", "plugin", "options", "code")        # columns that no row decides for itself


def packed(kind: str, *given: Any) -> bytes:
    """A message. Numbers that are none become None, as in tables."""
    if kind == "done":
        rows, raw = given
        given = ([asdict(row) for row in rows], raw)
    return msgspec.msgpack.encode(finite([kind, *given]))


def unpacked(data: bytes, cell: Cell | None) -> tuple[Any, ...]:
    """The kind of a message and what it brings; the rows of `cell` are of that cell. Raises Malformed."""
    try:
        kind, *given = held_to(msgspec.msgpack.decode(data), list[Any])
        content = held_to(given, FORMS[kind])
    except (msgspec.MsgspecError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise Malformed("", f"the worker says what is no message: {error}") from None
    if kind == "weights" and any(PurePath(name).name != name for name in content[0]):
        raise Malformed("", "the worker names weights that are not beside each other")
    if kind == "done":
        bounded(content[1])
        fixed = base_fields(cell) if cell else {}
        for row in content[0]:
            for name in CELL if cell else ():
                setattr(row, name, fixed[name])
    return (kind, *content)


class Inbox:
    """The parent's end of a pipe: what has come through it, cut into messages."""

    def __init__(self, descriptor: int):
        self.descriptor, self.data = descriptor, bytearray()

    @property
    def full(self) -> bool:
        """Whether a whole message, or what is none, is here already."""
        return len(self.data) >= LENGTH.size and (
            self._length() > MOST or len(self.data) - LENGTH.size >= self._length())

    def take(self) -> bytes | None:
        """The next message, None where it is not whole yet. Looks into the pipe once, which blocks where nothing is
        there. Raises Malformed for what announces none, EOFError or OSError at the end of the pipe."""
        if not self.full:
            came = os.read(self.descriptor, AT_ONCE)
            if not came:
                raise EOFError
            self.data += came
        if len(self.data) >= LENGTH.size and self._length() > MOST:
            raise Malformed("", "the worker says what is no message: it announces more than one can hold")
        if not self.full:
            return None
        end = LENGTH.size + self._length()
        message = bytes(self.data[LENGTH.size:end])
        del self.data[:end]
        return message

    def _length(self) -> int:
        return int(LENGTH.unpack_from(self.data)[0])


class Parent:
    """The worker's end of a pipe: what it says is packed, what the parent says is trusted."""

    def __init__(self, pipe: Connection):
        self.pipe, self.recv = pipe, pipe.recv

    def send(self, message: tuple[Any, ...]) -> None:
        content = packed(*message)
        left = memoryview(LENGTH.pack(len(content)) + content)
        while left:
            left = left[os.write(self.pipe.fileno(), left):]
