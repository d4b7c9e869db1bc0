"""The published network, defect by defect.

What differs, each measured on the published code (qllm2 v3) or read in it:
- consciousness weighs tokens by a softmax over the whole sequence: the future enters, if faintly, since the weights are
  near 1 / T and the layer near the identity;
- short-term memory has slots that no text writes; in training they drift to the mean of the batch;
- long-term memory reads two tables of parameters; training overwrites one of its episodes by the gated mean of a batch
  wherever the last state is large in the mean, first every episode once, then the first of them at every step;
- what training writes is written in place, after the forward pass read it and before the backward pass does;
- one membrane potential per channel for all texts, moved by the mean of the batch, also in evaluation, and kept from
  call to call: the same text gives other logits the second time; the spikes do not reach the output, which is the dense
  product with the channels zeroed that fired of late;
- plasticity takes one of four linear maps for the whole batch, by its variance; nothing grows or is pruned;
- no part mixes time on purpose: it is a bigram model with a leak;
- membranes, traces, counters, slot weights and two scalars are parameters that no gradient reaches.
Of the count (16,420,584 for 512 channels, 6 layers, 256 tokens) these are part. The published trainers all give the
step that turns consolidation on, so here training does.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import BrainConfig

COUNTERS = 1024                 # usage counters and importance scores of a layer
EXPANSIONS = 3
MEMBRANE_DECAY, TRACE, FIRING = 0.9, 0.1, 1.0
IMPORTANT = 0.8                 # mean size of the last state above which it is consolidated


def small(*shape: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(shape))


class Consciousness(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.awareness, self.attention = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.memory, self.intention = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.shared = nn.Parameter(0.01 * torch.randn(1, 1, dim))
        self.fusion = nn.Linear(4 * dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        views = (self.awareness(x).tanh(), self.attention(x).sigmoid(),
                 self.memory(x).tanh(), self.intention(x).sigmoid())
        salience = self.norm(self.fusion(torch.cat(views, -1))) + 0.1 * self.shared
        return x + x * salience.softmax(dim=1)                                       # over the tokens


class ShortTermMemory(nn.Module):
    def __init__(self, dim: int, slots: int):
        super().__init__()
        self.slots, self.slot_weights = small(slots, dim), nn.Parameter(torch.zeros(slots))
        self.gate = nn.Linear(dim, slots)
        self.update = nn.Linear(2 * dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.decay = nn.Parameter(torch.tensor(0.95))

    def forward(self, x: Tensor) -> Tensor:
        gates = self.gate(x).sigmoid()                                               # (B, T, slots)
        y = self.norm(self.update(torch.cat([x, gates @ self.slots], -1)))
        if self.training:
            drawn = gates.mean((0, 1))[:, None] * x.mean((0, 1))
            self.slots.data.mul_(self.decay.data).add_((1 - self.decay.data) * drawn.detach())
        return y


class LongTermMemory(nn.Module):
    def __init__(self, dim: int, config: BrainConfig):
        super().__init__()
        self.concepts = small(config.concepts, config.concept_dim)
        self.into, self.out = nn.Linear(dim, config.concept_dim), nn.Linear(config.concept_dim, dim)
        self.episodes, self.episode_weights = small(config.episodes, dim), nn.Parameter(torch.zeros(config.episodes))
        self.episode_out, self.consolidation = nn.Linear(dim, dim), nn.Linear(dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        concepts = (self.into(x) @ self.concepts.T).softmax(-1) @ self.concepts
        episodes = (x @ self.episodes.T).softmax(-1) @ self.episodes
        return self.out(concepts) + 0.5 * self.episode_out(episodes)

    @torch.no_grad()
    def consolidate(self, x: Tensor) -> None:
        """The gated mean of the last states (B, T, D) takes the place of the least used episode."""
        importance = x.abs().mean(-1)                                                # (B, T)
        if importance.mean() > IMPORTANT:
            gate = self.consolidation(x).squeeze(-1).sigmoid() * importance
            least = self.episode_weights.argmin()
            self.episodes.data[least] = (x * gate[..., None]).mean((0, 1)).to(self.episodes.dtype)
            self.episode_weights.data[least] = 1.0


class SpikingNeuron(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.synapses = nn.Linear(dim, dim)
        self.membrane = nn.Parameter(0.1 * torch.randn(dim))
        self.trace = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        y = self.synapses(x)
        membrane = MEMBRANE_DECAY * self.membrane.data + y.detach().mean((0, 1))
        spikes = (membrane > FIRING).to(y.dtype)
        self.membrane.data = membrane * (1 - spikes)
        self.trace.data = MEMBRANE_DECAY * self.trace.data + spikes
        return y * (self.trace.data <= TRACE)


class Plasticity(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.usage, self.importance = nn.Parameter(torch.zeros(COUNTERS)), nn.Parameter(torch.ones(COUNTERS))
        self.base = nn.Linear(dim, dim)
        self.expand = nn.ModuleList(nn.Linear(dim, dim) for _ in range(EXPANSIONS))
        self.contract = nn.ModuleList(nn.Linear(dim, dim) for _ in range(EXPANSIONS))

    def forward(self, x: Tensor) -> Tensor:
        complexity = float(x.detach().flatten(1).var(1).mean())
        if complexity < 0.1:
            return self.base(x)
        chosen = int(10 * complexity) % EXPANSIONS
        if self.training:
            self.usage.data[chosen] += 1
            self.importance.data[chosen] = 0.9 * self.importance.data[chosen] + 0.1 * complexity
        return self.contract[chosen](self.expand[chosen](x))


class PublishedBrain(nn.Module):
    """tokens (B, T) -> logits (B, T, V)."""

    def __init__(self, config: BrainConfig, vocab_size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.consciousness = Consciousness(config.dim)
        self.short_term = ShortTermMemory(config.dim, config.slots)             # shared by the layers, as is
        self.long_term = LongTermMemory(config.dim, config)
        self.spiking = nn.ModuleList(SpikingNeuron(config.dim) for _ in range(config.layers))
        self.plasticity = nn.ModuleList(Plasticity(config.dim) for _ in range(config.layers))
        self.head = nn.Linear(config.dim, vocab_size)
        self.efficiency, self.adaptation = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.1))

    def macs(self) -> int:
        """Multiply-accumulates a token; plasticity taken as its usual two maps."""
        def weights(module: nn.Module) -> int:
            return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))

        dim, memory = self.embedding.embedding_dim, self.long_term
        tables = 2 * (self.short_term.slots.numel() // 2 + memory.concepts.numel() + memory.episodes.numel())
        layer = weights(self.short_term) + weights(memory) - dim + tables + 3 * dim * dim
        return weights(self.consciousness) + len(self.spiking) * layer + weights(self.head)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.consciousness(self.embedding(tokens))
        for spiking, plasticity in zip(self.spiking, self.plasticity, strict=True):
            x = self.short_term(x)
            x = x + 0.3 * self.long_term(x)
            x = plasticity(spiking(x))
        logits = self.head(x)
        if self.training:
            self.long_term.consolidate(x)
        return logits
