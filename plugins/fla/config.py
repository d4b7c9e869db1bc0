"""Options of `fla`, and what its layers need beyond the common ones. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SINGLE = ("mamba2",)                    # read one token at a time after a state
OWN: dict[str, dict[str, Any]] = {      # of a layer, in the place of the common fields
    "hgrn": {"expand_ratio": 1},        # of the width there, of a head elsewhere
}
LOW_RANKS = ("decay_low_rank_dim", "gate_low_rank_dim", "a_low_rank_dim", "v_low_rank_dim", "proj_low_rank_dim")


@dataclass(frozen=True)
class FlashLinearConfig:
    layer: str = "gated_deltanet"   # a model_type of fla.models
    dim: int = 128
    layers: int = 3
    heads: int = 4
    hidden: int | None = None       # of the MLP, where there is one; None is 8/3 dim
    tied: bool = True               # the head shares the embedding's weights

    def __post_init__(self) -> None:
        if min(self.layers, self.heads) < 1 or (self.hidden is not None and self.hidden < 1):
            raise ValueError("layers, heads and hidden must be at least 1")
        if self.dim < 1 or self.dim % self.width_step:
            raise ValueError(f"dim={self.dim} must be a multiple of 16 * heads, heads={self.heads}")

    @property
    def width_step(self) -> int:
        return 16 * self.heads      # the smallest tile of a kernel, in every head

    @property
    def fields(self) -> dict[str, Any]:
        """By the names that configs of fla have; each takes those that it knows. A layer's inner width is left to it.
        """
        head = self.dim // self.heads
        return {
            "hidden_size": self.dim, "num_hidden_layers": self.layers, "num_heads": self.heads, "head_dim": head,
            "intermediate_size": self.hidden or max(16, self.dim * 8 // 3 // 16 * 16),
            "expand_ratio": head, "state_size": head, "value_dim": self.dim, "num_slots": head,
            "tie_word_embeddings": self.tied, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None,
            **dict.fromkeys(LOW_RANKS, max(16, self.dim // 16)), **OWN.get(self.layer, {}),
        }
