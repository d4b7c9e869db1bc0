"""The recurrences on a GPU, chunks of time side by side: the operators of the package `chunked`.

They fill a GPU that the walk of `cuda`, a program for each block of channels, leaves idle.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..chunked.gated_operator import gated_scan
from ..chunked.operator import diagonal_scan


def real_scan(decay: Tensor, x: Tensor, initial: Tensor, normalise: bool) -> Tensor:
    return diagonal_scan(decay, decay.new_empty(0, decay.shape[2]), x, initial, normalise)


def complex_scan(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor, normalise: bool,
) -> Tensor:
    return diagonal_scan(decay, torch.stack([cos, sin]), x, initial, normalise)


def gated_real_scan(packed: Tensor, bias: Tensor, delta: Tensor, initial: Tensor) -> tuple[Tensor, Tensor]:
    return _gated(packed, initial, bias, delta)


def gated_complex_scan(
    packed: Tensor, bias: Tensor, delta: Tensor, cos: Tensor, sin: Tensor, initial: Tensor,
) -> tuple[Tensor, Tensor]:
    return _gated(packed, initial, bias, delta, cos, sin)


def _gated(packed: Tensor, initial: Tensor, *per_channel: Tensor) -> tuple[Tensor, Tensor]:
    y, last, _ = gated_scan(packed, torch.stack(per_channel), initial)
    return y, last
