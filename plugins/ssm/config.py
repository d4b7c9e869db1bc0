"""Options of the state-space model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StateSpaceConfig:
    dim: int = 96
    layers: int = 3
    state: int | None = None        # channels of the recurrence per layer; None is dim
    hidden: int | None = None       # of the MLP; None is 8/3 dim
    conv: int = 4                   # kernel of the short causal convolution before the recurrence; 0 is none
    norm: bool = False              # RMS norm of what is read from the state, behind the gate
    tied: bool = True               # the head shares the embedding's weights
    longest: float = 256.0          # half-lives start log-uniform between 1 and this many tokens
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.conv < 0 or self.layers < 1 or self.longest < 1:
            raise ValueError("conv must be at least 0, layers and longest at least 1")

    @property
    def width_step(self) -> int:
        return 8                    # whole vector registers
