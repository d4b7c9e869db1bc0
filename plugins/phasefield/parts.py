"""The parts of a phase-field model by their place: a model is built from one set of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone
from .banks import ContextBank, SemanticBank
from .config import PhaseFieldConfig
from .coupler import Coupler
from .memory import EpisodicMemory, PhaseMemory
from .phase import phase_norm


@dataclass(frozen=True)
class Parts:
    """Module classes on (B, T, 2d) planes; those that look back take their state and return the next."""

    embedding: Any                  # tokens -> z
    banks: Mapping[str, Any]        # z, state -> reading, state
    coupler: Any                    # z, readings -> z, routing weights
    backbone: Any                   # z, state -> z, state
    memory: Any                     # z -> z
    episodic: Any                   # z, state -> z, state
    head: Any                       # z -> logits


class Embedding(nn.Module):
    """Complex embeddings, normalised; the small table serves a tied head as it is."""

    def __init__(self, config: PhaseFieldConfig, vocab_size: int):
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(vocab_size, 2 * config.dim))

    def forward(self, tokens: Tensor) -> Tensor:
        return phase_norm(F.embedding(tokens, self.weight))


class Head(nn.Module):
    """Real products of the normalised activation with a table of [re | im] rows, by default the embedding's."""

    def __init__(self, config: PhaseFieldConfig, vocab_size: int, embedding: nn.Parameter):
        super().__init__()
        self.weight = embedding if config.tied else nn.Parameter(0.1 * torch.randn_like(embedding))
        self.scale = nn.Parameter(torch.ones(config.dim))

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(phase_norm(z) * self.scale.repeat(2), self.weight)


RIGHT = Parts(
    Embedding, {"semantic": SemanticBank, "context": ContextBank}, Coupler, Backbone, PhaseMemory, EpisodicMemory, Head,
)
