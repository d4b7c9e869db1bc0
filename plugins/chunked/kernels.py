"""The passes of the chunked scan as Triton kernels: a program owns a chunk of time of CHANNELS channels of one row.

Within a chunk a weight w = a (cos + i sin) and an input u compose as in `scan.cuda_kernels`; steps past the end are
identities. Inputs may be of less precision, everything is computed and carried in float32.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..scan.cuda_gated_kernels import _read, _write
from ..scan.cuda_kernels import compose_complex, last_row


@triton.jit
def _scanned_forward(
    decay, cos, sin, x, b, k, n, live, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, CHUNK: tl.constexpr,
):
    """What the steps of a chunk up to each make of the state that enters it: its weight, and what is added."""
    t = k * CHUNK + tl.arange(0, CHUNK)
    inside = (t[:, None] < length) & live[None, :]
    row = b * length + t[:, None]
    c, s = _read(cos + n, live)[None, :], _read(sin + n, live)[None, :]
    a = _read(decay + row * width + n[None, :], inside)
    ur = _read(x + 2 * row * width + n[None, :], inside)
    ui = _read(x + (2 * row + 1) * width + n[None, :], inside)
    if NORMALISE:
        scale = tl.sqrt(tl.maximum((1 - a) * (1 + a), SMALLEST))
        ur *= scale
        ui *= scale
    return tl.associative_scan((tl.where(inside, a * c, 1.0), a * s, ur, ui), 0, compose_complex)


@triton.jit
def _scanned_backward(decay, cos, sin, grad, b, k, n, live, length, width, CHUNK: tl.constexpr):
    """The same over time reversed: the first row is the last step of the chunk, its weight that of the step after."""
    t = k * CHUNK + CHUNK - 1 - tl.arange(0, CHUNK)
    inside = (t[:, None] < length) & live[None, :]
    following = (t[:, None] < length - 1) & live[None, :]
    row = b * length + t[:, None]
    c, s = _read(cos + n, live)[None, :], _read(sin + n, live)[None, :]
    a = _read(decay + (row + 1) * width + n[None, :], following)
    gr = _read(grad + 2 * row * width + n[None, :], inside)
    gi = _read(grad + (2 * row + 1) * width + n[None, :], inside)
    return tl.associative_scan((tl.where(following, a * c, 1.0), -a * s, gr, gi), 0, compose_complex)


@triton.jit
def _write_ends(ends, wr, wi, ur, ui, b, k, n, live, width, CHUNK: tl.constexpr):
    at = ends + (b * tl.num_programs(1) + k) * 4 * width + n
    tl.store(at, last_row(wr, CHUNK), live)
    tl.store(at + width, last_row(wi, CHUNK), live)
    tl.store(at + 2 * width, last_row(ur, CHUNK), live)
    tl.store(at + 3 * width, last_row(ui, CHUNK), live)


@triton.jit
def ends_forward(
    decay, cos, sin, x, ends, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, k = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, ur, ui = _scanned_forward(
        decay, cos, sin, x, b, k, n, live, length, width, NORMALISE, SMALLEST, CHUNK)
    _write_ends(ends, wr, wi, ur, ui, b, k, n, live, width, CHUNK)


@triton.jit
def ends_backward(
    decay, cos, sin, grad, ends, length, width, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, k = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, ur, ui = _scanned_backward(decay, cos, sin, grad, b, k, n, live, length, width, CHUNK)
    _write_ends(ends, wr, wi, ur, ui, b, k, n, live, width, CHUNK)


@triton.jit
def carry(ends, first, starts, chunks, width, BACKWARD: tl.constexpr, CHANNELS: tl.constexpr):
    """From chunk to chunk: the state that enters each."""
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    hr, hi = _read(first + 2 * b * width + n, live), _read(first + (2 * b + 1) * width + n, live)
    for step in range(0, chunks):
        k = b * chunks + (chunks - 1 - step if BACKWARD else step)
        start, end = starts + 2 * k * width + n, ends + 4 * k * width + n
        tl.store(start, hr, live)
        tl.store(start + width, hi, live)
        wr, wi = _read(end, live), _read(end + width, live)
        ur, ui = _read(end + 2 * width, live), _read(end + 3 * width, live)
        hr, hi = wr * hr - wi * hi + ur, wr * hi + wi * hr + ui


@triton.jit
def states_forward(
    decay, cos, sin, x, starts, h, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, k = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, ur, ui = _scanned_forward(
        decay, cos, sin, x, b, k, n, live, length, width, NORMALISE, SMALLEST, CHUNK)
    start = starts + (b * tl.num_programs(1) + k) * 2 * width + n
    hr, hi = _read(start, live)[None, :], _read(start + width, live)[None, :]
    t = k * CHUNK + tl.arange(0, CHUNK)
    inside = (t[:, None] < length) & live[None, :]
    at = h + 2 * (b * length + t[:, None]) * width + n[None, :]
    tl.store(at, wr * hr - wi * hi + ur, inside)
    tl.store(at + width, wr * hi + wi * hr + ui, inside)


@triton.jit
def gradients(
    decay, cos, sin, x, initial, h, grad, starts, d_decay, dx, d_initial, d_cos, d_sin, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, k = tl.program_id(0).to(tl.int64), tl.program_id(1)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    wr, wi, dr, di = _scanned_backward(decay, cos, sin, grad, b, k, n, live, length, width, CHUNK)
    chunk = b * tl.num_programs(1) + k
    start = starts + chunk * 2 * width + n
    er, ei = _read(start, live)[None, :], _read(start + width, live)[None, :]
    dr, di = wr * er - wi * ei + dr, wr * ei + wi * er + di
    t = k * CHUNK + CHUNK - 1 - tl.arange(0, CHUNK)
    inside, early = (t[:, None] < length) & live[None, :], (t[:, None] == 0) & live[None, :]
    row = b * length + t[:, None]
    at, real = row * width + n[None, :], 2 * row * width + n[None, :]
    before = inside & (t[:, None] > 0)
    first = 2 * b * width + n[None, :]
    pr = tl.where(early, _read(initial + first, early), _read(h + real - 2 * width, before))
    pi = tl.where(early, _read(initial + first + width, early), _read(h + real - width, before))
    c, s = _read(cos + n, live)[None, :], _read(sin + n, live)[None, :]
    a = _read(decay + at, inside)
    # The state before the first step is `initial`, whose gradient is that step's, turned back.
    tl.store(d_initial + first + 0 * at, a * (c * dr + s * di), early)
    tl.store(d_initial + first + width + 0 * at, a * (c * di - s * dr), early)
    along, across = dr * pr + di * pi, di * pr - dr * pi
    tl.store(d_cos + chunk * width + n, tl.sum(tl.where(inside, a * along, 0.0), axis=0), live)
    tl.store(d_sin + chunk * width + n, tl.sum(tl.where(inside, a * across, 0.0), axis=0), live)
    da = c * along + s * across
    if NORMALISE:
        square = (1 - a) * (1 + a)
        scale = tl.sqrt(tl.maximum(square, SMALLEST))
        into = dr * _read(x + real, inside) + di * _read(x + real + width, inside)
        da -= tl.where(square > SMALLEST, a / scale, 0.0) * into
        dr *= scale
        di *= scale
    _write(d_decay + at, da, inside)
    _write(dx + real, dr, inside)
    _write(dx + real + width, di, inside)
