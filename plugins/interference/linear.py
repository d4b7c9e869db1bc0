"""Causal attention without a softmax: sum over s <= t of Re<q_t, k_s> v_s, carried as one matrix a head.

It is not divided by the sum of its weights, as kernel attention is: these weights are cosines, their sum is negative
for about half of the queries and passes through zero, where the quotient has no bound. Whoever calls this normalises
the result (Qin et al. 2022, "The Devil in Linear Transformer", do the same).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


def linear_attention(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor | None = None, chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """q, k (B, H, T, 2d) planes, v (B, H, T, dv), state (B, H, 2d, dv) -> (B, H, T, dv) and the state after them.

    Within a chunk the weights are a small matrix; across chunks they are the state, the sum of k v^T. All in float32:
    the terms cancel each other.
    """
    length, dtype = q.shape[2], torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(q.device.type, enabled=False):
        q, k, v = (_chunked(x.to(dtype), min(chunk, length)) for x in (q, k, v))     # (B, H, N, C, ·)
        writes = k.mT @ v                                                            # (B, H, N, 2d, dv)
        if state is None:
            state = torch.zeros_like(writes[:, :, 0])
        states = torch.cat([state.unsqueeze(2), writes], dim=2).cumsum(dim=2)        # before each chunk, after the last
        y = (q @ k.mT).tril() @ v + q @ states[:, :, :-1]
        return y.flatten(2, 3)[:, :, :length], states[:, :, -1]


def _chunked(x: Tensor, chunk: int) -> Tensor:
    """(B, H, T, D) -> (B, H, N, chunk, D); zeros fill up the last chunk, which neither read nor write anything."""
    return F.pad(x, (0, 0, 0, -x.shape[2] % chunk)).unflatten(2, (-1, chunk))
