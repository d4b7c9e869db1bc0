"""Phase-field language model (qllm2 v4), right by default.

    embedding -> banks in parallel -> coupler -> oscillatory backbone -> associative memory -> episodic memory -> head

Notable:
- activations are complex, kept as planes (B, T, 2d) = [re | im]; see phase.py;
- time and memory are linear in the length, decoding costs the same at any context;
- the state is complete: bank and convolution windows, oscillators and the episodic buffer are all carried, so a text
  may be cut anywhere;
- one function in training and in evaluation, norms that keep phase, every parameter is used;
- `as_published=true` puts the published parts in the same places; as_published.py says what is different there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from harness import LanguageModel

from .as_published import PUBLISHED
from .config import PhaseFieldConfig
from .coupler import routing_entropy
from .parts import RIGHT


class PhaseField(LanguageModel):
    config: PhaseFieldConfig

    def __init__(self, config: PhaseFieldConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        parts = PUBLISHED if config.as_published else RIGHT
        self.embedding = parts.embedding(config, vocab_size)
        self.banks = nn.ModuleList(parts.banks[name](config) for name in config.banks)
        self.coupler = parts.coupler(config) if config.banks and config.coupler else None
        self.backbone = parts.backbone(config)
        self.memory = parts.memory(config) if config.memory else None
        self.episodic = parts.episodic(config) if config.episodic else None
        self.head = parts.head(config, vocab_size, self.embedding.weight)
        self._readings: list[Tensor] = []       # of the last forward in training, for the loss between banks
        self._routing: Tensor | None = None     # of the last forward

    def forward(self, tokens: Tensor, state: dict[str, Any] | None = None) -> tuple[Tensor, dict[str, Any]]:
        before = state or {"banks": [None] * len(self.banks), "backbone": None, "episodic": None}
        after: dict[str, Any] = {}
        z = self.embedding(tokens)                                                   # (B, T, 2d)
        z, after["banks"] = self.mix(z, before["banks"])
        z, after["backbone"] = self.backbone(z, before["backbone"])
        if self.memory is not None:
            z = self.memory(z)
        z, after["episodic"] = (z, None) if self.episodic is None else self.episodic(z, before["episodic"])
        return self.head(z), after                                                   # (B, T, V)

    def mix(self, z: Tensor, states: list[Any]) -> tuple[Tensor, list[Any]]:
        """The banks and what couples them: (B, T, 2d) and each bank's state -> the same."""
        readings, windows = [], []
        for bank, state in zip(self.banks, states, strict=True):
            reading, window = bank(z, state)
            readings.append(reading)
            windows.append(window)
        self._readings = readings if self.training else []
        if self.coupler is None:
            return sum(readings, start=z), windows
        z, routing = self.coupler(z, readings)
        self._routing = routing.detach()
        return z, windows

    def auxiliary_losses(self) -> dict[str, Tensor]:
        if self.coupler is None or len(self._readings) < 2:
            return {}
        return {"coupling": self.coupler.loss(self._readings)}

    def diagnostics(self) -> dict[str, float]:
        if self._routing is None or len(self.banks) < 2:
            return {}
        return {"routing_entropy": routing_entropy(self._routing)}

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Of one call; a complex multiply-accumulate is 8, a step of an oscillator with its gates 24.

        Attention counts the `window` tokens that are read, though blocks compute up to twice as many.
        """
        config, per_token = self.config, 2 * self.head.weight.numel()
        for name, weight in self.named_parameters():
            if weight.ndim == 3 and "concept_proj" not in name:
                per_token += 8 * weight[0].numel()
            elif weight.ndim == 2 and weight is not self.embedding.weight and weight is not self.head.weight:
                read = 2 if name.endswith(("concepts", "taps")) else 1      # as keys and values; for both planes
                per_token += 2 * read * weight.numel()
        per_token += 24 * config.layers * config.oscillators
        if self.episodic is not None:
            per_token += 8 * config.dim * min(config.window, seq_len)
        tokens = batch * (1 if phase == "decode" else seq_len)
        return (3 if phase == "train" else 1) * tokens * per_token

    def embedding_parameters(self) -> Iterator[nn.Parameter]:
        yield from {self.embedding.weight, self.head.weight}
