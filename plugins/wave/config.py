"""Options of the wave model. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class WaveConfig:
    """`linear` drops the softmax of the wave heads: with every head a wave head the state is constant in the length.

    `as_published=true` computes the wave heads as they were written down, defects included; as_published.py lists them.
    """

    dim: int = 96
    layers: int = 3
    heads: int = 4
    ratio: float | None = None      # share of the heads that are wave heads; None is 1/2, or 1 where linear
    linear: bool = False
    chunk: int | None = None        # tokens at a time; None leaves it to the fused kernel, or is 64 where linear
    hidden: int | None = None       # of the MLP; None is 8/3 dim
    tied: bool = True               # the head shares the embedding's weights
    dropout: float = 0.0
    as_published: bool = False

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "published": {"dim": 512, "heads": 8, "layers": 8},     # the width is published, heads and depth are ours
    }

    def __post_init__(self) -> None:
        if self.layers < 1 or self.heads < 1 or (self.chunk is not None and self.chunk < 1):
            raise ValueError("layers, heads and chunk must be at least 1")
        if self.dim < 1 or self.dim % self.width_step:
            raise ValueError(f"dim={self.dim} must be a multiple of 2 * heads = {self.width_step}")
        if self.ratio is not None and not 0 <= self.ratio <= 1:
            raise ValueError(f"ratio={self.ratio} must be between 0 and 1")
        if self.as_published and self.linear:
            raise ValueError("no linear form was published: linear=true cannot be as_published")

    @property
    def width_step(self) -> int:
        return 2 * self.heads

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def wave_heads(self) -> int:
        """How many of the heads are wave heads, the nearest number to the ratio."""
        ratio = (1.0 if self.linear else 0.5) if self.ratio is None else self.ratio
        return round(ratio * self.heads)
