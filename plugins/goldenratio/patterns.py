"""Matrices that nobody learned: waves whose frequencies are the multiples of the golden ratio.

Row n is cos(2 pi n (phi m + c)) over the columns m, c one of phi, pi, e. The multiples of phi are spread more evenly
modulo 1 than those of any other number (Hurwitz 1891), so that the rows are nearly orthogonal; as frequencies, pi and e
would not do: pi is so close to 355/113 that row 113 - n would equal row n. They shift the waves instead. A pattern
takes no storage: it is a formula. Seed 000 names golden patterns of phi, pi and e and gives none; this is our reading.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PHI, PI, E = (1 + math.sqrt(5)) / 2, math.pi, math.e


def pattern(rows: int, columns: int, constant: float, offset: int = 0) -> Tensor:
    """(rows, columns) float32 waves of mean square 1 / columns; `offset` is the first column, to tell layers apart."""
    n = torch.arange(1, rows + 1, dtype=torch.float64)[:, None]
    m = torch.arange(offset + 1, offset + columns + 1, dtype=torch.float64)
    return (math.sqrt(2 / columns) * (2 * math.pi * (n * (PHI * m + constant) % 1)).cos()).float()


def frequencies(channels: int) -> Tensor:
    """(channels,) radians a token: half a turn, and each next one slower by phi."""
    return math.pi * PHI ** -torch.arange(channels, dtype=torch.float32)


def random_frequencies(channels: int) -> Tensor:
    """The control: (channels,) drawn log-uniformly from the same range."""
    return math.pi * PHI ** -(torch.rand(channels) * (channels - 1))
