"""What the parts of the model have in common: each is a residual branch that can learn from a broadcast error.

A three-factor rule changes a synapse by (activity before it) x (sensitivity behind it) x (a signal that all synapses
receive). Here the third factor is the error at the output, brought back through the readout alone and handed to every
branch as it is. Because all branches add to one stream, that is the true gradient but for the way through later
branches, which would take a backward pass (feedback by identity: cf. Nøkland 2016, direct feedback alignment).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MAX_DECAY = 0.9999              # a half-life of 6931 tokens


class Branch(nn.Module):
    """`forward(x, state) -> (y, state)`: (B, T, D), what it keeps between chunks or None -> (B, T, D), the same.

    `learn(x, error)` adds to `.grad` of the parameters in `LOCAL` their part in the loss, from the branch's input x
    and the error (B, T, D) at its output, both of whole texts. No other branch takes part, nor autograd.
    """

    LOCAL: tuple[str, ...] = ()

    def initialise(self) -> None:
        """Set the parameters that start neither at fan-in scale, as matrices do, nor at one, as norms do."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        raise NotImplementedError

    def learn(self, x: Tensor, error: Tensor) -> None:
        raise NotImplementedError


def accumulate(parameter: Tensor, gradient: Tensor) -> None:
    """Add to `.grad`."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def outer(after: Tensor, before: Tensor) -> Tensor:
    """Hebbian product summed over all tokens: (B, T, M), (B, T, N) -> (M, N)."""
    return after.flatten(0, 1).T @ before.flatten(0, 1)


def silu_slope(x: Tensor) -> Tensor:
    """Derivative of x sigmoid(x)."""
    gate = x.sigmoid()
    return gate * (1 + x * (1 - gate))


def leak_bias(channels: int, longest: float) -> Tensor:
    """Biases b for which MAX_DECAY sigmoid(-b) has half-lives log-uniform in [1, longest] tokens over the channels."""
    decay = 0.5 ** (1 / longest ** torch.linspace(0, 1, channels))
    return -torch.logit(decay / MAX_DECAY)
