"""Phase-field language model (qllm2 v4), right by default.

    embedding -> [banks -> coupler] -> oscillatory backbone -> [associative memory] -> [episodic memory] -> head

Notable:
- what is in brackets is published and an option: at equal parameters the backbone alone does better without it, in
  less time;
- activations are complex, kept as planes (B, T, 2d) = [re | im]; see phase.py;
- time and memory are linear in the length, decoding costs the same at any context;
- the state is complete: the windows of text, banks and convolutions, oscillators and the episodic buffer are all
  carried, so a text may be cut anywhere;
- with `patch`, latents of so many tokens take the place of tokens, and a local decoder goes on from there: patching.py;
- one function in training and in evaluation, norms that keep phase, every parameter is used;
- banks, coupler and memory are components by name, which plugins may bring; a bank may read the text behind the tokens;
- `as_published=true` puts the published parts in the same places; as_published.py says what is different there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness import LanguageModel

from .as_published import PUBLISHED
from .config import PhaseFieldConfig
from .metrics import measure
from .parts import RIGHT, planes
from .phase import ComplexLinear
from .text import TextFeatures, TextReader

IDLE = ("concept_proj", "unspoken", "prefix_proj", "suffix_proj", "phases")      # published; they take part in no GEMM


class PhaseField(LanguageModel):
    config: PhaseFieldConfig

    def __init__(self, config: PhaseFieldConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        parts = PUBLISHED if config.as_published else RIGHT
        self.patches: Any = parts.patches(config, vocab_size) if config.patch else None
        self.embedding: Any = None if config.patch else parts.embedding(config, vocab_size)
        self.banks = nn.ModuleList(parts.component(config, "bank", name) for name in config.banks)
        self.text = TextReader(vocab_size) if any(map(reads_text, self.banks)) else None
        self.coupler = self.memory = None
        if config.banks and config.coupler != "none":
            self.coupler = parts.component(config, "coupler", config.coupler)
        self.backbone = parts.backbone(config)
        if config.memory != "none":
            self.memory = parts.component(config, "memory", config.memory)
        self.episodic = parts.episodic(config) if config.episodic else None
        self.head: Any = None
        if self.embedding is not None:
            self.head = parts.head(config, vocab_size, self.embedding.weight)
        self.objectives = parts.objectives
        self._readings: list[Tensor] = []       # of the last forward in training, where a loss is to be made of them
        self._last: Tensor | None = None        # likewise, the state that the head read
        self._text: Tensor | None = None        # tokens of the last text that was read from its start in evaluation

    def forward(self, tokens: Tensor, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        before = state or {"text": None, "banks": [None] * len(self.banks), "backbone": None, "memory": None,
                           "episodic": None}
        text, read = (None, None) if self.text is None else self.text(tokens, before["text"])
        if state is None and not self.training and tokens.shape[1] >= self.config.patch:
            self._text = tokens
        if self.patches is None:
            z, after = self.think(self.embedding(tokens), text, before)              # (B, T, 2d)
            return self.head(z), {**after, "text": read}                             # (B, T, V)
        waiting = before.get("patches") or self.patches.begin(len(tokens), tokens)
        z, missing = self.patches.encode(tokens, waiting)                            # (B, n, 2d)
        z, after = self.think(z, at_ends(text, z.shape[1], self.config.patch, missing), before)
        logits, waiting = self.patches.decode(tokens, z, waiting)
        return logits, {**after, "text": read, "patches": waiting}                   # (B, T, V)

    def think(self, z: Tensor, text: TextFeatures | None, before: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Embeddings or latents (B, n, 2d) to the states that predict what follows, and the next state."""
        if z.shape[1] == 0:                                                          # no patch is complete yet
            return z, {name: before[name] for name in ("banks", "backbone", "memory", "episodic")}
        after: dict[str, Any] = {}
        z, after["banks"] = self.mix(z, before["banks"], text)
        z, after["backbone"] = self.backbone(z, before["backbone"])
        z, after["memory"] = (z, None) if self.memory is None else planes(self.memory, z, before["memory"])
        z, after["episodic"] = (z, None) if self.episodic is None else self.episodic(z, before["episodic"])
        self._last = z if self.training and self.config.state_losses else None
        return z, after

    def read_vocabulary(self, vocabulary: Sequence[bytes]) -> None:
        if self.text is not None:
            self.text.read_vocabulary(vocabulary)

    def mix(self, z: Tensor, states: list[Any], text: TextFeatures | None) -> tuple[Tensor, list[Any]]:
        """The banks and what couples them: (B, T, 2d) and each bank's state -> the same."""
        readings, windows = [], []
        for bank, state in zip(self.banks, states, strict=True):
            given = (state, text) if reads_text(bank) else (state,)
            reading, window = planes(bank, z, *given)
            readings.append(reading)
            windows.append(window)
        self._readings = readings if self.training and self.config.diversity_weight else []
        if self.coupler is None:
            return sum(readings, start=z), windows
        return planes(self.coupler, z, readings)[0], windows

    def auxiliary_losses(self) -> dict[str, Tensor]:
        losses = {}
        if self._last is not None:
            weights = self.config.state_losses
            losses = {name: weight * self.objectives[name](self._last) for name, weight in weights.items()}
        loss = getattr(self.coupler, "loss", None)
        if loss and len(self._readings) > 1:
            losses["coupling"] = loss(self._readings)
        return losses

    def diagnostics(self) -> dict[str, float]:
        """The numbers of metrics.py for the last text read in evaluation, which is read once more for them."""
        return {} if self._text is None else measure(self, self._text)

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Of one call; a complex multiply-accumulate is 8, a step of an oscillator with its gates 24.

        Attention counts the `window` tokens that are read, though blocks compute up to twice as many.
        """
        config, tables = self.config, {id(weight) for weight in self.embedding_parameters()}
        per_token = 0.0 if self.head is None else 2.0 * self.head.weight.numel()
        for name, weight in self.named_parameters():
            local = name.startswith("patches.")
            if local or id(weight) in tables or name.endswith("_table") or any(idle in name for idle in IDLE):
                continue
            if weight.ndim == 3:
                per_token += 8 * weight[0].numel()
            elif weight.ndim == 2:
                read = 2 if name.endswith(("concepts", "taps")) else 1      # as keys and values; for both planes
                per_token += 2 * read * weight.numel()
        per_token += 2 * sum(m.repeated for m in self.modules() if isinstance(m, ComplexLinear))
        per_token += 24 * config.layers * config.oscillators
        if self.episodic is not None:
            per_token += 8 * config.dim * min(config.window, seq_len)
        read_in_part = config.memory == "associative" and config.nearest
        unread = 4 * config.dim * max(0, config.slots - config.nearest) if read_in_part else 0
        per_token -= unread                                             # neither values nor gradients of their scores
        share = 1 / (config.patch or 1)
        per_token, unread = per_token * share, round(unread * share)
        per_token += self.patches.flops_per_token() if self.patches is not None else 0
        tokens = batch * (1 if phase == "decode" else seq_len)
        return round(tokens * (3 * per_token - 2 * unread if phase == "train" else per_token))

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        if self.patches is None:
            yield from {self.embedding.weight, self.head.weight}
        else:
            yield from (p for p in self.patches.parameters() if p.ndim == 2 and len(p) == self.vocab_size)


def at_ends(text: TextFeatures | None, count: int, size: int, missing: int) -> TextFeatures | None:
    """The features of the last token of each of `count` patches, of which `missing` tokens came before this text."""
    if text is None:
        return None
    ends = (torch.arange(1, count + 1) * size - missing - 1).clamp_max(text[0].shape[1] - 1)
    return TextFeatures(*(feature[:, ends] for feature in text))


def reads_text(bank: nn.Module) -> bool:
    """Whether a bank declares that it is called with the features of the text behind the tokens."""
    return getattr(bank, "reads_text", False)
