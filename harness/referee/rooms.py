"""The rooms of a cell: two that are built and locked first, and the one that trains and is scored.

What the scored room does cannot reach the others: they have read all that they may read before it begins, are stopped
while it is at work, and asked when it has ended.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from torch import Tensor

from ..data.batches import uniform_tokens
from ..errors import AuditFailed
from ..untrusted import held_to
from .resident import Lease
from .room import Room, RoomFailed

FRESH = 2


class Rooms:
    """Processes for one model, forked at once. `note` is told what the system does not enforce."""

    def __init__(self, note: Callable[[str], None]):
        self.scored, self.fresh = Room(shared=True), [Room() for _ in range(FRESH)]
        self.note = note
        self.solved: dict[str, str] | None = None           # the options that give the size that was asked for
        self.seconds = 0.0              # that the fresh rooms took, but for what the first solved for all

    def make_ready(self, lease: Lease, stored: Mapping[str, Tensor] | None, *, fresh: int) -> None:
        """Build and lock so many of the fresh rooms, the first of which solves for the size that the others are told;
        then open the one to be scored. Raises RoomFailed, AuditFailed."""
        for room in self.fresh[:fresh]:
            started = time.monotonic()
            self._build(room, lease, stored)
            room.pause(True)
            self.seconds = fresh * (time.monotonic() - started)
        self._open(self.scored, lease)

    def wake(self) -> None:
        """End the scored room, and let the fresh ones go on."""
        self.scored.close()
        for room in self.fresh:
            room.pause(False)

    def close(self) -> None:
        """End them all."""
        for room in (self.scored, *self.fresh):
            room.close()

    def _open(self, room: Room, lease: Lease, caches: bool = False) -> None:
        lease = replace(lease, folder=str(room.folder), caches=caches)
        if self.solved is not None and not lease.stored:
            lease = replace(lease, options=self.solved, preset="", params=0, state_bytes=0)
        for missing in room.call("open", asdict(lease)):
            self.note(f"not enforced here: {missing}")

    def _build(self, room: Room, lease: Lease, stored: Mapping[str, Tensor] | None) -> None:
        """Import the plugin, build a model, have it compile what it compiles, and lock. Only the first one may keep
        compiled code: two that can write to one place could pass a state there."""
        self._open(room, lease, caches=room is self.fresh[0])
        facts = room.call("build", secrets.randbits(32), stored)
        if self.solved is None:
            self.solved = None if facts["options"] is None else held_to(facts["options"], dict[str, str])
            if facts["note"]:
                self.note(str(facts["note"]))
        tokens = uniform_tokens(len(lease.vocabulary), 2, max(2, lease.seq_len))
        _, state = room.call("forward", 0, tokens[:, :-1], None, "score")
        try:
            room.call("forward", 0, tokens[:, -1:], state, "score")
        except RoomFailed as failed:
            raise AuditFailed(f"the state does not survive being written down: {failed}") from None
        if not stored:
            room.call("step", 0, tokens, tokens, 0.0)
        room.call("lock")
