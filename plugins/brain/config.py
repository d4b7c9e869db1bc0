"""Options of the brain-inspired model. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class BrainConfig:
    """`as_published=true` computes what the published code computes; it has no options but sizes.

    The presets are the published sizes: as published, over 256 tokens, 3.42M, 16.42M, 20.63M and 64.46M parameters.
    Raises ValueError for sizes that do not fit.
    """

    dim: int = 96
    layers: int = 3
    neurons: int | None = None      # spiking neurons a layer; None is dim
    hidden: int | None = None       # of the slow weights of plasticity; None is dim
    heads: int = 4                  # fast-weight matrices a layer
    synapses: int = 16              # channels of a fast-weight matrix, before and behind the synapse
    slots: int = 8                  # of short-term memory
    slot_dim: int = 32              # channels of a slot; as published, dim
    concepts: int = 64              # learned entries of long-term memory
    concept_dim: int = 64           # channels of its keys
    episodes: int = 100             # written entries of long-term memory, at most; the oldest give way
    ramp: float = 1.0               # membrane potential over which a spike rises from 0 to 1
    longest: float = 256.0          # half-lives start log-uniform between 1 and this many tokens
    tied: bool = True               # the head shares the embedding's weights; as published, it does not
    dropout: float = 0.0
    as_published: bool = False

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        name: {"dim": dim, "layers": layers, "slots": 64, "concepts": 1024, "concept_dim": 256, "episodes": 100}
        for name, (dim, layers) in {
            "small": (256, 4), "published": (512, 6), "medium": (512, 8), "large": (768, 12),
        }.items()
    }

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in (
            "dim", "layers", "heads", "synapses", "slots", "slot_dim", "concepts", "concept_dim", "episodes")}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name}={count} must be at least 1")
        if self.ramp <= 0 or self.longest < 1:
            raise ValueError(f"ramp={self.ramp} must be positive and longest={self.longest} at least 1")

    @property
    def width_step(self) -> int:
        return 8                    # whole vector registers
