"""Attention written as its formula, every score in memory: what the kernels are compared with.

All take (B, H, T, d) and give (B, H, T, d), causal.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def standard(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, the naive form: a T x T matrix of scores."""
    return causal_softmax(q @ k.mT / math.sqrt(q.shape[-1])) @ v


def materialised(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scores |sum_d exp(i(q - k))| / sqrt(d) of phases as seed 000 writes them: a T x T x d array."""
    difference = q.unsqueeze(-2) - k.unsqueeze(-3)                                   # (B, H, T, T, d)
    scores = torch.exp(1j * difference).sum(-1).abs()
    return causal_softmax(scores / math.sqrt(q.shape[-1])) @ v


def materialised_cosine(qa: Tensor, qp: Tensor, ka: Tensor, kp: Tensor, v: Tensor) -> Tensor:
    """Scores sum_d a_q a_k cos(p_q - p_k) of amplitudes and phases as seed 003 writes them: a T x T x d array."""
    interference = qa.unsqueeze(-2) * ka.unsqueeze(-3) * torch.cos(qp.unsqueeze(-2) - kp.unsqueeze(-3))
    return causal_softmax(interference.sum(-1)) @ v


def causal_softmax(scores: Tensor) -> Tensor:
    """(…, T, T) -> weights over the keys up to each query's own."""
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(hidden, -torch.inf).softmax(-1)
