"""Options of the recurrent networks. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecurrentConfig:
    dim: int = 96
    layers: int = 2
    tied: bool = True               # the head shares the embedding's weights
    dropout: float = 0.0            # between layers

    def __post_init__(self) -> None:
        if min(self.dim, self.layers) < 1 or not 0 <= self.dropout < 1:
            raise ValueError("dim and layers must be at least 1, dropout from 0 to below 1")
