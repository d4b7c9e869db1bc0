"""The published model of qllm2 v2, defect by defect.

    embedding + position -> concept layer -> phase encoding -> global interference -> coherence -> processors -> logits

What differs from the right one, each measured on the published code:
- concept attention has no mask, the interference adds its mean over all positions, and the windows of the coherence
  look forward (scales), both ways (context, semantic) or at the next token (local): every logit sees the future;
- the semantic coherence is averaged over the batch, and the batch's variance chooses a processor's width;
- a processor is one or two linear maps without a non-linearity and without a residual, so the stack is one affine map;
- in training only, tokens are mixed by a random matrix, noise is added, and a coin decides on a tanh;
- energy and coherence are both built of cosines between the same phases and enter the loss with opposed effect;
- the clusters of the coherence, nine of ten languages and three scalars never get a gradient.
It has no state: what it returns is the text so far, which it reads again. Three things are other than published: loops
over positions are array operations; the phases of the objective, which are those before the random mixing, are taken
from the same forward pass and its dropout, not from one more; and the semantic term of the objective (0.001) is left
out, it needs the targets. tests/golden/ has what the published code computes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Unsupported

from ..blocks import gemm_flops
from .config import PUBLISHED_HEADS, SuperpositionConfig
from .objective import published_coherence, published_concept_loss, published_energy

GOLDEN = (1 + math.sqrt(5)) / 2
SCALES = (1, 2, 4, 8, 16)
CLUSTERS, LANGUAGES = 64, 10
NEIGHBOURS = 8                  # tokens either way in the semantic and the context window
GROWTH, WIDEST = 1.5, 1024      # of a processor; at dim 512 the widest is twice as wide, which smaller models keep


def small(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(shape))


class PublishedConcepts(nn.Module):
    def __init__(self, config: SuperpositionConfig, vocab_size: int):
        super().__init__()
        dim = config.concept_channels
        self.weights = small(vocab_size, config.concepts)
        self.concepts = small(config.concepts, dim)
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(2))
        self.attention = nn.MultiheadAttention(dim, PUBLISHED_HEADS, config.dropout_rate, batch_first=True)
        self.semantic = nn.Linear(dim, dim)
        self.to_token = nn.Linear(dim, vocab_size, bias=False)
        self.layer_norm, self.attention_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.languages = small(LANGUAGES, dim)
        self.dropout = nn.Dropout(config.dropout_rate)

    def mixture(self, tokens: Tensor) -> Tensor:
        return F.embedding(tokens, self.weights) @ self.concepts

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        x = self.mixture(tokens) * torch.sigmoid(self.languages[0])                  # (B, T, C)
        for layer in self.layers:
            x = x + 0.1 * self.dropout(F.gelu(layer(self.layer_norm(x))))
        y = self.attention_norm(x)
        x = x + self.dropout(self.attention(y, y, y, need_weights=False)[0])
        x = x + 0.1 * torch.tanh(self.semantic(x))
        return x, self.to_token(x)


class PublishedPhaseEncoding(nn.Module):
    def __init__(self, config: SuperpositionConfig, vocab_size: int):
        super().__init__()
        phases = config.phase_channels
        index = torch.arange(config.dim, dtype=torch.float64)
        self.golden = nn.Parameter((0.02 * torch.sin(2 * math.pi * GOLDEN * index)).float())
        self.token = small(vocab_size, phases)
        self.frequency = nn.Parameter(0.01 * torch.randn(vocab_size))
        self.position = nn.Parameter(0.01 * torch.randn(config.positions, phases))
        self.project = small(config.dim, phases)

    def semantic(self, tokens: Tensor) -> Tensor:
        return F.linear(F.embedding(tokens, self.token), self.project)

    def forward(self, tokens: Tensor) -> Tensor:
        T, phases = tokens.shape[1], self.token.shape[1]
        golden = torch.sin(torch.arange(T, device=tokens.device)[:, None] * self.golden[:phases] * GOLDEN)
        phase = golden + 0.5 * F.embedding(tokens, self.token) + 0.3 * self.frequency[tokens].unsqueeze(-1)
        return F.linear(torch.tanh(phase + 0.2 * self.position[:T]), self.project)   # (B, T, D)


class PublishedInterference(nn.Module):
    def __init__(self, config: SuperpositionConfig):
        super().__init__()
        dim, heads = config.dim, config.heads or PUBLISHED_HEADS
        self.phase = small(dim)
        self.up, self.up_bias = small(heads, dim, 2 * dim), small(heads, 2 * dim)
        self.down, self.down_bias = small(heads, 2 * dim, dim), small(heads, dim)
        self.out = nn.Linear(heads * dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.einsum("btd,hde->bthe", torch.sin(x - self.phase), self.up) + self.up_bias
        h = torch.einsum("bthe,hed->bthd", self.dropout(F.gelu(h)), self.down) + self.down_bias
        h = self.dropout(h)
        h = h + 0.5 * h.mean(dim=1, keepdim=True)                                    # over all positions
        return x + self.dropout(self.norm(self.out(h.flatten(2))))


class PublishedCoherence(nn.Module):
    def __init__(self, config: SuperpositionConfig, vocab_size: int):
        super().__init__()
        dim = config.dim
        self.scales = nn.Parameter(torch.tensor(SCALES, dtype=torch.float32))
        self.window = nn.Parameter(torch.tensor(float(NEIGHBOURS)))
        self.similarity = small(vocab_size, vocab_size)
        self.clusters, self.assignments = small(CLUSTERS, dim), small(vocab_size, CLUSTERS)
        self.of_scales, self.of_semantic = nn.Linear(len(SCALES), dim), nn.Linear(1, dim)
        self.of_context, self.fuse = nn.Linear(dim, dim), nn.Linear(4 * dim, dim)
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout_rate)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        phases = torch.tanh(x)
        following = F.pad(torch.cos(x[:, 1:] - x[:, :-1]), (0, 0, 0, 1))
        parts = [self.of_scales(forward_coherence(phases)), self.of_semantic(self.semantic(phases, tokens)),
                 self.of_context(torch.cos(x - centred_mean(x))), following]
        y = self.dropout(F.gelu(self.norms[0](self.fuse(torch.cat(parts, dim=-1)))))
        for layer in self.layers:
            y = y + 0.1 * self.dropout(F.gelu(layer(self.norms[1](y))))
        return self.norms[2](y)

    def semantic(self, phases: Tensor, tokens: Tensor) -> Tensor:
        """cos of differences with the neighbours times their tokens' similarity, averaged over the batch too."""
        B, T = tokens.shape
        known = F.normalize(F.embedding(tokens, self.similarity), dim=-1)
        similarity = (known @ known.mT).float()                                      # (B, T, T)
        reach = min(NEIGHBOURS, T // 2)
        total, count = phases.new_zeros(T), phases.new_zeros(T)
        for offset in range(-reach, reach + 1):
            first, last = max(0, -offset), T - max(0, offset)
            difference = phases[:, first:last] - phases[:, first + offset:last + offset]
            weighted = difference * similarity.diagonal(offset, 1, 2).unsqueeze(-1)
            around = (first, T - last)
            total = total + F.pad(torch.cos(weighted).mean(dim=(0, 2)), around)
            count = count + F.pad(phases.new_ones(last - first), around)
        return (total / count)[None, :, None].expand(B, T, 1)


def forward_coherence(phases: Tensor) -> Tensor:
    """Coherence of the windows that start at each position, 0 where they do not fit: (B, T, D) -> (B, T, scales)."""
    length, scores = phases.shape[1], []
    for scale in SCALES:
        if scale < length:
            windows = phases.unfold(1, scale, 1)                                     # (B, T - scale + 1, D, scale)
            score = torch.cos(windows - windows.mean(dim=-1, keepdim=True)).mean(dim=(2, 3))
            scores.append(F.pad(score, (0, scale - 1)))
        else:
            scores.append(phases.new_zeros(phases.shape[:2]))
    return torch.stack(scores, dim=-1)


def centred_mean(x: Tensor) -> Tensor:
    """Mean over the neighbours before and after."""
    length = x.shape[1]
    reach = max(1, min(NEIGHBOURS, length // 2))
    position = torch.arange(length, device=x.device)
    start, end = (position - reach).clamp_min(0), (position + reach + 1).clamp_max(length)
    total = F.pad(x.cumsum(dim=1), (0, 0, 1, 0))
    return (total[:, end] - total[:, start]) / (end - start)[:, None]


class PublishedProcessor(nn.Module):
    """Linear maps at a width that the variance of the batch chooses."""

    def __init__(self, dim: int):
        super().__init__()
        levels = int(math.log(max(1.0, min(WIDEST, 2 * dim) / dim), GROWTH))
        self.widths = [int(dim * GROWTH**level) for level in range(1, levels + 1)]
        self.base = nn.Linear(dim, dim)
        self.expand = nn.ModuleList(nn.Linear(width, width) for width in self.widths)
        self.contract = nn.ModuleList(nn.Linear(width, dim) for width in self.widths)

    def forward(self, x: Tensor) -> Tensor:
        complexity = x.float().var(dim=(1, 2)).mean().item()
        level = 0 if complexity < 0.1 else min(int(math.log(10 * complexity, GROWTH)), len(self.expand))
        if level == 0:
            return self.base(x)
        repeated = x.repeat(1, 1, int(GROWTH**level) + 1)[..., :self.widths[level - 1]]
        return self.contract[level - 1](self.expand[level - 1](repeated))


class PublishedSuperposition(nn.Module):
    def __init__(self, config: SuperpositionConfig, vocab_size: int):
        super().__init__()
        self.config, dim = config, config.dim
        self.uncertainty = nn.Parameter(torch.tensor(0.1))
        self.unused = nn.ParameterList([torch.tensor(0.5), torch.tensor(0.3)])       # entanglement, measurement
        self.embedding, self.positions = nn.Embedding(vocab_size, dim), nn.Embedding(config.positions, dim)
        self.concepts = PublishedConcepts(config, vocab_size)
        self.concept_projection = nn.Linear(config.concept_channels, dim)
        self.phases = PublishedPhaseEncoding(config, vocab_size)
        self.interference = PublishedInterference(config)
        self.coherence = PublishedCoherence(config, vocab_size)
        self.processors = nn.ModuleList(PublishedProcessor(dim) for _ in range(config.layers))
        self.head = nn.Linear(dim, vocab_size)
        self.step: Tensor                                                            # forward passes in training
        self.register_buffer("step", torch.zeros((), dtype=torch.long))
        self.seen: tuple[Tensor, Tensor] | None = None                               # tokens and x, of the last

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        text = tokens if state is None else torch.cat([state, tokens], dim=1)
        if text.shape[1] > self.config.positions:
            raise Unsupported(f"as published the position table ends at {self.config.positions} tokens; "
                              f"set positions={text.shape[1]}")
        return self.logits(text)[:, -tokens.shape[1]:], text

    def logits(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.positions.weight[:tokens.shape[1]]         # (B, T, D)
        concepts, concept_logits = self.concepts(tokens)
        x = x + 0.3 * self.concept_projection(concepts)
        x = self.interference(x + self.phases(tokens))
        x = x + 0.2 * self.coherence(x, tokens)
        self.seen = tokens, x
        if self.training:
            x = self.evolve(x)
        for processor in self.processors:
            x = processor(x)
        return self.head(x) + 0.1 * concept_logits

    def evolve(self, x: Tensor) -> Tensor:
        """Of training only: a random mixture of all tokens, a tanh as a coin falls, noise."""
        step = int(self.step)
        noise = torch.randn_like(x) * self.uncertainty * min(0.5, step / 1000)
        strength = 0.3 + 0.4 / (1 + math.exp(-step / 500))
        if x.shape[1] > 1:
            mixture = torch.eye(x.shape[1], device=x.device)
            mixture = mixture + 0.1 * strength * torch.randn(mixture.shape, device=x.device)
            x = x + 0.1 * (mixture @ x)
        if torch.rand(()).item() < 1 / (1 + math.exp(-step / 200)):
            x = torch.tanh(x)
        self.step += 1
        return x + noise

    def auxiliary_losses(self) -> dict[str, Tensor]:
        if self.seen is None:
            return {}
        tokens, x = self.seen
        processed = self.processors[0](x)
        phase = 2 * math.pi * torch.sigmoid(processed.float()) + 0.1 * self.phases.semantic(tokens)
        phase = phase + math.pi * (processed < 0)                                    # the sign of the amplitude, a tanh
        phase = torch.remainder(phase + math.pi, 2 * math.pi) - math.pi
        return {
            "energy": -self.config.energy * published_energy(phase),
            "coherence": -self.config.coherence * published_coherence(phase),
            "concept": self.config.concept * published_concept_loss(self.concepts.mixture(tokens)),
        }

    def diagnostics(self) -> dict[str, float]:
        return {}

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations in the matrix products of one call, each processor at its widest."""
        length = seq_len + 1 if phase == "decode" else seq_len                       # the text is read again
        concepts, interference = self.concepts, self.interference
        idle = sum(module.base.weight.numel() for module in self.modules()
                   if isinstance(module, PublishedProcessor) and module.widths)
        tables = (concepts.concepts, concepts.attention.in_proj_weight, interference.up, interference.down,
                  self.phases.project)
        local = gemm_flops(self) + 2 * (sum(table.numel() for table in tables) - idle)
        pairs = 4 * self.config.concept_channels + 2 * self.coherence.similarity.shape[1]
        return (3 if phase == "train" else 1) * batch * length * (local + length * pairs)
