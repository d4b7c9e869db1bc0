"""The consciousness layer: a global workspace that later tokens share, built from four views of every token.

Each channel of the workspace is a running average of what the text was aware of, weighted by how much attention it
drew: a softmax over the tokens so far, whose past fades at a rate that each token's memory sets. Intention decides what
of it enters the stream. The published layer takes its softmax over the whole sequence, the future included.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks import RMSNorm, precise
from ..scan import real_scan
from .branch import MAX_DECAY, Branch, accumulate, leak_bias, outer

SALIENCE = 4.0                  # attention weights lie in exp(-4) .. exp(4)


class Consciousness(Branch):
    """State: weighted content and weight, (B, 2D)."""

    LOCAL = ("out.weight", "views.weight", "views.bias")

    def __init__(self, dim: int, longest: float):
        super().__init__()
        self.norm = RMSNorm(dim)
        self.views = nn.Linear(dim, 4 * dim)                    # awareness, attention, memory, intention
        self.out = nn.Linear(dim, dim, bias=False)
        self.longest = longest

    def initialise(self) -> None:
        dim = self.out.in_features
        nn.init.zeros_(self.views.bias)
        with torch.no_grad():
            self.views.bias[2 * dim:3 * dim] = leak_bias(dim, self.longest)

    def workspace(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """What the text was aware of by each token and the intention, each (B, T, D), and the state (B, 2D)."""
        awareness, attention, memory, intention = precise(self.views(self.norm(x))).chunk(4, dim=-1)
        weight = (SALIENCE * torch.tanh(attention / SALIENCE)).exp()
        decay = MAX_DECAY * torch.sigmoid(-memory)
        sums = real_scan(torch.cat([decay, decay], -1), torch.cat([weight * awareness.tanh(), weight], -1), state)
        content, total = sums.chunk(2, dim=-1)
        return content / total, intention.sigmoid(), sums[:, -1]

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        workspace, intention, state = self.workspace(x, state)
        return self.out(intention * workspace), state

    def learn(self, x: Tensor, error: Tensor) -> None:
        """The readout and the intention learn; what fills the workspace stays as it was drawn."""
        workspace, intention, _ = self.workspace(x, None)
        accumulate(self.out.weight, outer(error, intention * workspace))
        signal = (error @ self.out.weight) * workspace * intention * (1 - intention)
        signal = torch.cat([torch.zeros_like(signal).repeat(1, 1, 3), signal], -1)
        accumulate(self.views.weight, outer(signal, self.norm(x)))
        accumulate(self.views.bias, signal.sum((0, 1)))
