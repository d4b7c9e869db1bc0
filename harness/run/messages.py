"""What a worker says, as data: a model's code may run there, and a pickle would run whatever it names. (no torch)"""

from __future__ import annotations

from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import PurePath
from typing import Any

import msgspec

from ..store import Row, finite
from ..untrusted import Malformed, bounded, held_to
from .cells import Cell, base_fields

MOST = 2 << 30                          # bytes of a message
FORMS: dict[str, Any] = {               # a message's kind -> what it brings
    "hello": tuple[()], "turn": tuple[()], "progress": tuple[str], "limits": tuple[dict[str, float]],
    "weights": tuple[dict[str, bytes]], "done": tuple[list[Row], dict[str, Any]]}
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


class Parent:
    """The worker's end of a pipe: what it says is packed, what the parent says is trusted."""

    def __init__(self, pipe: Connection):
        self.pipe, self.recv = pipe, pipe.recv

    def send(self, message: tuple[Any, ...]) -> None:
        self.pipe.send_bytes(packed(*message))
