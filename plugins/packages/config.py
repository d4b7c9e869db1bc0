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


@dataclass(frozen=True)
class XLSTMConfig(StackConfig):
    heads: int = 4
    slstm: tuple[int, ...] = (1,)   # which layers, from 0, are an sLSTM; the others are an mLSTM

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or self.dim % self.width_step:
            raise ValueError(f"dim={self.dim} must be a multiple of 4 * heads, heads={self.heads}")
        if not all(0 <= layer < self.layers for layer in self.slstm):
            raise ValueError(f"slstm must name layers from 0 to {self.layers - 1}")

    @property
    def width_step(self) -> int:
        return 4 * self.heads       # projections of an mLSTM are blocks of four


@dataclass(frozen=True)
class TitansConfig(StackConfig):
    dim: int = 64
    layers: int = 2
    heads: int = 4
    segment: int = 16               # tokens that attend to each other, and of a step of the memory

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.heads, self.segment) < 1 or self.dim % self.width_step or self.dim < self.width_least:
            raise ValueError(f"dim={self.dim} must be a multiple of 2 * heads, heads={self.heads}, from 4 * heads on; "
                             "segment at least 1")

    @property
    def width_step(self) -> int:
        return 2 * self.heads       # a rotary embedding turns pairs of a head's channels

    @property
    def width_least(self) -> int:
        return 4 * self.heads       # half of a head's channels are turned
