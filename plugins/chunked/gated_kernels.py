"""The passes of the chunked gated scan as Triton kernels: from a projection's result to the next one's input.

With b = sigmoid(gate + bias), a = delta (1 - b): h = a R h + sqrt(1 - a²) x, y = silu(out) h, as in
`scan.cuda_gated_kernels`. A row of packed is [gate | out | x], x of one plane or two; a row of `channels` (2P, N) is
bias, delta and, of a complex recurrence, cos and sin. Nothing but y and the state that enters every chunk is kept:
backward makes the gates and the states between them again, where they are used.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ..scan.cuda_gated_kernels import _decay_and_scale, _read, _write
from .carry import write_end
from .tiles import applied, read_number, read_rotation, scanned, write_number


@triton.jit
def _opened(packed, channels, row, inside, n, live, width, SMALLEST: tl.constexpr, PLANES: tl.constexpr):
    """sigmoid(gate + bias), delta, the decay and the scale of inputs of the steps `row`."""
    bias, delta = _read(channels + n, live)[None, :], _read(channels + width + n, live)[None, :]
    b = tl.sigmoid(_read(packed + (2 + PLANES) * row * width + n[None, :], inside) + bias)
    a, scale = _decay_and_scale(b, delta, SMALLEST)
    return b, delta, a, scale


@triton.jit
def _scanned_forward(
    packed, channels, row, inside, n, live, width, SMALLEST: tl.constexpr, PLANES: tl.constexpr,
):
    _, _, a, scale = _opened(packed, channels, row, inside, n, live, width, SMALLEST, PLANES)
    c, s = read_rotation(channels + 2 * width, n, live, width, PLANES)
    xr, xi = read_number(packed + ((2 + PLANES) * row + 2) * width + n[None, :], width, inside, PLANES)
    return scanned(
        tl.where(inside, a * c, 1.0), tl.where(inside, a * s, 0.0), scale * xr, scale * xi, PLANES, False)


@triton.jit
def _scanned_backward(
    packed, channels, dy, b, t, n, live, length, width, SMALLEST: tl.constexpr, PLANES: tl.constexpr,
):
    """Over time reversed: the weight of a step is that of the step after it, conjugated."""
    inside, following = (t < length) & live[None, :], (t < length - 1) & live[None, :]
    row = b * length + t
    _, _, a, _ = _opened(packed, channels, row + 1, following, n, live, width, SMALLEST, PLANES)
    c, s = read_rotation(channels + 2 * width, n, live, width, PLANES)
    out = _read(packed + ((2 + PLANES) * row + 1) * width + n[None, :], inside)
    silu = out * tl.sigmoid(out)
    yr, yi = read_number(dy + PLANES * row * width + n[None, :], width, inside, PLANES)
    return scanned(
        tl.where(following, a * c, 1.0), tl.where(following, -a * s, 0.0), silu * yr, silu * yi, PLANES, True)


@triton.jit
def ends_forward(
    packed, channels, ends, length, width,
    SMALLEST: tl.constexpr, PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live, t = n < width, k * CHUNK + tl.arange(0, CHUNK)[:, None]
    wr, wi, ur, ui = _scanned_forward(
        packed, channels, b * length + t, (t < length) & live[None, :], n, live, width, SMALLEST, PLANES)
    write_end(ends, wr, wi, ur, ui, b, k, n, live, width, PLANES, CHUNK - 1, CHUNK)


@triton.jit
def ends_backward(
    packed, channels, dy, ends, length, width,
    SMALLEST: tl.constexpr, PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live, t = n < width, k * CHUNK + tl.arange(0, CHUNK)[:, None]
    wr, wi, ur, ui = _scanned_backward(packed, channels, dy, b, t, n, live, length, width, SMALLEST, PLANES)
    write_end(ends, wr, wi, ur, ui, b, k, n, live, width, PLANES, 0, CHUNK)


@triton.jit
def outputs(
    packed, channels, starts, y, length, width,
    SMALLEST: tl.constexpr, PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live, t = n < width, k * CHUNK + tl.arange(0, CHUNK)[:, None]
    row, inside = b * length + t, (t < length) & live[None, :]
    wr, wi, ur, ui = _scanned_forward(packed, channels, row, inside, n, live, width, SMALLEST, PLANES)
    start = starts + (b * tl.num_programs(0) + k) * PLANES * width + n
    sr, si = read_number(start, width, live, PLANES)
    hr, hi = applied(wr, wi, ur, ui, sr[None, :], si[None, :])
    out = _read(packed + ((2 + PLANES) * row + 1) * width + n[None, :], inside)
    silu = out * tl.sigmoid(out)
    write_number(y + PLANES * row * width + n[None, :], width, silu * hr, silu * hi, inside, PLANES)


@triton.jit
def gradients(
    packed, channels, starts, dy, carried, d_packed, d_initial, d_channels, length, width,
    SMALLEST: tl.constexpr, PLANES: tl.constexpr, CHUNK: tl.constexpr, CHANNELS: tl.constexpr,
):
    k, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    live, step = n < width, tl.arange(0, CHUNK)[:, None]
    t, chunk = k * CHUNK + step, b * tl.num_programs(0) + k
    row, inside = b * length + t, (t < length) & live[None, :]
    state = chunk * PLANES * width + n
    # The state before each step: the first of a chunk begins with the one that enters it.
    wr, wi, ur, ui = _scanned_forward(
        packed, channels, row - 1, inside & (step > 0), n, live, width, SMALLEST, PLANES)
    sr, si = read_number(starts + state, width, live, PLANES)
    pr, pi = applied(wr, wi, ur, ui, sr[None, :], si[None, :])
    wr, wi, ur, ui = _scanned_backward(packed, channels, dy, b, t, n, live, length, width, SMALLEST, PLANES)
    er, ei = read_number(carried + state, width, live, PLANES)
    dr, di = applied(wr, wi, ur, ui, er[None, :], ei[None, :])

    opened, delta, a, scale = _opened(packed, channels, row, inside, n, live, width, SMALLEST, PLANES)
    c, s = read_rotation(channels + 2 * width, n, live, width, PLANES)
    given = (2 + PLANES) * row * width + n[None, :]
    out = _read(packed + given + width, inside)
    xr, xi = read_number(packed + given + 2 * width, width, inside, PLANES)
    yr, yi = read_number(dy + PLANES * row * width + n[None, :], width, inside, PLANES)
    along, across = dr * pr + di * pi, di * pr - dr * pi
    da = c * along + s * across - (dr * xr + di * xi) * a / scale
    slope = -da * delta * opened * (1 - opened)
    hr, hi = a * (c * pr - s * pi) + scale * xr, a * (s * pr + c * pi) + scale * xi
    sigma = tl.sigmoid(out)
    _write(d_packed + given, slope, inside)
    _write(d_packed + given + width, (yr * hr + yi * hi) * sigma * (1 + out * (1 - sigma)), inside)
    write_number(d_packed + given + 2 * width, width, scale * dr, scale * di, inside, PLANES)
    # The state before the first step is `initial`, whose gradient is that step's, turned back.
    first = d_initial + PLANES * b * width + n[None, :] + 0 * t
    write_number(first, width, a * (c * dr + s * di), a * (c * di - s * dr), (t == 0) & live[None, :], PLANES)
    sums = d_channels + chunk * 2 * PLANES * width + n
    tl.store(sums, tl.sum(tl.where(inside, slope, 0.0), axis=0), live)
    tl.store(sums + width, tl.sum(tl.where(inside, da * (1 - opened), 0.0), axis=0), live)
    if PLANES == 2:
        tl.store(sums + 2 * width, tl.sum(tl.where(inside, a * along, 0.0), axis=0), live)
        tl.store(sums + 3 * width, tl.sum(tl.where(inside, a * across, 0.0), axis=0), live)
