"""Reading learned slots, softmax(q k^T) v, over all of them or over the nearest: no (tokens, slots) array is kept.

Written plainly, the weights are kept for the backward pass, T M numbers several times over. Read over all slots, some
tokens at a time, they are computed again instead, one GEMM more. Read over the nearest k of M, k indices and weights a
token are kept, and both the values and the gradient of the scores are sums over those k: `embedding_bag` makes them in
place, where a gather would hold T k values of d channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

SCORES = 1 << 18            # at a time: 1 MB in float32, which stays in the cache of a core
TOKENS = 128                # at a time at least: smaller GEMMs are slow


def read(query: Tensor, keys: Tensor, values: Tensor, nearest: int = 0) -> Tensor:
    """softmax(q k^T) v over each token's `nearest` slots, 0 for all: (..., W), (M, W), (M, V) -> (..., V).

    In the dtype of the query; the softmax runs in float32. Beside inputs and outputs it holds a few arrays of `SCORES`
    numbers, or of TOKENS x M where that is more.
    """
    flat = query.reshape(-1, query.shape[-1])
    with torch.autocast(query.device.type, enabled=False):
        if not 0 < nearest < len(keys):
            y = _ReadAll.apply(flat, keys, values)
        else:
            scores, slots = _Nearest.apply(flat, keys, nearest)                      # (N, k) each
            y = F.embedding_bag(slots, values.to(scores.dtype), per_sample_weights=scores.softmax(dim=-1), mode="sum")
    return y.to(query.dtype).view(*query.shape[:-1], -1)


def weights(query: Tensor, keys: Tensor, nearest: int = 0) -> Tensor:
    """What `read` weighs the slots with, as one array: (..., W), (M, W) -> (..., M)."""
    scores = query @ keys.mT
    if 0 < nearest < len(keys):
        best = scores.topk(nearest, dim=-1)
        scores = torch.full_like(scores, -torch.inf).scatter(-1, best.indices, best.values)
    return torch.softmax(scores, dim=-1)


class _ReadAll(Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        k, v = keys.to(query.dtype), values.to(query.dtype)
        y = query.new_empty(len(query), v.shape[1])
        for rows in _rows(query, keys):
            torch.mm(_softmax(query[rows] @ k.mT), v, out=y[rows])
        ctx.save_for_backward(query, keys, values)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, values = ctx.saved_tensors
        k, v = keys.to(query.dtype), values.to(query.dtype)
        d_query = torch.empty_like(query)
        d_keys, d_values = (torch.zeros_like(x, dtype=_wide(query)) for x in (keys, values))
        for rows in _rows(query, keys):
            weight = _softmax(query[rows] @ k.mT)
            _add_product(d_values, weight, dy[rows])
            d_score = (dy[rows] @ v.mT).mul_(weight)
            mean = d_score.sum(dim=-1, keepdim=True, dtype=_wide(query)).to(d_score.dtype)
            d_score.addcmul_(weight, mean, value=-1)
            torch.mm(d_score, k, out=d_query[rows])
            _add_product(d_keys, d_score, query[rows])
        return d_query, d_keys.to(keys.dtype), d_values.to(values.dtype)


class _Nearest(Function):
    """The k largest scores of every token and whose they are: (N, W), (M, W) -> (N, k) float32, (N, k) int64."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, nearest: int) -> tuple[Tensor, Tensor]:
        k = keys.to(query.dtype)
        best = [(query[rows] @ k.mT).topk(nearest, dim=-1, sorted=False) for rows in _rows(query, keys)]
        scores, slots = (torch.cat(parts) for parts in zip(*best, strict=True))
        ctx.save_for_backward(query, keys, slots)
        ctx.mark_non_differentiable(slots)
        return scores.to(_wide(query)), slots

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_scores: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None]:
        query, keys, slots = ctx.saved_tensors
        table = keys.to(d_scores.dtype).detach().requires_grad_()
        with torch.enable_grad():
            d_query = F.embedding_bag(slots, table, per_sample_weights=d_scores, mode="sum")
        d_keys, = torch.autograd.grad(d_query, table, query.to(d_scores.dtype))      # a score is symmetric in the two
        return d_query.detach().to(query.dtype), d_keys.to(keys.dtype), None


def _rows(query: Tensor, keys: Tensor) -> Iterator[slice]:
    """Stretches of the tokens."""
    step = max(TOKENS, SCORES // len(keys))
    return (slice(start, start + step) for start in range(0, len(query), step))


def _wide(x: Tensor) -> torch.dtype:
    """What weights and sums over tokens are held in: float32, or float64 for float64 inputs."""
    return torch.promote_types(x.dtype, torch.float32)


def _softmax(scores: Tensor) -> Tensor:
    return scores.softmax(dim=-1, dtype=_wide(scores)).to(scores.dtype)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left^T right."""
    if total.dtype == left.dtype:
        total.addmm_(left.mT, right)
    else:
        total += left.mT @ right
