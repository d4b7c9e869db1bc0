"""Kernel cases of `--suite kernels`: interference attention beside standard attention, forward, as seed 003 sizes it.

2 texts of 1024 tokens, width 512 in 8 heads, float32, from phases (and amplitudes) to outputs; and of 512 tokens, so
that peaks show what grows with the length and what with its square. The scores of half the heads of two texts are large
enough for the allocator to give them back at once. The published forms hold an array of tokens x tokens x channels,
4 GB a text at the full length, so they run at 128 tokens, beside ours at 128; or in chunks of 64, as seed 003 has it.

"hybrid" is wave heads and standard heads, half of the 8 each, in chunks of 64 queries. "hybrid as published" has wave
heads whose chunks see themselves alone and standard heads with every score in memory, which is what the source means by
traditional attention.
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import KernelCase

from . import attention, linear_attention, wave
from .reference import materialised, materialised_cosine, standard

BATCH, LENGTH, SHORT, CHUNK, HEADS, HEAD_DIM = 2, 1024, 128, 64, 8, 64


def modulus_cases(device: str, length: int = LENGTH, short: int = SHORT) -> list[KernelCase]:
    """Scores |sum exp(i(p_q - p_k))| against naive and fused standard attention, and against the published form."""
    few = _normal(3, short, HEAD_DIM, device)
    return [
        *_modulus("modulus", length, device), *_modulus("modulus half", length // 2, device),
        _case("modulus short/published", "reference", "modulus short", materialised, *few),
        _case("modulus short/standard", "implementation", "modulus short", standard, *few),
        _case("modulus short/standard, twice", "implementation", "modulus short", _twice, *few),
        _case("modulus short/half as long", "implementation", "modulus short", standard, *few[..., :short // 2, :]),
        _case("modulus short/chunked", "implementation", "modulus short", _modulus_attention, *few),
    ]


def real_cases(device: str, length: int = LENGTH, short: int = SHORT) -> list[KernelCase]:
    """Scores a_q a_k cos(p_q - p_k) against fused standard attention of twice the head dimension, and as published."""
    few = _waves(short, device)
    return [
        *_real("real", length, device), *_real("real half", length // 2, device),
        _case("real short/published", "reference", "real short", materialised_cosine, *few),
        _case("real short/fused", "implementation", "real short", _real_attention, *few),
    ]


def _modulus(group: str, length: int, device: str) -> list[KernelCase]:
    inputs = _normal(3, length, HEAD_DIM, device)
    return [
        _case(f"{group}/standard", "baseline", group, standard, *inputs),
        _case(f"{group}/fused standard", "implementation", group, _fused, *inputs),
        _case(f"{group}/chunked", "implementation", group, _modulus_attention, *inputs),
        _case(f"{group}/at once", "implementation", group, partial(_modulus_attention, chunk=length), *inputs),
    ]


def _real(group: str, length: int, device: str) -> list[KernelCase]:
    waves, doubled = _waves(length, device), _normal(3, length, 2 * HEAD_DIM, device)
    plain = _normal(3, length, HEAD_DIM, device)
    mixed = [x[:, :HEADS // 2] for x in (*waves, *plain)]
    return [
        _case(f"{group}/fused standard, doubled", "baseline", group, _fused, *doubled),
        _case(f"{group}/fused standard", "implementation", group, _fused, *plain),
        _case(f"{group}/standard", "implementation", group, standard, *plain),
        _case(f"{group}/standard, twice", "implementation", group, _twice, *plain),
        _case(f"{group}/hybrid as published", "implementation", group, _published_hybrid, *mixed),
        _case(f"{group}/hybrid", "implementation", group, _hybrid, *mixed),
        _case(f"{group}/fused", "implementation", group, _real_attention, *waves),
        _case(f"{group}/chunked", "implementation", group, partial(_real_attention, chunk=SHORT), *waves),
        _case(f"{group}/linear", "implementation", group, _linear, *waves),
    ]


def _modulus_attention(q: Tensor, k: Tensor, v: Tensor, chunk: int | None = None) -> Tensor:
    return attention(wave(None, q) / math.sqrt(HEAD_DIM), wave(None, k), v, "modulus", chunk)


def _real_attention(qa: Tensor, qp: Tensor, ka: Tensor, kp: Tensor, v: Tensor, chunk: int | None = None) -> Tensor:
    return attention(wave(qa, qp), wave(ka, kp), v, "real", chunk)


def _hybrid(qa: Tensor, qp: Tensor, ka: Tensor, kp: Tensor, v: Tensor, *plain: Tensor) -> Tensor:
    return torch.cat([_real_attention(qa, qp, ka, kp, v, CHUNK), _fused(*plain)], dim=1)


def _published_hybrid(qa: Tensor, qp: Tensor, ka: Tensor, kp: Tensor, v: Tensor, *plain: Tensor) -> Tensor:
    whole = standard(*plain)                # first: what chunks free, the allocator keeps for a while
    chunks = zip(*(x.split(CHUNK, dim=-2) for x in (qa, qp, ka, kp, v)), strict=True)
    waves = torch.cat([materialised_cosine(*chunk) for chunk in chunks], dim=-2)
    return torch.cat([waves, whole], dim=1)


def _twice(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Standard attention of twice the heads: twice the time, and twice the scores in memory."""
    return standard(*(x.repeat(1, 2, 1, 1) for x in (q, k, v)))


def _linear(qa: Tensor, qp: Tensor, ka: Tensor, kp: Tensor, v: Tensor) -> Tensor:
    return linear_attention(wave(qa, qp), wave(ka, kp), v)[0]


def _case(name: str, role: str, group: str, function, *inputs: Tensor) -> KernelCase:
    def run() -> Tensor:
        with torch.inference_mode():
            return function(*inputs)

    return KernelCase(name, run, role, group)


def _fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def _normal(count: int, length: int, width: int, device: str) -> Tensor:
    return torch.randn(count, BATCH, HEADS, length, width, generator=torch.Generator().manual_seed(0)).to(device)


def _waves(length: int, device: str) -> list[Tensor]:
    """Amplitudes and phases of queries, of keys, and values."""
    qa, qp, ka, kp, v = _normal(5, length, HEAD_DIM, device)
    return [qa.sigmoid(), math.pi * qp.tanh(), ka.sigmoid(), math.pi * kp.tanh(), v]
