"""Models of packages of one architecture each, as their authors' own language models are put together."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from harness import LanguageModel, TokenHistory

from .config import AttentionConfig, StackConfig


class MinGRU(LanguageModel):
    """minLM of minGRU-pytorch. The state is one (B, 1, D) a layer."""

    def __init__(self, config: StackConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        package = importlib.import_module("minGRU_pytorch.minLM")
        self.inner = package.minLM(num_tokens=vocab_size, dim=config.dim, depth=config.layers)

    def note(self) -> str:
        return "read token by token after a state: its package looks at the last token of a chunk alone"

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        if state is None:
            logits, state = self.inner(tokens, return_prev_hiddens=True)
            return logits, state
        found = []
        for token in tokens.split(1, dim=1):
            logits, state = self.inner(token, return_prev_hiddens=True, prev_hiddens=state)
            found.append(logits)
        return torch.cat(found, dim=1), state


class ParallelMamba(TokenHistory):
    """Mamba of mambapy, whose parallel form gives no state."""

    def __init__(self, config: StackConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        package = importlib.import_module("mambapy.mamba")
        self.embedding = nn.Embedding(vocab_size, config.dim)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.inner = package.Mamba(package.MambaConfig(d_model=config.dim, n_layers=config.layers))
        self.norm, self.head = nn.RMSNorm(config.dim), nn.Linear(config.dim, vocab_size, bias=False)
        self.head.weight = self.embedding.weight

    def note(self) -> str:
        return "the text is read anew for every token: its parallel form gives no state"

    def logits(self, tokens: Tensor) -> Tensor:
        return self.head(self.norm(self.inner(self.embedding(tokens))))


class XTransformer(LanguageModel):
    """The decoder of x-transformers with rotary embedding and a gated MLP. The state is the keys and values so far."""

    def __init__(self, config: AttentionConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        package, head = importlib.import_module("x_transformers.x_transformers"), config.dim // config.heads
        self.inner = package.TransformerWrapper(
            num_tokens=vocab_size, max_seq_len=4096, use_abs_pos_emb=False, attn_layers=package.Decoder(
                dim=config.dim, depth=config.layers, heads=config.heads, attn_dim_head=head, attn_flash=True,
                ff_mult=(config.hidden or 4 * config.dim) / config.dim,
                rotary_pos_emb=True, rotary_emb_dim=head, use_rmsnorm=True, ff_glu=True, ff_swish=True))
        self.layers, self.attention = package.LayerIntermediates, package.Intermediates

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        cache = state and self.layers(
            attn_intermediates=[self.attention(cached_kv=tuple(pair)) for pair in state["kv"]],
            cache_length=state["length"])
        logits, after = self.inner(tokens, return_intermediates=True, cache=cache, cache_age=tokens.shape[1],
                                   input_not_include_cache=True)
        pairs = [list(one.cached_kv) for one in after.attn_intermediates if one.cached_kv is not None]
        return logits, {"length": (state["length"] if state else 0) + tokens.shape[1], "kv": pairs}
