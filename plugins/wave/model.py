"""A pre-norm transformer with two kinds of attention heads: interfering waves and dot products.

Notable:
- a wave head's score a_q a_k cos(p_q - p_k) is one inner product of doubled features [a cos p | a sin p], so it runs
  through the platform's fused attention and no T x T tensor exists;
- amplitudes and phases are bounded and normalised within a token, positions are phases;
- `ratio` of the heads are wave heads, the others the baseline's; at 0 this is a plain transformer;
- `linear` drops their softmax: a recurrence with one matrix a head for a state, evaluated in chunks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..blocks import gemm_flops
from ..decoder import AttentionBlock, Decoder
from .as_published import PublishedWaveHeads
from .config import WaveConfig
from .heads import LinearWaveHeads, SoftmaxWaveHeads, StandardHeads


class HybridAttention(nn.Module):
    def __init__(self, config: WaveConfig):
        super().__init__()
        self.head_dim = config.head_dim
        waves, standard = config.wave_heads, config.heads - config.wave_heads
        kind = PublishedWaveHeads if config.as_published else LinearWaveHeads if config.linear else SoftmaxWaveHeads
        self.kinds = nn.ModuleList(
            make(config, heads) for make, heads in ((kind, waves), (StandardHeads, standard)) if heads)
        self.values = nn.Linear(config.dim, config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: Tensor, pasts: list[Any] | None, start: int) -> tuple[Tensor, list[Any]]:
        """x (B, T, D) at positions `start`.. and what its heads carry -> (B, T, D), what they carry on."""
        v = self.values(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2).contiguous()       # (B, H, T, d)
        shares = v.split([kind.heads for kind in self.kinds], dim=1)
        outputs, after = [], []
        for kind, share, past in zip(self.kinds, shares, pasts or [None] * len(shares), strict=True):
            y, past = kind(x, share, past, start)
            outputs.append(y)
            after.append(past)
        return self.out(torch.cat(outputs, dim=1).transpose(1, 2).flatten(2)), after


class Wave(Decoder):
    config: WaveConfig

    def __init__(self, config: WaveConfig, vocab_size: int):
        super().__init__(
            config, vocab_size, (AttentionBlock(config, HybridAttention(config)) for _ in range(config.layers)))

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations of one call, in GEMMs; a softmax counts the pairs that the causal mask leaves.

        A pair costs a wave head 2 x 2d for its score, and as many for the padded values; a linear head updates and
        reads its state in 8 d^2 a token.
        """
        config = self.config
        tokens, pairs = (1, seq_len + 1) if phase == "decode" else (seq_len, seq_len * (seq_len + 1) // 2)
        linear = tokens * 8 * config.head_dim**2
        waves = config.wave_heads * (linear if config.linear else pairs * 8 * config.head_dim)
        standard = (config.heads - config.wave_heads) * pairs * 4 * config.head_dim
        return (3 if phase == "train" else 1) * batch * (tokens * gemm_flops(self) + config.layers * (waves + standard))
