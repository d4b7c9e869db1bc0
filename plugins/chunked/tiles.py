"""What the kernels of the chunked scans share: numbers of one plane or two, and a scan along the time of a tile.

A number is a pair of tiles (re, im). Of a real recurrence, PLANES = 1, the second is constant zeros that are neither
read nor written, and what is computed of them folds away. A weight w and an input u compose as in `scan.cuda_kernels`.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..scan.cuda_gated_kernels import _read, _write
from ..scan.cuda_kernels import compose_complex, compose_real


@triton.jit
def read_number(pointers, width, mask, PLANES: tl.constexpr):
    real = _read(pointers, mask)
    return real, _read(pointers + width, mask) if PLANES == 2 else tl.zeros_like(real)


@triton.jit
def write_number(pointers, width, real, imaginary, mask, PLANES: tl.constexpr):
    _write(pointers, real, mask)
    if PLANES == 2:
        _write(pointers + width, imaginary, mask)


@triton.jit
def read_rotation(rotation, n, live, width, PLANES: tl.constexpr):
    """cos and sin (2, N) of CHANNELS channels as rows of a tile; 1 and 0 of a real recurrence."""
    if PLANES == 2:
        c, s = read_number(rotation + n, width, live, PLANES)
    else:
        c, s = tl.full(n.shape, 1.0, tl.float32), tl.full(n.shape, 0.0, tl.float32)
    return c[None, :], s[None, :]


@triton.jit
def scanned(wr, wi, ur, ui, PLANES: tl.constexpr, REVERSED: tl.constexpr):
    """What the steps of a tile up to each, or from each on, make of a state: its weight, and what is added."""
    if PLANES == 2:
        wr, wi, ur, ui = tl.associative_scan((wr, wi, ur, ui), 0, compose_complex, reverse=REVERSED)
    else:
        wr, ur = tl.associative_scan((wr, ur), 0, compose_real, reverse=REVERSED)
    return wr, wi, ur, ui


@triton.jit
def applied(wr, wi, ur, ui, hr, hi):
    """w h + u."""
    return wr * hr - wi * hi + ur, wr * hi + wi * hr + ui


@triton.jit
def row_of(tile, row: tl.constexpr, ROWS: tl.constexpr):
    return tl.sum(tl.where(tl.arange(0, ROWS)[:, None] == row, tile, 0.0), axis=0)
