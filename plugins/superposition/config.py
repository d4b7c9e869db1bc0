"""Options of the superposition model. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

HEAD_DIM = 16               # channels of a default head: each head has a decay of its own, so many are small
PUBLISHED_HEADS = 8


@dataclass(frozen=True)
class SuperpositionConfig:
    """What is None takes the default named beside it.

    `as_published=true` computes what the published code computes, defects included; there `hidden`, `scales`, `longest`
    and `tied` mean nothing, and `concept_dim` and `positions` only there. The presets are the published default and the
    published training recipe. Raises ValueError for sizes that do not fit.
    """

    dim: int = 96
    layers: int = 3
    heads: int | None = None            # of the entanglement, dim / 16; as published MLPs of the interference, 8
    hidden: int | None = None           # channels of the phase processor; 4/3 dim
    phases: int | None = None           # channels that coherence is measured in; dim / 4
    scales: int = 4                     # windows of 2, 4, … 2^scales tokens; 0 for no coherence
    concepts: int = 64                  # that a token is a superposition of; 0 for no concept layer
    longest: float = 256.0              # half-lives of the couplings start log-uniform between 1 and this many tokens
    energy: float = 0.01                # weights of the terms of the objective
    coherence: float = 0.005            # as published only: the term that is opposed to the energy
    concept: float = 0.001
    tied: bool = True                   # the head shares the embedding's weights
    dropout: float | None = None        # 0, or 0.1 as published
    concept_dim: int | None = None      # dim
    positions: int = 1024               # rows of the position tables
    as_published: bool = False

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "default": {"dim": 512, "layers": 8, "heads": 8, "phases": 64, "concepts": 512, "concept_dim": 256},
        "recipe": {"dim": 768, "layers": 12, "heads": 12, "phases": 128, "concepts": 512, "concept_dim": 256,
                   "positions": 512},
    }

    def __post_init__(self) -> None:
        if self.layers < 1 or self.longest < 1 or min(self.scales, self.concepts) < 0:
            raise ValueError("layers and longest must be at least 1, scales and concepts at least 0")
        if self.as_published and (self.concepts < 1 or self.concept_channels % PUBLISHED_HEADS):
            raise ValueError(f"as published concept_dim={self.concept_channels} must be a multiple of "
                             f"{PUBLISHED_HEADS}, and concepts at least 1")
        if not self.as_published and self.dim % (2 * self.coupling_heads):
            raise ValueError(f"dim={self.dim} must be a multiple of 2 * heads, heads={self.coupling_heads}")

    @property
    def width_step(self) -> int:
        return 2 * self.heads if self.heads else HEAD_DIM

    @property
    def coupling_heads(self) -> int:
        return self.heads or max(1, self.dim // HEAD_DIM)

    @property
    def processor_hidden(self) -> int:
        return self.hidden or 4 * self.dim // 3

    @property
    def phase_channels(self) -> int:
        return self.phases or max(1, self.dim // 4)

    @property
    def concept_channels(self) -> int:
        return self.concept_dim or self.dim

    @property
    def dropout_rate(self) -> float:
        if self.dropout is not None:
            return self.dropout
        return 0.1 if self.as_published else 0.0
