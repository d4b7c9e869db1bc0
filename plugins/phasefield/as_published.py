"""The published parts of qllm2 v4, defect by defect, in the places of the right ones.

What differs, each measured on the published code:
- the norm subtracts the mean magnitude, so 54 % of the channels of Gaussian input turn by pi;
- every weight is drawn from N(0, 0.02), whatever was declared, and branches enter the sum scaled by 0.1;
- one gate g both admits the input and forgets, h = g B x + (1 - g) delta R h; rotations start near one degree;
- where a text of more than 128 tokens is no multiple of 128, the returned state is the one after the zero padding;
- the banks carry nothing and read no text: see published_banks.py;
- the episodic memory carries nothing: up to 128 tokens it is causal attention, beyond it a sawtooth of 64..127 tokens
  without the present one, for a single token it is zero;
- the coupler multiplies its output by 1 + Re(output) in training only, and routes by K scalars a token;
- the coherence of the coupling loss is normalised by L1 norms, so it is 0.005 (d = 256) where it should be 1;
- the coherence loss is least where the states of all tokens are equal;
- `slot_importance` and a part of the banks never get a gradient.
Only the order of arithmetic is another: the recurrence runs in the fused scan, not in a loop over tokens. The published
in-place write that makes the backward of episodic memory fail up to 128 tokens is not reproduced, nor are the embedding
tables and heads of other tokenizers (40,000 d parameters that are built and never used).
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..scan import complex_scan
from .config import PhaseFieldConfig
from .parts import Parts
from .phase import cayley, drop_channels, magnitude, multiply, unit
from .published_banks import BANKS
from .published_patching import PublishedPatches
from .published_phase import BRANCH, BiasedComplexLinear, FlippingNorm, normed_map, scale_planes, small, small_linear

CHUNK = 128                     # of the backbone; also where episodic memory changes its window
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
        if self.training:
            real = F.dropout(out[..., :out.shape[-1] // 2], self.dropout)
            out = scale_planes(out, 1 + real)
        return out, routing

    def loss(self, banks: list[Tensor]) -> Tensor:
        """Weighted 0.1 | |coherence| - 0.5 |, less the variance over pairs, of banks averaged over 32 positions."""
        means = [bank[:, :32].mean(dim=1) for bank in banks]
        pairs = torch.stack([
            (a * b).sum(dim=-1) / (magnitude(a).sum(dim=-1) * magnitude(b).sum(dim=-1))
            for a, b in combinations(means, 2)
        ]).mean(dim=1)                                                                # (pairs,)
        target = 0.1 * (pairs.abs().mean() - 0.5).abs()
        return self.diversity * (target if len(pairs) == 1 else target - pairs.var())


class PublishedOscillatorLayer(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        dim, size = config.dim, config.oscillators
        self.input = BiasedComplexLinear(dim, size)
        self.output = BiasedComplexLinear(size, dim)
        self.skip = BiasedComplexLinear(dim, dim)
        self.gate = small_linear(2 * dim, size)
        self.half_tangent = nn.Parameter(torch.randn(size) * 0.01)
        self.floor = nn.Parameter(torch.full((size,), 0.1))
        self.dropout = config.dropout_rate

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        h = self.oscillators(x, state)
        y = self.output(h[:, :x.shape[1]]) + self.skip(x)
        return drop_channels(y, self.dropout, self.training), h[:, -1].clone()

    def oscillators(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """(B, T, 2d) -> the states after every token, and after the zeros that pad the last chunk."""
        length = x.shape[1]
        padded = F.pad(x, (0, 0, 0, -length % CHUNK)) if length > CHUNK else x
        gate = torch.sigmoid(self.gate(padded).to(self.floor.dtype))
        drive = (gate.unsqueeze(-2) * self.input(padded).unflatten(-1, (2, -1))).flatten(-2)
        decay = (1 - gate) * (0.5 + 0.5 * torch.sigmoid(self.floor))
        return complex_scan(decay, *cayley(self.half_tangent), drive, state)


class PublishedBackbone(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.norms = nn.ModuleList(FlippingNorm(config.dim) for _ in range(config.layers))
        self.layers = nn.ModuleList(PublishedOscillatorLayer(config) for _ in range(config.layers))
        self.scales = nn.Parameter(torch.full((config.layers,), BRANCH))
        self.last = FlippingNorm(config.dim)

    def forward(self, z: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        carried = []
        for index, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            y, after = layer(norm(z), state and state[index])
            z = z + self.scales[index] * y
            carried.append(after)
        return self.last(z), carried


class PublishedPhaseMemory(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.query = BiasedComplexLinear(config.dim, config.dim)
        self.keys, self.values = small(config.slots, 2 * config.dim), small(config.slots, 2 * config.dim)
        self.output = normed_map(config.dim)
        self.scale = nn.Parameter(torch.tensor(BRANCH))
        self.slot_importance = nn.Parameter(torch.ones(config.slots))

    def forward(self, h: Tensor, state: None = None) -> tuple[Tensor, None]:
        return h + self.scale * self.output(self.weights(h) @ self.values), None

    def weights(self, h: Tensor) -> Tensor:
        coherence = F.linear(F.normalize(self.query(h), dim=-1), F.normalize(self.keys, dim=-1))         # (B, T, M)
        best = coherence.topk(min(NEAREST, coherence.shape[-1]), dim=-1)
        return torch.zeros_like(coherence).scatter(-1, best.indices, best.values.softmax(dim=-1).to(coherence.dtype))


class PublishedEpisodicMemory(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.qkv = small(6 * config.dim, 2 * config.dim)

    def forward(self, h: Tensor, state: None = None) -> tuple[Tensor, None]:
        length = h.shape[1]
        if length == 1:
            return h, None
        query, key, value = F.linear(h, self.qkv).chunk(3, dim=-1)
        if length <= CHUNK:
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
        return F.embedding(tokens, self.weight)


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
    return (1 - torch.cosine_similarity(z[:, :-1], z[:, 1:], dim=-1)).mean()


def published_energy(z: Tensor) -> Tensor:
    return (magnitude(z) - 1).square().mean()


PUBLISHED = Parts(
    PublishedEmbedding, PublishedBackbone, PublishedEpisodicMemory, PublishedHead, PublishedPatches,
    {"coherence": published_coherence, "energy": published_energy},
    {**{("bank", name): bank for name, bank in BANKS.items()},
     ("coupler", "router"): PublishedCoupler, ("memory", "associative"): PublishedPhaseMemory},
)
