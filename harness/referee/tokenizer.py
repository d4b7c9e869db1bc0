"""A plugin's tokenizer in a room of its own, as the referee sees it: its code touches neither model nor score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..untrusted import held_to
from .room import Room


class TokenizerAway:
    """A tokenizer, asked. `training` gives the documents to learn from, or None and what was learned before.

    Raises RoomFailed.
    """

    def __init__(self, room: Room, training: Callable[[], tuple[Sequence[bytes] | None, Any]], learns: bool):
        self.room = room
        table = room.call("make_tokenizer", *(training() if learns else (None, None)))
        self.name, self.bos = held_to(table["name"], str), held_to(table["bos"], int)
        self.vocab_size, self.pieces = held_to(table["vocab_size"], int), held_to(table["pieces"], list[bytes])
        self.token_bytes, self.learned = _numbers(table["token_bytes"]), table["learned"]

    def encode(self, text: bytes) -> np.ndarray:
        return _numbers(self.room.call("encode_text", text))

    def decode(self, tokens: Sequence[int] | np.ndarray) -> bytes:
        return b"".join(self.pieces[token] for token in np.asarray(tokens, np.int64).tolist())


def _numbers(found: Any) -> np.ndarray:
    return found.numpy() if isinstance(found, Tensor) else np.asarray(found)
