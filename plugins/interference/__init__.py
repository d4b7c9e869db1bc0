"""Attention between waves a e^{ip}: a query's scores are its complex inner products <q, k> = sum_d q_d conj(k_d).

Kept as planes [a cos p | a sin p], such a product is two real GEMMs, so that no tensor of queries x keys x channels is
ever needed. Its real part is the score a_q a_k cos(p_q - p_k), its modulus the score |sum_d exp(i(p_q - p_k))|.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..blocks import attend
from .chunked import CHUNK, Part, chunked_attention
from .linear import linear_attention
from .planes import wave

__all__ = [
    "Part", "append", "attention", "chunked_attention", "fused_attention", "linear_attention", "positions", "wave",
]


def attention(q: Tensor, k: Tensor, v: Tensor, part: Part = "real", chunk: int | None = None) -> Tensor:
    """softmax(part of <q, k>) v, causal, where the last query is at the last key; no T x S tensor is held.

    q (B, H, T, W), k (B, H, S, W), planes or, for the real part, any real vectors; S >= T; v (B, H, S, V) ->
    (B, H, T, V). `chunk` queries at a time; None leaves that to the platform where it has a fused kernel for the task.
    """
    if part == "real" and chunk is None and q.shape[2] == k.shape[2]:
        return fused_attention(q, k, v)
    return chunked_attention(q, k, v, part, chunk or CHUNK)


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same for the real part and T = S, by the platform's fused attention.

    Where queries and values differ in width the platforms fall back to a T x T matrix, so v is padded.
    """
    y = attend(q, k, F.pad(v, (0, q.shape[-1] - v.shape[-1])), is_causal=True, scale=1.0)
    return y[..., :v.shape[-1]]


def positions(start: int, frequency: Tensor, length: int) -> Tensor:
    """The phases (length, d) that positions add from `start` on, for frequencies (d,) in radians a token.

    A phase that grows with the position makes a score depend on the distance: rotary embedding is this very thing.
    """
    return torch.arange(start, start + length, device=frequency.device, dtype=torch.float32)[:, None] * frequency


def append(past: tuple[Tensor, ...] | None, *new: Tensor) -> tuple[Tensor, ...]:
    """A cache of (B, H, S, ·) tensors with `new` ones (B, H, T, ·) behind it."""
    return new if past is None else tuple(torch.cat(pair, dim=2) for pair in zip(past, new, strict=True))
