"""Options of models that are layer upon layer of one kind. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StackConfig:
    dim: int = 96
    layers: int = 3

    def __post_init__(self) -> None:
        if min(self.dim, self.layers) < 1:
            raise ValueError("dim and layers must be at least 1")
