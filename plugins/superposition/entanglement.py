"""Entanglement: every token is coupled to every earlier one, by a strength that is learned and decays.

The couplings of a head are carried as one operator, sum over earlier tokens of |k><v|: a vector of the present read
through it depends on pairs of tokens, not on a product of one vector for each. It is the recurrence of retention
(Sun et al. 2023) with a decay of the token's own choice, as in Mamba-2 (Dao & Gu 2024):

    S_t = a_t R S_{t-1} + k_t v_t^T,    y_t = q_t S_t,    R the rotation of each pair of channels by its learned angle.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import rotate

CHUNK = 64


class Entanglement(nn.Module):
    def __init__(self, dim: int, heads: int, longest: float):
        super().__init__()
        self.heads, self.longest = heads, longest
        self.into = nn.Linear(dim, 4 * dim + heads)                                  # q, k, v, gate, decay
        self.out = nn.Linear(dim, dim, bias=False)
        channels = dim // heads
        self.turn = nn.Parameter((10_000.0 ** -torch.linspace(0, 1, channels // 2)).repeat(heads, 1))

    def initialise_decay(self) -> None:
        """Half-life l means a = 2^(-1/l); log-uniform over the heads in [1, longest]."""
        with torch.no_grad():
            self.into.bias.zero_()
            rate = math.log(2) / self.longest ** torch.linspace(0, 1, self.heads)
            self.into.bias[-self.heads:] = rate.expm1().log()                        # of which softplus is the rate

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """x (B, T, D), state (B, H, D / H, D / H) -> (B, T, D), the state after it."""
        B, T, D = x.shape
        q, k, v, gate, rate = self.into(x).split([D, D, D, D, self.heads], dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))    # (B, H, T, D / H)
        log_decay = -F.softplus(rate.float()).transpose(1, 2)                        # (B, H, T)
        y, state = entangle(q, k * (D // self.heads) ** -0.5, v, log_decay, self.turn, state)
        y = F.rms_norm(y, y.shape[-1:]).transpose(1, 2).reshape(B, T, D)
        return self.out(F.silu(gate) * y), state


def entangle(
    q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, turn: Tensor, state: Tensor | None, chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """The recurrence above, by chunks: q, k (B, H, T, K), v (B, H, T, V), log_decay (B, H, T) <= 0, turn (H, K / 2) in
    radians a token, state (B, H, K, V) -> y (B, H, T, V) and the state after it, float32.

    Within a chunk the couplings are a small matrix, across chunks they are the state. Angles count from the start of
    the chunk, so nothing depends on where in the text it stands.
    """
    if state is None:
        state = torch.zeros(*q.shape[:2], q.shape[3], v.shape[3], device=q.device)
    pieces = []
    chunks = zip(*(part.split(chunk, dim=2) for part in (q, k, v, log_decay)), strict=True)
    for q_c, k_c, v_c, log_decay_c in chunks:
        length = q_c.shape[2]
        angle = torch.arange(length, device=q.device)[:, None] * turn[:, None]       # (H, C, K / 2)
        table = angle.cos(), angle.sin()
        q_c, k_c = rotate(q_c, table), rotate(k_c, table)
        total = log_decay_c.cumsum(dim=-1)                                           # since the start of the chunk
        between = total[..., :, None] - total[..., None, :]                          # (B, H, C, C)
        later = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
        couplings = (q_c @ k_c.mT) * between.masked_fill(later, -torch.inf).exp()
        pieces.append(couplings.to(v.dtype) @ v_c + (q_c * total.exp().unsqueeze(-1)) @ state)
        last = total[..., -1:, None]
        state = last.exp() * state + ((k_c * (last - total.unsqueeze(-1)).exp()).mT @ v_c).to(state.dtype)
        back = -length * turn[:, None]                                               # the next chunk begins at 0
        state = rotate(state.mT, (back.cos(), back.sin())).mT
    return torch.cat(pieces, dim=2), state
