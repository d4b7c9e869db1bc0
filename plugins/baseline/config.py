"""Options of the transformer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TransformerConfig:
    dim: int = 96
    layers: int = 3
    heads: int = 4
    hidden: int | None = None       # of the MLP; None is 8/3 dim
    conv: int = 0                   # kernel of a short causal convolution before attention; 0 is none
    tied: bool = False              # the head shares the embedding's weights
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.dim % self.width_step:
            raise ValueError(f"dim={self.dim} must be a multiple of 2 * heads = {self.width_step}")
        if self.conv < 0 or self.layers < 1:
            raise ValueError("conv must be at least 0 and layers at least 1")

    @property
    def width_step(self) -> int:
        return 2 * self.heads       # rotary embedding pairs the channels of a head
