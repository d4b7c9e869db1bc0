"""Options of the phase-field model. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from harness import components

PUBLISHED_PARTS: dict[str, Any] = {"banks": ("semantic", "context"), "memory": "associative", "episodic": True}
RIGHT_PARTS: dict[str, Any] = {"banks": (), "memory": "none", "episodic": False}
SIZES: dict[str, dict[str, Any]] = {        # as published
    "tiny": {"dim": 64, "layers": 4, "state_dim": 128, "slots": 512, "concepts": 512, "banks": ("semantic",)},
    "small": {"dim": 256, "layers": 8, "state_dim": 512, "slots": 512, "concepts": 512, "banks": ("semantic",)},
    "medium": {"dim": 512, "layers": 12, "state_dim": 1024, "slots": 1024, "concepts": 512},
    "large": {"dim": 768, "layers": 16, "state_dim": 1536, "slots": 8192, "concepts": 512,
              "banks": ("semantic", "context", "language", "emotion")},
    "tiny-byte": {"dim": 64, "layers": 4, "state_dim": 128, "slots": 256, "concepts": 512, "patch": 4},
    "small-byte": {"dim": 256, "layers": 8, "state_dim": 512, "slots": 256, "concepts": 512, "patch": 4},
    "medium-byte": {"dim": 512, "layers": 12, "state_dim": 1024, "slots": 512, "concepts": 512, "patch": 4},
    "large-byte": {"dim": 768, "layers": 16, "state_dim": 1536, "slots": 1024, "concepts": 512, "patch": 4,
                   "banks": ("semantic",)},
}
OPEN = (("auto",), "auto", None)            # a part for the form to choose


@dataclass(frozen=True)
class PhaseFieldConfig:
    """Sizes count complex channels. What is None or "auto" takes the default named beside it.

    By default the model is the oscillatory backbone alone: docs/phasefield.md has what every part costs and brings.
    `banks`, `coupler` and `memory` name registered components. `as_published=true` computes what the published code
    computes, defects included; there only the sizes, these names, `episodic`, `dropout`, `loop` and the weights of
    losses have a meaning. Raises ValueError for sizes that do not fit, UsageError for a component that there is not.
    """

    dim: int = 48
    layers: int = 3
    state_dim: int | None = None            # oscillators a layer; 3 dim, or 2 dim as published
    sharing: int = 4                        # oscillators that share a decay gate
    longest: float = 32.0                   # half-lives start log-uniform between 1 and this many tokens
    hidden: int | None = None               # hidden channels of the gated MLP; dim
    banks: tuple[str, ...] = ("auto",)      # "none", or semantic+context as published
    concepts: int = 32                      # of the semantic bank
    languages: int = 8                      # that the language bank tells apart
    context: int = 8                        # tokens that the context bank sees
    coupler: str = "router"                 # mixes the banks; "none" adds them up
    diversity: float | None = None          # weight of the loss on the likeness of banks; 0.01, or 0.1 as published
    coherence: float | None = None          # weight of the loss on unsteady phases; 0, or 0.01 as published
    energy: float = 0.0                     # weight of the loss on the size of the last state
    mlp: bool = True
    conv: int = 4                           # tokens of the short convolution in a layer; 0 for none
    output_gate: bool = True
    skip: bool = False                      # the published D x beside C h, which the residual sum makes redundant
    memory: str = "auto"                    # "none", or associative as published
    slots: int = 64                         # of the associative memory
    nearest: int = 0                        # of them that a token reads; 0 for all (32 as published)
    episodic: bool | None = None            # attention over the last `window` tokens; false, or true as published
    window: int = 128
    heads: int = 2
    patch: int = 0                          # bytes that share a latent; 0 for none
    local: int = 48                         # channels of what reads and predicts bytes within patches
    tied: bool = True                       # the head shares the embedding table
    dropout: float | None = None            # 0, or 0.1 as published
    as_published: bool = False
    loop: bool = False                      # as published, the recurrence token by token: the same numbers, slower

    # With the published choice of parts in either form.
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {name: {**PUBLISHED_PARTS, **sizes} for name, sizes in SIZES.items()}

    def __post_init__(self) -> None:
        for name, part in (PUBLISHED_PARTS if self.as_published else RIGHT_PARTS).items():
            if getattr(self, name) in OPEN:
                object.__setattr__(self, name, part)
        for bank in self.banks:
            components.find("phasefield", "bank", bank)
        for place, name in (("coupler", self.coupler), ("memory", self.memory)):
            if name != "none":
                components.find("phasefield", place, name)
        counts = {name: getattr(self, name) for name in (
            "layers", "sharing", "concepts", "context", "languages", "slots", "window", "heads")}
        if min(counts.values()) < 1 or min(self.conv, self.nearest) < 0:
            raise ValueError(f"{', '.join(counts)} must be at least 1, conv and nearest at least 0")
        if not 1 <= self.longest <= 256:
            raise ValueError(f"longest must be between 1 and 256 tokens, not {self.longest}")
        if self.patch < 0 or self.patch == 1 or self.local < 2 or self.local % 2:
            raise ValueError("patch must be 0 or at least 2, local even and at least 2")
        if self.episodic and self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")

    @property
    def width_step(self) -> int:
        return self.heads if self.episodic or self.as_published else 4

    @property
    def oscillators(self) -> int:
        return self.state_dim or (2 if self.as_published else 3) * self.dim

    @property
    def mlp_hidden(self) -> int:
        return self.hidden or self.dim

    @property
    def diversity_weight(self) -> float:
        if self.diversity is not None:
            return self.diversity
        return 0.1 if self.as_published else 0.01

    @property
    def state_losses(self) -> dict[str, float]:
        """Weights of the losses on the state that the head reads, where there are any."""
        published = 0.01 if self.as_published else 0.0
        weights = {"coherence": published if self.coherence is None else self.coherence, "energy": self.energy}
        return {name: weight for name, weight in weights.items() if weight}

    @property
    def dropout_rate(self) -> float:
        if self.dropout is not None:
            return self.dropout
        return 0.1 if self.as_published else 0.0
