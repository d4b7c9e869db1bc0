"""Plasticity: slow weights that training changes and fast weights that the text itself changes.

The fast weights are Hebbian and obey the order of spike timing: what is active at t is tied to what fired at t - 1,
A_t = a A_{t-1} + pre_{t-1} post_t^T. What fires now reads them: pre_t A_t, divided by the same sum with every post = 1.
So a layer recalls an average of what followed the last times (Bi & Poo 1998 on timing, Schlag et al. 2021 on fast
weights). Cells before the synapse compete, so few fire and memories stay apart. Nothing is chosen for the batch as a
whole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import RMSNorm, precise
from .branch import Branch, accumulate, outer, silu_slope

CHUNK = 128                     # tokens whose mutual influence is one product
SHORTEST, LONGEST = 32.0, 1024.0    # half-lives of the fast weights at first, in tokens
COMPETITION = 4.0               # inverse temperature between the cells before the synapse
SILENT = 1e-4                   # overlap with the past below which nothing is recalled


class Plasticity(Branch):
    """State: the fast weights (B, H, N, N + 1) and what fired last before the synapse (B, H, 1, N)."""

    LOCAL = ("up.weight", "down.weight", "recall.weight")

    def __init__(self, dim: int, hidden: int, heads: int, synapses: int):
        super().__init__()
        self.heads, self.synapses = heads, synapses
        self.norm = RMSNorm(dim)
        self.up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)
        self.fire = nn.Linear(dim, 2 * heads * synapses, bias=False)        # before the synapse, behind it
        self.retention = nn.Parameter(torch.empty(heads))
        self.recall = nn.Linear(heads * synapses, dim, bias=False)

    def initialise(self) -> None:
        with torch.no_grad():
            half_lives = SHORTEST * (LONGEST / SHORTEST) ** torch.linspace(0, 1, self.heads)
            self.retention.copy_(torch.logit(0.5 ** (1 / half_lives)))

    def fast(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What the fast weights recall at every token, (B, T, H N), and the state."""
        B, T, _ = x.shape
        fired = precise(self.fire(x)).view(B, T, 2, self.heads, self.synapses).permute(2, 0, 3, 1, 4)
        pre = (COMPETITION * fired[0]).softmax(-1)                                   # (B, H, T, N)
        post = F.pad(fired[1], (0, 1), value=1.0)                                    # (B, H, T, N + 1)
        if state is None:
            weights = pre.new_zeros(B, self.heads, self.synapses, self.synapses + 1)
            last = torch.zeros_like(pre[:, :, :1])
        else:
            weights, last = state
        earlier = torch.cat([last, pre[:, :, :-1]], dim=2)
        log_keep = F.logsigmoid(self.retention)
        recalled = []
        for start in range(0, T, CHUNK):
            span = slice(start, start + CHUNK)
            now, cause, effect = pre[:, :, span], earlier[:, :, span], post[:, :, span]
            age = torch.arange(now.shape[2], device=x.device)
            apart = (age[:, None] - age).clamp(min=0)
            fading = (log_keep[:, None, None] * apart).exp().tril()                  # (H, C, C): a^(t - s), s <= t
            faded = (log_keep[:, None] * (age + 1)).exp()[..., None]                 # (H, C, 1): a^(t + 1)
            recalled.append((now @ cause.mT * fading) @ effect + faded * (now @ weights))
            weights = faded[:, -1:] * weights + (fading[:, -1, :, None] * cause).mT @ effect
        total, overlap = torch.cat(recalled, 2).split([self.synapses, 1], -1)
        return (total / (overlap + SILENT)).transpose(1, 2).flatten(2), (weights, pre[:, :, -1:].clone())

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None):
        x = self.norm(x)
        gate, up = self.up(x).chunk(2, dim=-1)
        recalled, state = self.fast(x, state)
        return self.down(F.silu(gate) * up) + self.recall(recalled.to(up.dtype)), state

    def learn(self, x: Tensor, error: Tensor) -> None:
        """The slow weights and the readout of the fast ones learn; what fires into these stays as it was drawn."""
        x = self.norm(x)
        gate, up = self.up(x).chunk(2, dim=-1)
        accumulate(self.down.weight, outer(error, F.silu(gate) * up))
        signal = error @ self.down.weight
        accumulate(self.up.weight, outer(torch.cat([signal * up * silu_slope(gate), signal * F.silu(gate)], -1), x))
        accumulate(self.recall.weight, outer(error, self.fast(x, None)[0]))
