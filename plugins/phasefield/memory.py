"""The two memories: learned associations shared by all texts, and the last tokens of this one."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import attend
from .config import PhaseFieldConfig
from .phase import ComplexLinear, fan_in, multiply, phase_norm
from .slots import read, weights


class PhaseMemory(nn.Module):
    """Associative memory of M learned slots, addressed by phase coherence: h + W norm(softmax(coherence) V).

    `nearest` slots are read by a token, 0 for all; slots.py says how, and cases.py what either costs.
    """

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.nearest = config.nearest
        self.query = ComplexLinear(config.dim, config.dim)
        self.keys = nn.Parameter(torch.randn(config.slots, 2 * config.dim))
        self.values = nn.Parameter(torch.randn(config.slots, 2 * config.dim))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(8.0)))
        self.output = ComplexLinear(config.dim, config.dim, gain=0.5)

    def forward(self, h: Tensor, state: None = None) -> tuple[Tensor, None]:
        query, keys = self.address(h)
        return h + self.output(phase_norm(read(query, keys, self.values, self.nearest))), None

    def address(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, 2d) -> queries (B, T, 2d) and keys (M, 2d), whose products are coherences over the temperature."""
        sharpness = self.log_temperature.exp() / h.shape[-1]
        return phase_norm(self.query(phase_norm(h))) * sharpness, phase_norm(self.keys)

    def weights(self, h: Tensor) -> Tensor:
        """What every slot contributes to a token, (B, T, 2d) -> (B, T, M): to look at."""
        return weights(*self.address(h), self.nearest)


class EpisodicMemory(nn.Module):
    """Attention over the last `window` tokens including the present one, in O(T window) time and memory.

    Queries go in blocks of `window`, each against its own block and the one before. Positions are phases: a key turns
    by exp(i w t) per complex channel (rotary embedding), and as scores depend on distances only, they are counted from
    the carried block, so the state needs no position. State: keys and values of the last `window` tokens, and how many
    of them there are.
    """

    frequencies: Tensor

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        self.heads, self.window = config.heads, config.window
        self.qkv = fan_in(6 * config.dim, 2 * config.dim)
        self.output = fan_in(2 * config.dim, 2 * config.dim, gain=0.5)
        channels = config.dim // config.heads
        self.register_buffer("frequencies", 10_000.0 ** (-torch.arange(channels) / channels), persistent=False)

    def forward(self, h: Tensor, state: tuple[Tensor, Tensor, Tensor] | None = None) -> tuple[Tensor, Any]:
        batch, length, window = h.shape[0], h.shape[1], self.window
        qkv = F.linear(phase_norm(h), self.qkv).view(batch, length, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)                               # (B, H, T, D) each
        if state is None:
            empty = key.new_zeros(batch, self.heads, window, key.shape[-1])
            state = empty, empty, torch.zeros(batch, dtype=torch.int64, device=h.device)
        keys = torch.cat([state[0].to(key.dtype), key], dim=2)                       # (B, H, window + T, D)
        values = torch.cat([state[1].to(value.dtype), value], dim=2)
        position = torch.arange(window + length, device=h.device)
        read = self.read(self.turn(query, position[window:]), self.turn(keys, position), values, state[2])
        carried = (keys[:, :, length:].clone(), values[:, :, length:].clone(), (state[2] + length).clamp_max(window))
        return h + F.linear(read.transpose(1, 2).flatten(2), self.output), carried

    def turn(self, z: Tensor, position: Tensor) -> Tensor:
        """Multiply channel n of (B, H, T, D) planes by exp(i w_n t)."""
        angle = position[:, None] * self.frequencies
        return multiply(z, torch.cat([angle.cos(), angle.sin()], dim=-1).to(z.dtype))

    def read(self, query: Tensor, keys: Tensor, values: Tensor, filled: Tensor) -> Tensor:
        """(B, H, T, D) queries, keys and values of the carried block and theirs -> (B, H, T, D)."""
        window, length, device = self.window, query.shape[2], query.device
        first = min(window, length)
        row = torch.arange(window, device=device)[:, None]
        column = torch.arange(2 * window, device=device)
        band = (column > row) & (column <= row + window)                             # (window, 2 window)
        known = column >= window - filled[:, None]                                   # (B, 2 window)
        mask = (band[:first] & known[:, None])[:, None, :, :window + first]
        head = attend(query[:, :, :first], keys[:, :, :window + first], values[:, :, :window + first], mask)
        if length <= window:
            return head
        blocks = -(-length // window)
        pad = blocks * window - length

        def pairs(x: Tensor) -> Tensor:
            """Blocks of keys beside the ones before: (B, H, blocks - 1, 2 window, D)."""
            x = F.pad(x[:, :, window:], (0, 0, 0, pad)).unflatten(2, (blocks, window))
            return torch.cat([x[:, :, :-1], x[:, :, 1:]], dim=3)

        rest = F.pad(query[:, :, window:], (0, 0, 0, pad)).unflatten(2, (blocks - 1, window))
        tail = attend(
            rest.transpose(1, 2).flatten(0, 1), pairs(keys).transpose(1, 2).flatten(0, 1),
            pairs(values).transpose(1, 2).flatten(0, 1), band)
        tail = tail.unflatten(0, (-1, blocks - 1)).transpose(1, 2).flatten(2, 3)     # (B, H, T - window + pad, D)
        return torch.cat([head, tail[:, :, :length - window]], dim=2)
