"""A causal convolution, y_t = sum_k w_k x_(t-k) over the last `window` tokens, before a gated layer."""

import torch
from torch import nn

from harness import LanguageModel


class Tutorial(LanguageModel):
    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.taps = nn.Parameter(torch.randn(config.window, config.dim) / config.window)
        self.gate = nn.Linear(config.dim, 2 * config.dim)
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens, state=None):
        """(B, T) -> logits (B, T, V), state (B, window - 1, D): the tokens before that are still in the window."""
        x, before = self.embed(tokens), self.config.window - 1                  # (B, T, D)
        past = x.new_zeros(len(x), before, self.config.dim) if state is None else state
        seen = torch.cat([past, x], dim=1)                                      # (B, window - 1 + T, D)
        y = sum(seen[:, k : k + tokens.shape[1]] * tap for k, tap in enumerate(self.taps))
        value, gate = self.gate(y).chunk(2, dim=-1)
        return self.head(self.norm(x + value * gate.sigmoid())), seen[:, seen.shape[1] - before :]
