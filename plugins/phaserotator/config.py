"""Options of the phase-rotator transformer. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

HEAD_DIM = 48       # the least that a default head has, as in the baseline


@dataclass(frozen=True)
class PhaseRotatorConfig:
    """`as_published=true` computes what the published code computes; its head is never tied.

    The presets are the published "original" and "improved" configurations. Raises ValueError for sizes that do not fit.
    """

    dim: int = 96
    layers: int = 3
    heads: int | None = None        # None is as many as leave each at least 48 channels
    hidden: int | None = None       # of the MLP; None is 4 dim
    positions: int = 256            # rows of the position table; later tokens start again at the first row
    global_tokens: int = 8          # learned prefix that every token sees
    lora_rank: int = 8              # 0 for plain linear layers
    lora_alpha: float = 16.0
    coherence: float = 0.05         # weight of the coherence loss
    tied: bool = True               # the head shares the embedding's weights
    dropout: float = 0.0
    as_published: bool = False

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "original": {"dim": 512, "layers": 8, "heads": 8, "positions": 128, "global_tokens": 8, "lora_rank": 16,
                     "lora_alpha": 8.0, "coherence": 0.1, "tied": False},
        "improved": {"dim": 768, "layers": 12, "heads": 12, "positions": 256, "global_tokens": 16, "lora_rank": 32,
                     "lora_alpha": 64.0, "coherence": 0.05, "tied": False, "dropout": 0.1},
    }

    def __post_init__(self) -> None:
        if self.dim < 2 or self.dim % 2:
            raise ValueError(f"dim={self.dim} must be even: the rotator turns pairs of channels")
        if self.heads is not None and (self.heads < 1 or self.dim % self.heads):
            raise ValueError(f"dim={self.dim} must be a multiple of heads={self.heads}")
        if min(self.layers, self.positions) < 1 or min(self.global_tokens, self.lora_rank) < 0:
            raise ValueError("layers and positions must be at least 1, global_tokens and lora_rank at least 0")

    @property
    def width_step(self) -> int:
        return 2 * self.heads if self.heads else 16

    @property
    def attention_heads(self) -> int:
        if self.heads:
            return self.heads
        return max(n for n in range(1, max(1, self.dim // HEAD_DIM) + 1) if self.dim % n == 0)

    @property
    def mlp_hidden(self) -> int:
        return self.hidden or 4 * self.dim
