"""A modern pre-norm transformer.

Notable:
- rotary embedding, RMS norm, SwiGLU, no biases, one fused projection for queries, keys and values;
- with `qk_norm` queries and keys have an RMS norm with a learned gain (Dehghani et al. 2023, as in Qwen3), in float32;
- the state is the KV cache; a chunk of any length continues it, under a causal mask offset by what came before;
- every residual branch starts at 1/sqrt(2 layers) of the fan-in scale, so the stream keeps its size with depth.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .. import cache
from ..blocks import RMSNorm, ShortConv, SwiGLU, attend, gemm_flops, precise, rotary_table, rotate, swiglu_hidden
from ..decoder import Decoder
from .config import TransformerConfig


class Attention(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.heads, self.dropout = config.attention_heads, config.dropout
        self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)
        head = config.dim // config.attention_heads
        self.norms = nn.ModuleList([RMSNorm(head), RMSNorm(head)] if config.qk_norm else [])    # queries, keys

    def forward(self, x: Tensor, table: tuple[Tensor, Tensor], past: tuple[Tensor, Tensor] | None,
                start: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (B, T, D) at positions `start`.. and the buffers of its layer, or None if the text starts here."""
        B, T, D = x.shape
        qkv = self.qkv(x).view(B, T, 3 * self.heads, D // self.heads).transpose(1, 2)    # (B, 3H, T, Dh)
        qk, v = qkv.split([2 * self.heads, self.heads], dim=1)
        if self.norms:
            parts = zip(self.norms, precise(qk).chunk(2, dim=1), strict=True)
            qk = torch.cat([norm(part) for norm, part in parts], dim=1).to(v.dtype)
        q, k = rotate(qk, table).chunk(2, dim=1)
        if past is None:
            past = (k, v) if torch.is_grad_enabled() else (k.contiguous(), v.contiguous())
        else:
            for buffer, new in zip(past, (k, v), strict=True):
                buffer[:, :, start:start + T] = new
            k, v = (buffer[:, :, :start + T] for buffer in past)
        mask = None if start == 0 or T == 1 else causal_mask(T, start, x.device)
        y = attend(q, k, v, mask, self.dropout if self.training else 0.0, is_causal=start == 0)
        return self.out(y.transpose(1, 2).reshape(B, T, D)), past


def causal_mask(length: int, start: int, device: torch.device) -> Tensor:
    """(length, start + length), True where the query at start + row may see the key."""
    return torch.ones(length, start + length, dtype=torch.bool, device=device).tril(start)


class Block(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.attention_norm = RMSNorm(config.dim)
        self.conv = ShortConv(config.dim, config.conv) if config.conv else None
        self.attention = Attention(config)
        self.mlp_norm = RMSNorm(config.dim)
        self.mlp = SwiGLU(config.dim, config.hidden or swiglu_hidden(config.dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, table, past, window: Tensor | None, start: int):
        y = self.attention_norm(x)
        if self.conv is not None:
            y, window = self.conv(y, window)
        y, past = self.attention(y, table, past, start)
        x = x + self.dropout(y)
        x = x + self.dropout(self.mlp(self.mlp_norm(x)))
        return x, past, window


class Transformer(Decoder):
    def __init__(self, config: TransformerConfig, vocab_size: int):
        super().__init__(config, vocab_size, (Block(config) for _ in range(config.layers)))

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        config, T, start = self.config, tokens.shape[1], cache.length(state)
        buffers, written = ([None] * config.layers, None) if state is None else cache.reserve(state, T)
        windows = [None] * config.layers if state is None else state["windows"]
        table = rotary_table(start, T, config.dim // config.attention_heads, device=tokens.device)

        x = self.dropout(self.embedding(tokens))                                     # (B, T, D)
        after: list[Any] = []
        for block, past, window in zip(self.blocks, buffers, windows, strict=True):
            x, past, window = block(x, table, past, window, start)
            after.append((past, window))
        logits = self.head(self.norm(x))                                             # (B, T, V)
        pasts, windows = zip(*after, strict=True)
        return logits, {**cache.close(list(pasts), written, start + T), "windows": list(windows)}

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations of one call; attention counts the pairs that the causal mask leaves."""
        tokens, pairs = (1, seq_len + 1) if phase == "decode" else (seq_len, seq_len * (seq_len + 1) // 2)
        config = self.config
        norms = 8 * config.dim if config.qk_norm else 0             # square, sum, scale and gain of queries and keys
        local = tokens * (gemm_flops(self) + config.layers * (2 * config.conv * config.dim + norms))
        attention = pairs * 4 * config.layers * config.dim
        return (3 if phase == "train" else 1) * batch * (local + attention)
