"""The fixed parts of a phase-field model: it is built from one set of them, and from components by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import components

from .backbone import Backbone
from .config import PhaseFieldConfig
from .memory import EpisodicMemory
from .objectives import OF_THE_STATE
from .patching import Patches
from .phase import phase_norm


@dataclass(frozen=True)
class Parts:
    """Module classes on (B, T, 2d) planes; those that look back take their state and return the next.

    `instead` holds, by place and name, the classes that stand for registered components in this set.
    """

    embedding: Any                  # tokens -> z
    backbone: Any                   # z, state -> z, state
    episodic: Any                   # z, state -> z, state
    head: Any                       # z -> logits
    patches: Any                    # tokens -> z, and back
    objectives: Mapping[str, Any]   # by name: the z before the head -> a loss
    instead: Mapping[tuple[str, str], Any] = field(default_factory=dict)

    def component(self, config: PhaseFieldConfig, place: str, name: str) -> nn.Module:
        """The component of that name, made. Raises PluginError or TypeError where that cannot be."""
        made = (self.instead.get((place, name)) or components.load("phasefield", place, name))(config)
        if not isinstance(made, nn.Module):
            raise TypeError(f"{place} {name!r} is a {type(made).__name__}, not a torch.nn.Module")
        return made


def planes(component: nn.Module, z: Tensor, *rest: Any) -> tuple[Tensor, Any]:
    """Call a component on z and what else it takes: planes of z's shape, and its state or the routing weights.

    Raises TypeError where it returns anything else: a bare tensor would unpack into the rows of its batch.
    """
    result = component(z, *rest)
    if not (isinstance(result, tuple) and len(result) == 2 and getattr(result[0], "shape", None) == z.shape):
        raise TypeError(f"{type(component).__name__} did not return planes {tuple(z.shape)} and what it carries")
    return result


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


RIGHT = Parts(Embedding, Backbone, EpisodicMemory, Head, Patches, OF_THE_STATE)
