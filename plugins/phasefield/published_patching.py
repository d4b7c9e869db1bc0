"""The published byte patches: the latent of a patch predicts the bytes of that very patch, which it was made of.

logits[t] is scored against byte t + 1, which for all but the last offset of a patch the latent holds. A text that ends
within a patch is padded; nothing of a patch is carried.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import PhaseFieldConfig
from .published_phase import BiasedComplexLinear, FlippingNorm, small

DECODER_LAYERS = 2


def mapped(dim: int) -> nn.Sequential:
    return nn.Sequential(BiasedComplexLinear(dim, dim), FlippingNorm(dim))


class PublishedPatches(nn.Module):
    def __init__(self, config: PhaseFieldConfig, vocab_size: int):
        super().__init__()
        dim = config.dim
        self.size, self.pad = config.patch, vocab_size - 1
        self.table = small(vocab_size, 2 * dim)
        self.places = nn.ModuleList(BiasedComplexLinear(dim, dim) for _ in range(self.size))
        self.weights = nn.Parameter(torch.full((self.size,), 1 / self.size))
        self.encoder = mapped(dim)
        self.previous = small(vocab_size, 2 * dim)
        self.offsets = small(self.size, 2 * dim)
        self.layers = nn.ModuleList(mapped(dim) for _ in range(DECODER_LAYERS))
        self.output = mapped(dim)
        self.head = small(vocab_size, 2 * dim)

    def flops_per_token(self) -> int:
        """Of one byte: its place, its decoder and its head, and its share of the patch."""
        square = (self.head.shape[1] // 2) ** 2
        return 8 * square * (2 + DECODER_LAYERS) + 8 * square // self.size + 2 * self.head.numel()

    def begin(self, batch: int, like: Tensor) -> dict[str, Tensor]:
        return {}

    def encode(self, tokens: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, int]:
        """(B, T) -> a latent for every patch begun, (B, ceil(T / P), 2d)."""
        text = F.pad(tokens, (0, -tokens.shape[1] % self.size), value=self.pad).unflatten(1, (-1, self.size))
        seen = [place(F.embedding(text[:, :, k], self.table, self.pad)) for k, place in enumerate(self.places)]
        mixed = (torch.stack(seen, dim=-1) * torch.softmax(self.weights, dim=0)).sum(dim=-1)
        return self.encoder(mixed), 0

    def decode(self, tokens: Tensor, z: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Any]]:
        """Tokens (B, T) and states (B, n, 2d) -> logits (B, T, V)."""
        before = F.pad(tokens, (1, z.shape[1] * self.size - tokens.shape[1] - 1), value=self.pad)
        x = F.embedding(before, self.previous, self.pad).unflatten(1, (-1, self.size)) + self.offsets + z[:, :, None]
        count = torch.arange(1, self.size + 1, device=x.device)[:, None]
        for layer in self.layers:
            x = x + layer(x.cumsum(dim=2) / count)
        return F.linear(self.output(x), self.head).flatten(1, 2)[:, :tokens.shape[1]], {}
