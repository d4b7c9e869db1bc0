"""Uniform numbers that belong to a position of the text: what a sampled execution sees does not depend on how the text
was cut, on the batch, or on what was run before.

A counter is hashed (splitmix64), so that any part of the sequence can be had without the rest. All rows of a batch see
the same numbers, and so does every call: a sampled model is a fixed function, as the audit wants it.
"""

from __future__ import annotations

import torch
from torch import Tensor

MASK = (1 << 64) - 1


def uniforms(start: int, length: int, count: int, stream: int, device: torch.device | None = None) -> Tensor:
    """(length, count) numbers in [0, 1) for the positions from `start` on, of the stream of that number."""
    position = torch.arange(start, start + length, device=device)[:, None]
    counter = (position * 65_536 + torch.arange(count, device=device)) * 4_096 + stream
    z = counter * _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shift(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shift(z, 27)) * _signed(0x94D049BB133111EB)
    return _shift(z ^ _shift(z, 31), 40).float() / (1 << 24)


def _signed(constant: int) -> int:
    return constant - (MASK + 1) if constant >> 63 else constant


def _shift(z: Tensor, by: int) -> Tensor:
    """Logical shift to the right."""
    return z >> by & (1 << 64 - by) - 1
