"""Options of the state-space model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StateSpaceConfig:
    dim: int = 96
    layers: int = 3
    expand: int = 1                 # channels of the recurrence for each of the model
    state: int | None = None        # channels of the recurrence per layer; None is expand dim
    hidden: int | None = None       # of the MLP; None is 8/3 dim
    conv: int = 4                   # kernel of the short causal convolution before the recurrence; 0 is none
    tied: bool = True              # the head shares the embedding's weights
    longest: float = 8.0            # half-lives start log-uniform between 1 and this many tokens
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.conv < 0 or min(self.layers, self.expand, self.longest) < 1:
            raise ValueError("conv must be at least 0, layers, expand and longest at least 1")

    @property
    def channels(self) -> int:
        """Of the recurrence."""
        return self.state or self.expand * self.dim

    @property
    def width_step(self) -> int:
        return 8                    # whole vector registers
