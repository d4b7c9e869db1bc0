"""The passes of the chunked scan as Triton kernels: a program owns a chunk of time of CHANNELS channels of one row.

h_t = a_t R h_{t-1} + u_t, R of `rotation` (2, N), or real where PLANES = 1. Steps past the end are identities. Inputs
may be of less precision, everything is computed and carried in float32.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..scan.cuda_gated_kernels import _read, _write
from .carry import write_end
from .tiles import applied, read_number, read_rotation, scanned, write_number


@triton.jit
def _scanned_forward(
    decay, rotation, x, b, k, n, live, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, PLANES: tl.constexpr, CHUNK: tl.constexpr,
):
    t = k * CHUNK + tl.arange(0, CHUNK)[:, None]
    inside = (t < length) & live[None, :]
    row = b * length + t
    c, s = read_rotation(rotation, n, live, width, PLANES)
    a = _read(decay + row * width + n[None, :], inside)
    ur, ui = read_number(x + PLANES * row * width + n[None, :], width, inside, PLANES)
    if NORMALISE:
        scale = tl.sqrt(tl.maximum((1 - a) * (1 + a), SMALLEST))
        ur *= scale
        ui *= scale
    return scanned(tl.where(inside, a * c, 1.0), a * s, ur, ui, PLANES, False)


@triton.jit
def _scanned_backward(
    decay, rotation, grad, b, k, n, live, length, width, PLANES: tl.constexpr, CHUNK: tl.constexpr,
):
    """Over time reversed: the weight of a step is that of the step after it, conjugated."""
    t = k * CHUNK + tl.arange(0, CHUNK)[:, None]
    inside, following = (t < length) & live[None, :], (t < length - 1) & live[None, :]
    row = b * length + t
    c, s = read_rotation(rotation, n, live, width, PLANES)
    a = _read(decay + (row + 1) * width + n[None, :], following)
    gr, gi = read_number(grad + PLANES * row * width + n[None, :], width, inside, PLANES)
    return scanned(tl.where(following, a * c, 1.0), -a * s, gr, gi, PLANES, True)


@triton.jit
def ends_forward(
    decay, rotation, x, ends, length, width, NORMALISE: tl.constexpr, SMALLEST: tl.constexpr,
    PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, ur, ui = _scanned_forward(
        decay, rotation, x, b, k, n, live, length, width, NORMALISE, SMALLEST, PLANES, CHUNK)
    write_end(ends, wr, wi, ur, ui, b, k, n, live, width, PLANES, CHUNK - 1, CHUNK)


@triton.jit
def ends_backward(
    decay, rotation, grad, ends, length, width,
    PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, ur, ui = _scanned_backward(decay, rotation, grad, b, k, n, live, length, width, PLANES, CHUNK)
    write_end(ends, wr, wi, ur, ui, b, k, n, live, width, PLANES, 0, CHUNK)


@triton.jit
def states_forward(
    decay, rotation, x, starts, h, length, width, NORMALISE: tl.constexpr, SMALLEST: tl.constexpr,
    PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, ur, ui = _scanned_forward(
        decay, rotation, x, b, k, n, live, length, width, NORMALISE, SMALLEST, PLANES, CHUNK)
    start = starts + (b * tl.num_programs(0) + k) * PLANES * width + n
    sr, si = read_number(start, width, live, PLANES)
    hr, hi = applied(wr, wi, ur, ui, sr[None, :], si[None, :])
    t = k * CHUNK + tl.arange(0, CHUNK)[:, None]
    at = h + PLANES * (b * length + t) * width + n[None, :]
    write_number(at, width, hr, hi, (t < length) & live[None, :], PLANES)


@triton.jit
def gradients(
    decay, rotation, x, initial, h, grad, starts, d_decay, dx, d_initial, d_rotation, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, dr, di = _scanned_backward(decay, rotation, grad, b, k, n, live, length, width, PLANES, CHUNK)
    chunk = b * tl.num_programs(0) + k
    er, ei = read_number(starts + chunk * PLANES * width + n, width, live, PLANES)
    dr, di = applied(wr, wi, dr, di, er[None, :], ei[None, :])
    t = k * CHUNK + tl.arange(0, CHUNK)[:, None]
    inside, early = (t < length) & live[None, :], (t == 0) & live[None, :]
    row = b * length + t
    at, real = row * width + n[None, :], PLANES * row * width + n[None, :]
    first = PLANES * b * width + n[None, :] + 0 * t
    ir, ii = read_number(initial + first, width, early, PLANES)
    pr, pi = read_number(h + real - PLANES * width, width, inside & (t > 0), PLANES)
    pr, pi = tl.where(early, ir, pr), tl.where(early, ii, pi)
    c, s = read_rotation(rotation, n, live, width, PLANES)
    a = _read(decay + at, inside)
    # The state before the first step is `initial`, whose gradient is that step's, turned back.
    write_number(d_initial + first, width, a * (c * dr + s * di), a * (c * di - s * dr), early, PLANES)
    along, across = dr * pr + di * pi, di * pr - dr * pi
    if PLANES == 2:
        turned = tl.sum(tl.where(inside, a * along, 0.0), axis=0), tl.sum(tl.where(inside, a * across, 0.0), axis=0)
        write_number(d_rotation + chunk * 2 * width + n, width, turned[0], turned[1], live, PLANES)
    da = c * along + s * across
    if NORMALISE:
        square = (1 - a) * (1 + a)
        scale = tl.sqrt(tl.maximum(square, SMALLEST))
        xr, xi = read_number(x + real, width, inside, PLANES)
        da -= tl.where(square > SMALLEST, a / scale, 0.0) * (dr * xr + di * xi)
        dr *= scale
        di *= scale
    _write(d_decay + at, da, inside)
    write_number(dx + real, width, dr, di, inside, PLANES)
