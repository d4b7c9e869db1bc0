"""The phase-rotator transformer (qllm2 v2 of August 2025): a pre-norm transformer on rotated embeddings.

    byte + position embedding -> rotator -> learned prefix -> [attention, MLP] x layers -> head

Notable:
- the rotator turns pairs of channels; published, it is a gain per channel. Either way it is a fixed linear map of the
  embedding, so it adds nothing to what an untied table can hold;
- the global memory tokens stand before the text and see no token of it: they are a learned prefix of constant keys and
  values, which stands in the state of every row beside those of the text, and is counted there;
- text position t reads row t mod `positions` of the table: a text may be longer than the table, the model then tells
  positions apart only modulo its size. The published model takes no more than `positions` tokens;
- published besides: embeddings and weights as PyTorch draws them, and table rows that no position reads.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import LanguageModel, Unsupported

from .. import cache
from ..blocks import attend, gemm_flops, rotary_table
from .config import PhaseRotatorConfig
from .layers import LoRALinear, PhaseGain, PhaseRotator


class Attention(nn.Module):
    def __init__(self, config: PhaseRotatorConfig):
        super().__init__()
        self.heads, self.dropout = config.attention_heads, config.dropout
        self.query, self.key, self.value, self.out = (
            LoRALinear(config.dim, config.dim, config.lora_rank, config.lora_alpha) for _ in range(4))

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None,
                start: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (B, T, D) behind `start` tokens and the buffers of its layer, or None at the start of a text."""
        B, T, D = x.shape
        q, k, v = (
            project(x).view(B, T, self.heads, D // self.heads).transpose(1, 2)       # (B, H, T, Dh)
            for project in (self.query, self.key, self.value)
        )
        if past is None:
            past = (k, v) if torch.is_grad_enabled() else (k.contiguous(), v.contiguous())
        else:
            for buffer, new in zip(past, (k, v), strict=True):
                buffer[:, :, start:start + T] = new
            k, v = (buffer[:, :, :start + T] for buffer in past)
        mask = None if start == 0 or T == 1 else torch.ones(T, start + T, dtype=torch.bool, device=x.device).tril(start)
        y = attend(q, k, v, mask, self.dropout if self.training else 0.0, is_causal=start == 0)
        return self.out(y.transpose(1, 2).reshape(B, T, D)), past


class Block(nn.Module):
    def __init__(self, config: PhaseRotatorConfig):
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.dim)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.dim)
        self.up = nn.Linear(config.dim, config.mlp_hidden)
        self.down = nn.Linear(config.mlp_hidden, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None, start: int):
        y, past = self.attention(self.attention_norm(x), past, start)
        x = x + y
        x = x + self.dropout(self.down(F.gelu(self.up(self.mlp_norm(x)))))
        return x, past


class PhaseRotatorTransformer(LanguageModel):
    config: PhaseRotatorConfig

    def __init__(self, config: PhaseRotatorConfig, vocab_size: int):
        super().__init__(config, vocab_size)
        dim, unread = config.dim, config.global_tokens if config.as_published else 0
        self.embedding = nn.Embedding(vocab_size, dim)
        self.positions = nn.Embedding(config.positions + unread, dim)
        self.rotator = PhaseGain(dim) if config.as_published else PhaseRotator(dim // 2)
        if config.global_tokens:
            self.memory = nn.Parameter(0.02 * torch.randn(config.global_tokens, dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocab_size, bias=False)
        if config.tied and not config.as_published:
            self.head.weight = self.embedding.weight
        if not config.as_published:
            self.initialise()

    def initialise(self) -> None:
        """Fan-in scale, residual branches less by sqrt(2 layers), no biases; tables small enough for a tied head.

        Positions start as the sinusoids of Vaswani et al. (2017), where a shift is a rotation: a random table costs 0.4
        bits per byte after 1.2 MB at 300k parameters. LoRA starts with U at 0, as its authors have it, not V.
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                gain = (2 * self.config.layers) ** -0.5 if name.endswith(("attention.out", "down")) else 1.0
                nn.init.normal_(module.weight, std=gain * module.in_features**-0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            if isinstance(module, LoRALinear) and module.rank:
                nn.init.normal_(module.down, std=module.in_features**-0.5)
                nn.init.zeros_(module.up)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            cos, sin = rotary_table(0, self.config.positions, self.config.dim)
            self.positions.weight.copy_(0.1 * 2**0.5 * torch.cat([cos, sin], dim=-1))

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        (B, T), start, prefix = tokens.shape, cache.length(state), self.config.global_tokens
        x = self.embedding(tokens) + self.positions(self.rows(max(0, start - prefix), T, tokens.device))
        x = self.rotator(x)                                                          # (B, T, D)
        if prefix and state is None:
            x = torch.cat([self.memory.to(x.dtype).expand(B, -1, -1), x], dim=1)     # (B, prefix + T, D)
        buffers, written = ([None] * len(self.blocks), None) if state is None else cache.reserve(state, T)
        pasts = []
        for block, past in zip(self.blocks, buffers, strict=True):
            x, past = block(x, past, start)
            pasts.append(past)
        logits = self.head(self.norm(x[:, -T:]))                                     # (B, T, V)
        return logits, cache.close(pasts, written, start + x.shape[1])

    def rows(self, seen: int, length: int, device: torch.device) -> Tensor:
        """Rows of the position table for `length` tokens behind `seen`. Raises Unsupported beyond a published table."""
        limit = self.config.positions
        if self.config.as_published and seen + length > limit:
            raise Unsupported(f"as published the position table ends at {limit} tokens; set positions={seen + length}")
        return torch.arange(seen, seen + length, device=device) % limit

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """The published coherence loss, a function of the parameters alone."""
        if not self.config.coherence:
            return {}
        return {"coherence": self.config.coherence * self.rotator.coherence_loss()}

    def diagnostics(self) -> dict[str, float]:
        """Root mean square of the rotator's angles, in radians."""
        return {"rotation_rms": math.sqrt(self.rotator.angles.detach().square().mean().item())}

    def flops(self, batch: int, seq_len: int, phase: str) -> int:
        """Floating-point operations of one call; the prefix passes the blocks with the prompt, not the head."""
        total = self.config.global_tokens + seq_len
        tokens, pairs, read = (1, total + 1, 1) if phase == "decode" else (total, total * (total + 1) // 2, seq_len)
        head = 2 * self.head.weight.numel()
        lora = sum(module.flops for module in self.modules() if isinstance(module, LoRALinear))
        local = tokens * (gemm_flops(self) - head + lora) + read * head
        return (3 if phase == "train" else 1) * batch * (local + pairs * 4 * self.config.layers * self.config.dim)
