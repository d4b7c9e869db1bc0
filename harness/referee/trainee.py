"""A model in training behind the wall: the referee gives it lessons one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from ..bench.trainee import Lesson, Trained
from .room import Room


class TraineeAway(Trained):
    """The model `number` of a room."""

    def __init__(self, room: Room, number: int):
        self.room, self.number = room, number

    def follow(self, lessons: Iterable[Lesson]) -> float:
        given = iter(lessons)

        def lesson() -> list[Tensor | float] | None:
            found = next(given, None)
            return None if found is None else list(found)

        return float(self.room.call("follow", self.number, answers={"lesson": lesson}))

    def kept(self) -> dict[str, Tensor]:
        found = self.room.call("kept", self.number)
        return {str(name): tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self.room.call("go_on", self.number, dict(tensors))
