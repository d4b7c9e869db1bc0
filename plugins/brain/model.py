"""The brain-inspired model: consciousness, two memories, spiking neurons, plasticity, with and without backpropagation.

Notable:
- consciousness and short-term memory, then layers of spiking neurons and plasticity, then long-term memory: branches of
  one residual stream, all causal; every part that looks back is carried in a state of constant size;
- `local_update` learns without a backward pass: the error at the output is broadcast to every branch;
- `write` stores cue -> answer in long-term memory at once, without training: it is part of the state that is passed;
- `as_published=true` is the published network; as_published.py says what is different there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import LanguageModel, Unsupported

from ..blocks import RMSNorm, gemm_flops, precise
from .as_published import PublishedBrain
from .branch import accumulate, outer
from .config import BrainConfig
from .consciousness import Consciousness
from .memory import LongTermMemory, ShortTermMemory
from .plasticity import CHUNK, Plasticity
from .spiking import Spiking

QUIET = 0.1                     # of what is pooled over a text, at first: loud, it drowns the token for long
CERTAIN = 1e-6                  # the least share that is left to a side of the mixture


class Brain(LanguageModel):
    def __init__(self, config: BrainConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        if config.as_published:
            self.published = PublishedBrain(config, vocab_size)
            return
        dim, longest = config.dim, config.longest
        self.embedding = nn.Embedding(vocab_size, dim)
        self.dropout = nn.Dropout(config.dropout)
        self.consciousness = Consciousness(dim, longest)
        self.short_term = ShortTermMemory(dim, config.slots, config.slot_dim, longest)
        self.spiking = nn.ModuleList(
            Spiking(dim, config.neurons or dim, config.ramp, longest) for _ in range(config.layers))
        self.plasticity = nn.ModuleList(
            Plasticity(dim, config.hidden or dim, config.heads, config.synapses) for _ in range(config.layers))
        self.long_term = LongTermMemory(dim, config.concepts, config.concept_dim)
        self.norm = RMSNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight
        self.initialise()

    def initialise(self) -> None:
        branches = list(self.branches())
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and name != "head":
                gain = 1 / math.sqrt(len(branches)) if name.endswith(("out", "down", "recall")) else 1.0
                gain *= QUIET if name in ("consciousness.out", "short_term.out") else 1.0
                nn.init.normal_(module.weight, std=gain * module.in_features**-0.5)
        for branch in (*branches, self.long_term):
            branch.initialise()
        nn.init.normal_(self.head.weight, std=self.config.dim**-0.5)
        nn.init.normal_(self.embedding.weight, std=0.1 if self.config.tied else 1.0)

    def branches(self) -> Iterator[Any]:
        """What adds to the stream before long-term memory, in order."""
        yield self.consciousness
        yield self.short_term
        for spiking, plasticity in zip(self.spiking, self.plasticity, strict=True):
            yield spiking
            yield plasticity

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if self.config.as_published:
            history = tokens if state is None else torch.cat([state, tokens], dim=1)
            return self.published(history)[:, -tokens.shape[1]:], history
        x, after = self.stream(tokens, state)                                        # (B, T, D)
        episodes = state["episodes"] if state else None
        learned, recalled = self.long_term(x, episodes)
        logits = self.head(self.norm(x + learned))                                   # (B, T, V)
        if episodes is not None:
            logits = self.mixture(logits, recalled, episodes[1])
        return logits, {"carried": after, "episodes": episodes}

    def stream(self, tokens: Tensor, state: Any) -> tuple[Tensor, list[Any]]:
        """The stream (B, T, D) that asks long-term memory, and what the branches carry."""
        x, after = self.dropout(self.embedding(tokens)), []
        carried = (state and state["carried"]) or [None] * (2 + 2 * self.config.layers)
        for branch, past in zip(self.branches(), carried, strict=True):
            y, past = branch(x, past)
            x = x + self.dropout(y)
            after.append(past)
        return x, after

    def mixture(self, logits: Tensor, recalled: Tensor, answers: Tensor) -> Tensor:
        """log of (1 - share) softmax(logits) + the weights `recalled` (B, T, E) of the episodes on their answers."""
        told = torch.zeros_like(logits, dtype=recalled.dtype)
        told = told.scatter_add(-1, answers[:, None].expand_as(recalled), recalled)
        share = told.sum(-1, keepdim=True).clamp(CERTAIN, 1 - CERTAIN)
        return torch.logaddexp((1 - share).log() + precise(logits).log_softmax(-1), told.clamp(min=1e-30).log())

    @torch.no_grad()
    def write(self, cues: Tensor, answers: Tensor, state: Any = None) -> Any:
        """Store in long-term memory that the texts `cues` (B, T) are followed by the tokens `answers` (B,).

        One call is enough (one-shot); several for one answer add up (few-shot). Returns the state with what was
        written, at most `episodes` entries; a text that is being read stays where it was. Raises Unsupported as
        published: there the memory is no part of the model's answer.
        """
        if self.config.as_published:
            raise Unsupported("as published nothing that is written changes an answer")
        x, _ = self.stream(cues, None)
        cue, answer = self.long_term.cues(x[:, -1:]), answers[:, None]
        state = state or {"carried": None, "episodes": None}
        if state["episodes"] is not None:
            cues_before, answers_before = state["episodes"]
            cue, answer = torch.cat([cues_before, cue], 1), torch.cat([answers_before, answer], 1)
        newest = slice(-self.config.episodes, None)
        return {**state, "episodes": (cue[:, newest].clone(), answer[:, newest].clone())}

    @torch.no_grad()
    def local_update(self, inputs: Tensor, targets: Tensor, lr: float) -> Tensor:
        """Learn from one batch without a backward pass; the mean cross entropy of targets (B, T) before it.

        Every tensor that learns moves by `lr` in root mean square, a homeostatic scaling that keeps nothing from batch
        to batch. Raises Unsupported as published: that rule changed no weight.
        """
        if self.config.as_published:
            raise Unsupported("as published the rule without backpropagation changes no weight of the model")
        with torch.autocast(inputs.device.type, enabled=False):
            loss = self.local_gradients(inputs, targets)
        for parameter in self.parameters():
            if (gradient := parameter.grad) is not None:
                parameter.sub_(lr * gradient / gradient.square().mean().sqrt().clamp(min=1e-30))
                parameter.grad = None
        return loss

    @torch.no_grad()
    def local_gradients(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The same loss; `.grad` of what learns holds the local rule's estimate of its gradient, elsewhere it is None.

        The error at the stream's end goes as it is to the branches, each of which judges its own synapses (branch.py).
        """
        self.zero_grad(set_to_none=True)
        x, taken = self.embedding(inputs), []
        for branch in self.branches():
            taken.append(x)
            x = x + branch(x)[0]
        end = x + self.long_term(x)[0]
        unit = F.rms_norm(end, end.shape[-1:], eps=self.norm.eps)
        read = unit * self.norm.weight
        log_p = self.head(read).log_softmax(-1)                                      # (B, T, V)

        surprise = log_p.exp()
        surprise.scatter_add_(-1, targets[..., None], torch.full_like(surprise[..., :1], -1.0))
        surprise /= targets.numel()
        blame = surprise @ self.head.weight                                          # (B, T, D)
        accumulate(self.head.weight, outer(surprise, read))
        accumulate(self.norm.weight, (blame * unit).sum((0, 1)))
        error = blame * self.norm.weight
        error = error - unit * (error * unit).mean(-1, keepdim=True)
        error = error * (end.square().mean(-1, keepdim=True) + self.norm.eps).rsqrt()

        for branch, before in zip((*self.branches(), self.long_term), (*taken, x), strict=True):
            branch.learn(before, error)
        heard = torch.zeros_like(self.embedding.weight).index_add_(0, inputs.flatten(), error.flatten(0, 1))
        accumulate(self.embedding.weight, heard)
        return -log_p.gather(-1, targets[..., None]).mean()

    def diagnostics(self) -> dict[str, float]:
        """Spike rate of the last forward in eval mode, and multiply-accumulates a token in three counts.

        `spiking_macs_dense` run here behind the spikes; `spiking_macs_events` are those that spikes cause, all that an
        event-driven implementation would need there; `macs` are all of the model's, most of which nothing spares.
        """
        layers: list[Any] = [] if self.config.as_published else list(self.spiking)
        if not layers or layers[0].rate is None:
            return {}
        rate = torch.stack([layer.rate for layer in layers]).mean().item()
        dense = float(sum(layer.out.weight.numel() for layer in layers))
        return {"spike_rate": rate, "spiking_macs_dense": dense, "spiking_macs_events": rate * dense,
                "macs": self.flops(1, 1, "decode") / 2}

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations of one call: products, delays, scans (7 a neuron, 6 a channel, 3 a slot's)."""
        config, tokens = self.config, 1 if phase == "decode" else seq_len
        passes = (3 if phase == "train" else 1) * batch
        if config.as_published:
            return passes * seq_len * 2 * self.published.macs()             # the text is read again for every token
        chunks, rest = divmod(tokens, CHUNK)
        pairs, width = chunks * CHUNK**2 + rest**2, config.synapses
        fast = config.heads * (pairs * 2 * (2 * width + 1) + tokens * 4 * width * (width + 1))
        layer = 2 * 4 * config.dim + 7 * (config.neurons or config.dim)
        memories = 2 * config.concepts * (config.concept_dim + config.dim) + 5 * config.slots * config.slot_dim
        local = gemm_flops(self) + config.layers * layer + memories + 6 * config.dim
        return passes * (tokens * local + config.layers * fast)
