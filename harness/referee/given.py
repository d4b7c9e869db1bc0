"""What the referee gives to a room that trains: batches of training text, one by one, and counted here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from ..bench.train import Batch

REMEMBERED = 4                          # batches


class Given:
    """Batches of a stream until a budget is spent. `bytes`, `tokens` and `steps` are those given; `first` are the first
    few of them, inputs and targets."""

    def __init__(self, stream: Iterable[Batch], budget_bytes: int):
        self.stream, self.budget = iter(stream), budget_bytes
        self.bytes = self.tokens = self.steps = 0
        self.first: list[tuple[Tensor, Tensor]] = []

    def batch(self) -> list[Any] | None:
        if self.bytes >= self.budget:
            return None
        inputs, targets, size = next(self.stream)
        if len(self.first) < REMEMBERED:
            self.first.append((inputs, targets))
        self.bytes, self.tokens, self.steps = self.bytes + size, self.tokens + targets.numel(), self.steps + 1
        return [inputs, targets, size]
