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


@dataclass(frozen=True)
class AttentionConfig(StackConfig):
    heads: int = 4
    hidden: int | None = None       # of the MLP; None is 4 dim

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or self.dim % self.width_step:
            raise ValueError(f"dim={self.dim} must be a multiple of 4 * heads, heads={self.heads}")
        if self.hidden is not None and self.hidden < 1:
            raise ValueError(f"hidden={self.hidden} must be at least 1")

    @property
    def width_step(self) -> int:
        return 4 * self.heads       # two channels of a head do not turn
