"""The published parts of qllm2 v4, defect by defect, in the places of the right ones.

What differs, each measured on the published code:
- the norm subtracts the mean magnitude, so 54 % of the channels of Gaussian input turn by pi;
- every weight is drawn from N(0, 0.02), whatever was declared, and branches enter the sum scaled by 0.1;
- the embedding of token 0, or of the padding of patches, never gets a gradient;
- the backbone, see published_backbone.py, and the banks, which carry nothing and read no text, see published_banks.py;
- the episodic memory carries nothing: up to 128 tokens it is causal attention, beyond it a sawtooth of 64..127 tokens
  without the present one, for a single token it is zero;
- the coupler multiplies its output by 1 + Re(output) in training only, and routes by K scalars a token;
- the coherence of the coupling loss is normalised by L1 norms, so it is 0.005 (d = 256) where it should be 1;
- the coherence loss is least where the states of all tokens are equal;
- `slot_importance` and a part of the banks never get a gradient.
Only the order of arithmetic is another: the recurrence runs in the fused scan, with `loop=true` in the published loop
over tokens. tests/golden/ has what the published code computes. The published in-place write that makes the backward of
episodic memory fail up to 128 tokens is not reproduced, nor are the embedding tables and heads of other tokenizers
(40,000 d parameters that are built and never used).
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PhaseFieldConfig
from .parts import Parts
from .phase import magnitude, multiply, unit
from .published_backbone import PublishedBackbone
from .published_banks import BANKS
from .published_patching import PublishedPatches
from .published_phase import (
    BRANCH,
    TINY,
    BiasedComplexLinear,
    FlippingNorm,
    cosine,
    drop_real,
    length,
    normed_map,
    small,
    small_linear,
)

WHOLE = 128                     # tokens up to which episodic memory reads all
NEAREST = 32                    # slots that associative memory reads


class PublishedCoupler(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        count = len(config.banks)
        self.projections = nn.ModuleList(BiasedComplexLinear(config.dim, config.dim) for _ in config.banks)
        self.phases = nn.Parameter(torch.cat([torch.ones(count, config.dim), torch.zeros(count, config.dim)], dim=-1))
        self.router = nn.Sequential(small_linear(count, 4 * count), nn.GELU(), small_linear(4 * count, count))
        self.output = normed_map(config.dim)
        self.dropout, self.diversity = config.dropout_rate, config.diversity_weight

    def forward(self, z: Tensor, banks: list[Tensor]) -> tuple[Tensor, Tensor]:
        projected = [project(bank) for project, bank in zip(self.projections, banks, strict=True)]
        energy = torch.stack([2 * p.square().mean(dim=-1) for p in projected], dim=-1)                   # (B, T, K)
        routing = torch.softmax(self.router(energy), dim=-1)
        mixed = torch.stack([multiply(p, phase) for p, phase in zip(projected, unit(self.phases), strict=True)])
        out = self.output((routing.permute(2, 0, 1).unsqueeze(-1) * mixed).sum(dim=0))
        return (drop_real(out, self.dropout, True) if self.training else out), routing

    def loss(self, banks: list[Tensor]) -> Tensor:
        """Weighted 0.1 | |coherence| - 0.5 |, less the variance over pairs, of banks averaged over 32 positions."""
        means = [bank[:, :32].mean(dim=1) for bank in banks]
        pairs = torch.stack([
            (a * b).sum(dim=-1) / (magnitude(a).sum(dim=-1) * magnitude(b).sum(dim=-1) + TINY)
            for a, b in combinations(means, 2)
        ]).mean(dim=1)                                                                # (pairs,)
        target = 0.1 * (pairs.abs().mean() - 0.5).abs()
        return self.diversity * (target if len(pairs) == 1 else target - pairs.var())


class PublishedPhaseMemory(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.query = BiasedComplexLinear(config.dim, config.dim)
        self.keys, self.values = small(config.slots, 2 * config.dim), small(config.slots, 2 * config.dim)
        self.output = normed_map(config.dim)
        self.scale = nn.Parameter(torch.tensor(BRANCH))
        self.slot_importance = nn.Parameter(torch.zeros(config.slots))

    def forward(self, h: Tensor, state: None = None) -> tuple[Tensor, None]:
        return h + self.scale * self.output(self.weights(h) @ self.values), None

    def weights(self, h: Tensor) -> Tensor:
        coherence = cosine(self.query(h), self.keys)                                                     # (B, T, M)
        best = coherence.topk(min(NEAREST, coherence.shape[-1]), dim=-1)
        return torch.zeros_like(coherence).scatter(-1, best.indices, best.values.softmax(dim=-1).to(coherence.dtype))


class PublishedEpisodicMemory(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.qkv = small(6 * config.dim, 2 * config.dim)

    def forward(self, h: Tensor, state: None = None) -> tuple[Tensor, None]:
        tokens = h.shape[1]
        if tokens == 1:
            return h, None
        query, key, value = F.linear(h, self.qkv).chunk(3, dim=-1)
        if tokens <= WHOLE:
            read = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            read = self.sawtooth(query, key, value)
        return h + BRANCH * F.pad(read[:, 1:], (0, 0, 1, 0)), None                    # position 0 reads nothing

    @staticmethod
    def sawtooth(query: Tensor, key: Tensor, value: Tensor, block: int = 64) -> Tensor:
        """Each block of 64 against the one before and its own earlier tokens, the present one excluded."""
        (batch, length, dim), device = query.shape, query.device
        pad = -length % block

        def pairs(x: Tensor) -> Tensor:
            blocks = F.pad(x, (0, 0, block, pad)).unflatten(1, (-1, block))
            return torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=2).flatten(0, 1)    # (B blocks, 128, 2d)

        queries = F.pad(query, (0, 0, 0, pad)).unflatten(1, (-1, block)).flatten(0, 1)
        row, column = torch.arange(block, device=device)[:, None], torch.arange(2 * block, device=device)
        later = column < row + block
        first = later & (column >= block) | (row == 0) & (column == block)            # row 0 has no past: it is zeroed
        mask = torch.stack([first] + [later] * ((length + pad) // block - 1)).repeat(batch, 1, 1)
        read = F.scaled_dot_product_attention(queries, pairs(key), pairs(value), attn_mask=mask)
        return read.reshape(batch, length + pad, dim)[:, :length]


class PublishedEmbedding(nn.Module):
    def __init__(self, config: PhaseFieldConfig, vocab_size: int):
        super().__init__()
        self.weight = small(vocab_size, 2 * config.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.weight, padding_idx=0)


class PublishedHead(nn.Module):
    """Untied, behind a map and a norm of its own."""

    def __init__(self, config: PhaseFieldConfig, vocab_size: int, embedding: nn.Parameter):
        super().__init__()
        self.map = BiasedComplexLinear(config.dim, config.dim)
        self.norm = FlippingNorm(config.dim)
        self.weight = small(vocab_size, 2 * config.dim)

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(self.norm(self.map(z)), self.weight)


def published_coherence(z: Tensor) -> Tensor:
    if z.shape[1] < 2:
        return z.new_zeros(())
    now, later = z[:, :-1], z[:, 1:]
    return (1 - (now * later).sum(dim=-1) / (length(now) * length(later) + TINY)).mean()


def published_energy(z: Tensor) -> Tensor:
    return (magnitude(z) - 1).square().mean()


PUBLISHED = Parts(
    PublishedEmbedding, PublishedBackbone, PublishedEpisodicMemory, PublishedHead, PublishedPatches,
    {"coherence": published_coherence, "energy": published_energy},
    {**{("bank", name): bank for name, bank in BANKS.items()},
     ("coupler", "router"): PublishedCoupler, ("memory", "associative"): PublishedPhaseMemory},
)
