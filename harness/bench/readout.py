"""A readout: every token of a text told from the hidden state at its last place alone.

Specification: the compression task of MAD (Poli et al. 2024): the state with the sine and cosine of a place added goes
through two layers that do not widen. Model and readout are trained together; the readout is no part of the model.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..model import LanguageModel


class Readout(nn.Module):
    """A hidden state (B, D) -> logits (B, length, V)."""

    places: Tensor

    def __init__(self, width: int, length: int, vocab_size: int):
        super().__init__()
        self.register_buffer("places", sinusoids(length, width), persistent=False)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, vocab_size)

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.second(nn.functional.gelu(self.first(hidden[:, None] + self.places)))
        return logits


class Autoencoder(LanguageModel):
    """A model under a readout: tokens (B, T) -> logits (B, T, V) of the same tokens, from the last hidden state."""

    def __init__(self, model: LanguageModel, readout: Readout):
        super().__init__(model.config, model.vocab_size)
        self.model, self.readout = model, readout

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        hidden, after = self.model.hidden_states(tokens, state)
        return self.readout(hidden[:, -1]), after

    def auxiliary_losses(self) -> dict[str, Tensor]:
        return self.model.auxiliary_losses()


def autoencoder(model: LanguageModel, length: int, seed: int, device: str) -> Autoencoder:
    """A model under a fresh readout, drawn by `seed`. Raises Unsupported for a model without hidden states."""
    with torch.no_grad():
        hidden, _ = model.eval().hidden_states(torch.zeros(1, length, dtype=torch.int64, device=device))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        readout = Readout(hidden.shape[-1], length, model.vocab_size)
    return Autoencoder(model, readout.to(device))


def sinusoids(length: int, width: int) -> Tensor:
    """Sine and cosine of every place in turn, (length, width), wavelengths from 2 pi to 10,000 times that.

    Source: Vaswani et al. 2017.
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]
