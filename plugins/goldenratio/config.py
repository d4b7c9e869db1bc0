"""Options of the golden-ratio model. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class GoldenRatioConfig:
    """`patterns` says where the maps from tokens to phases come from: fixed golden patterns, the controls fixed random
    and learned ones, or `plain`, dot-product attention in their place.

    `as_published=true` learns nothing but the embedding: every matrix between it and the head is a pattern.
    """

    dim: int = 96
    layers: int = 3
    heads: int = 4
    hidden: int | None = None       # of the MLP; None is 8/3 dim
    patterns: Literal["golden", "random", "learned", "plain"] = "golden"
    chunk: int = 128                # queries at a time
    tied: bool = True               # the head shares the embedding's weights
    dropout: float = 0.0
    as_published: bool = False

    def __post_init__(self) -> None:
        if self.layers < 1 or self.heads < 1 or self.chunk < 1:
            raise ValueError("layers, heads and chunk must be at least 1")
        if self.dim < 1 or self.dim % self.width_step:
            raise ValueError(f"dim={self.dim} must be a multiple of 2 * heads = {self.width_step}")
        if self.as_published and self.patterns not in ("golden", "random"):
            raise ValueError(f"as published no pattern is learned: patterns={self.patterns} cannot be as_published")

    @property
    def width_step(self) -> int:
        return 2 * self.heads

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def fixed(self) -> tuple[str, ...]:
        """The matrices that are fixed patterns."""
        if self.as_published:
            return ("queries", "keys", "values", "out", "up", "down")
        return ("queries", "keys") if self.patterns in ("golden", "random") else ()
