"""Causal softmax attention over the real part or the modulus of <q, k>, some queries at a time.

Autograd would keep the scores of every chunk, a T x T matrix after all. Here the backward pass computes them again from
the waves, so that time is quadratic in the length and memory linear, both ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Part = Literal["real", "modulus"]

CHUNK = 128                 # queries at a time: their scores stay in the cache, the GEMMs stay large
TINY = 1e-30                # the modulus has no gradient at 0; there it is taken as 0


def chunked_attention(q: Tensor, k: Tensor, v: Tensor, part: Part, chunk: int = CHUNK) -> Tensor:
    """softmax(part of <q, k>) v, where the last query sees every key, the one before all but the last, and so on.

    q (B, H, T, 2d) and k (B, H, S, 2d) are planes, S >= T; v (B, H, S, dv) -> (B, H, T, dv), all of v's dtype. The
    softmax is in float32. Beside inputs and outputs it holds a few matrices of B x H x chunk x S.
    """
    with torch.autocast(q.device.type, enabled=False):
        return _ChunkedAttention.apply(q.to(v.dtype), k.to(v.dtype), v, part == "modulus", chunk)


class _ChunkedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, modulus: bool, chunk: int) -> Tensor:
        y = torch.empty_like(q[..., :1]).expand(*q.shape[:3], v.shape[-1]).contiguous()
        for rows, keys in _chunks(q, k, chunk):
            scores = _products(q[:, :, rows], k[:, :, keys], modulus)[-1]
            y[:, :, rows] = _weights(scores, v.dtype) @ v[:, :, keys]
        ctx.save_for_backward(q, k, v, y)
        ctx.modulus, ctx.chunk = modulus, chunk
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, y = ctx.saved_tensors
        dtype = _wide(q)
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k, dtype=dtype), torch.zeros_like(v, dtype=dtype)
        for rows, keys in _chunks(q, k, ctx.chunk):
            part, seen, out = q[:, :, rows], k[:, :, keys], dy[:, :, rows]
            *planes, scores = _products(part, seen, ctx.modulus)
            weights = _weights(scores.clone(), dtype)
            dv[:, :, keys] += weights.to(v.dtype).mT @ out
            mean = (out * y[:, :, rows]).sum(-1, keepdim=True, dtype=dtype)
            dscores = (out @ v[:, :, keys].mT).to(dtype).sub_(mean).mul_(weights)
            if ctx.modulus:
                dscores /= scores
                real, imag = ((dscores * plane).to(q.dtype) for plane in planes)
                dq[:, :, rows] = real @ seen - _turned(imag @ seen)
                dk[:, :, keys] += real.mT @ part + imag.mT @ _turned(part)
            else:
                dscores = dscores.to(q.dtype)
                dq[:, :, rows] = dscores @ seen
                dk[:, :, keys] += dscores.mT @ part
        return dq, dk.to(k.dtype), dv.to(v.dtype), None, None


def _chunks(q: Tensor, k: Tensor, chunk: int) -> Iterator[tuple[slice, slice]]:
    """Rows of the queries, and the keys that the last of them sees."""
    length, past = q.shape[2], k.shape[2] - q.shape[2]
    for start in range(0, length, chunk):
        end = min(start + chunk, length)
        yield slice(start, end), slice(0, past + end)


def _wide(x: Tensor) -> torch.dtype:
    """What scores and sums are held in: float32, or float64 for float64 inputs."""
    return torch.promote_types(x.dtype, torch.float32)


def _turned(q: Tensor) -> Tensor:
    """-i q of planes: Re<-i q, k> is Im<q, k>."""
    real, imag = q.chunk(2, dim=-1)
    return torch.cat([imag, -real], dim=-1)


def _products(q: Tensor, k: Tensor, modulus: bool) -> tuple[Tensor, ...]:
    """<q, k> (B, H, C, S) in float32: its real part, or its real part, imaginary part and modulus."""
    real = (q @ k.mT).to(_wide(q))
    if not modulus:
        return (real,)
    imag = (_turned(q) @ k.mT).to(_wide(q))
    return real, imag, (real * real).addcmul_(imag, imag).sqrt_().clamp_min_(TINY)


def _weights(scores: Tensor, dtype: torch.dtype) -> Tensor:
    """Softmax over the keys up to each query's own; writes over the scores."""
    rows = scores.shape[-2]
    if rows > 1:
        hidden = torch.ones(rows, rows, dtype=torch.bool, device=scores.device).triu_(1)
        scores[..., -rows:].masked_fill_(hidden, -torch.inf)
    return scores.softmax(-1).to(dtype)
