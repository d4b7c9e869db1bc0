"""`harness new NAME --heads`: the two modules of a plugin whose width is divided among heads. (no torch)"""

HEADED_SPEC = '''\
"""{title}: what the harness lists of it and what can be set. The model is imported when it is built."""

from dataclasses import dataclass

from harness import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    dim: int = 128              # `--params N` solves for it, in multiples of width_step
    layers: int = 2
    heads: int = 4

    def __post_init__(self):
        if self.dim < 1 or self.layers < 1 or self.heads < 1:
            raise ValueError("dim, layers and heads must be at least 1")
        if self.dim % self.width_step:
            raise ValueError(f"dim={{self.dim}} must be a multiple of heads={{self.heads}}")

    @property
    def width_step(self):
        return self.heads       # 2 * self.heads where a head's channels are turned in pairs (rotary embedding)


@hookimpl
def harness_models():
    return [ModelSpec(
        name="{name}", target="{name}.model:{title}", config="{name}:Config", family="classical",
        summary="causal attention with several heads and a KV cache", source="this package")]
'''

HEADED_MODEL = '''\
"""Causal attention with several heads, without positions. Replace it with your own idea."""

import torch
import torch.nn.functional as F
from torch import nn

from harness import LanguageModel


class {title}(LanguageModel):
    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.project = nn.ModuleList(nn.Linear(config.dim, 3 * config.dim) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens, state=None):
        """(B, T) -> logits (B, T, V), state: the keys and values (B, H, T so far, D / H) of every layer."""
        x, after = self.embed(tokens), []                                   # (B, T, D)
        for layer, project in enumerate(self.project):
            q, k, v = (part.unflatten(-1, (self.config.heads, -1)).transpose(1, 2)
                       for part in project(self.norm(x)).chunk(3, dim=-1))  # (B, H, T, D / H)
            if state is not None:
                k, v = torch.cat([state[layer][0], k], dim=2), torch.cat([state[layer][1], v], dim=2)
            past = k.shape[2] - q.shape[2]
            seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=x.device).tril(past)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            x = x + y.transpose(1, 2).flatten(2)
            after.append((k, v))
        return self.head(self.norm(x)), tuple(after)
'''
