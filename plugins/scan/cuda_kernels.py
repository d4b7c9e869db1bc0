"""The recurrences as Triton kernels: parallel over batch and channels, tiles of time one after the other.

A program owns CHANNELS channels of one batch row. Within a tile of time it runs an associative scan, so the loads of a
whole tile are in flight at once; from tile to tile it carries the state in registers. Each array is read or written
once, and steps past the end are identities. The adjoint is the same scan over time reversed.

A weight w = a (cos + i sin) and an input u compose as (w2 w1, w2 u1 + u2).
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def compose_real(w1, u1, w2, u2):
    return w2 * w1, w2 * u1 + u2


@triton.jit
def compose_complex(wr1, wi1, ur1, ui1, wr2, wi2, ur2, ui2):
    return (
        wr2 * wr1 - wi2 * wi1, wr2 * wi1 + wi2 * wr1,
        wr2 * ur1 - wi2 * ui1 + ur2, wr2 * ui1 + wi2 * ur1 + ui2,
    )


@triton.jit
def last_row(tile, TILE: tl.constexpr):
    return tl.sum(tl.where(tl.arange(0, TILE)[:, None] == TILE - 1, tile, 0.0), axis=0)


@triton.jit
def real_forward(
    decay, x, initial, h, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    state = tl.load(initial + b * width + n, live, 0.0)
    for start in range(0, length, TILE):
        t = start + tl.arange(0, TILE)
        inside = (t[:, None] < length) & live[None, :]
        at = (b * length + t[:, None]) * width + n[None, :]
        a = tl.load(decay + at, inside, 1.0)
        u = tl.load(x + at, inside, 0.0)
        if NORMALISE:
            u *= tl.sqrt(tl.maximum((1 - a) * (1 + a), SMALLEST))
        weight, scanned = tl.associative_scan((a, u), 0, compose_real)
        states = weight * state[None, :] + scanned
        tl.store(h + at, states, inside)
        state = last_row(states, TILE)


@triton.jit
def real_backward(
    decay, x, initial, h, grad, d_decay, dx, d_initial, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    start_state = tl.load(initial + b * width + n, live, 0.0)
    carried = tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, length, TILE):
        t = length - 1 - start - tl.arange(0, TILE)
        inside = (t[:, None] >= 0) & live[None, :]
        at = (b * length + t[:, None]) * width + n[None, :]
        following = inside & (t[:, None] < length - 1)
        weight = tl.load(decay + at + width, following, 1.0)
        weight, scanned = tl.associative_scan((weight, tl.load(grad + at, inside, 0.0)), 0, compose_real)
        d = weight * carried[None, :] + scanned
        carried = last_row(d, TILE)
        a = tl.load(decay + at, inside, 0.0)
        previous = tl.load(h + at - width, inside & (t[:, None] > 0), 0.0)
        previous = tl.where(t[:, None] == 0, start_state[None, :], previous)
        da = d * previous
        if NORMALISE:
            square = (1 - a) * (1 + a)
            scale = tl.sqrt(tl.maximum(square, SMALLEST))
            da -= tl.where(square > SMALLEST, a / scale, 0.0) * d * tl.load(x + at, inside, 0.0)
            d *= scale
        tl.store(d_decay + at, da, inside)
        tl.store(dx + at, d, inside)
    first = tl.load(decay + b * length * width + n, live, 0.0)
    tl.store(d_initial + b * width + n, first * carried, live)


@triton.jit
def complex_forward(
    decay, cos, sin, x, initial, h, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    c, s = tl.load(cos + n, live, 0.0), tl.load(sin + n, live, 0.0)
    hr = tl.load(initial + 2 * b * width + n, live, 0.0)
    hi = tl.load(initial + (2 * b + 1) * width + n, live, 0.0)
    for start in range(0, length, TILE):
        t = start + tl.arange(0, TILE)
        inside = (t[:, None] < length) & live[None, :]
        row = b * length + t[:, None]
        real, imaginary = 2 * row * width + n[None, :], (2 * row + 1) * width + n[None, :]
        a = tl.load(decay + row * width + n[None, :], inside, 0.0)
        ur, ui = tl.load(x + real, inside, 0.0), tl.load(x + imaginary, inside, 0.0)
        if NORMALISE:
            scale = tl.sqrt(tl.maximum((1 - a) * (1 + a), SMALLEST))
            ur *= scale
            ui *= scale
        wr, wi = tl.where(inside, a * c[None, :], 1.0), a * s[None, :]
        wr, wi, ur, ui = tl.associative_scan((wr, wi, ur, ui), 0, compose_complex)
        states_r = wr * hr[None, :] - wi * hi[None, :] + ur
        states_i = wr * hi[None, :] + wi * hr[None, :] + ui
        tl.store(h + real, states_r, inside)
        tl.store(h + imaginary, states_i, inside)
        hr, hi = last_row(states_r, TILE), last_row(states_i, TILE)


@triton.jit
def complex_backward(
    decay, cos, sin, x, initial, h, grad, d_decay, dx, d_initial, d_cos, d_sin, length, width,
    NORMALISE: tl.constexpr, SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    c, s = tl.load(cos + n, live, 0.0), tl.load(sin + n, live, 0.0)
    start_r = tl.load(initial + 2 * b * width + n, live, 0.0)
    start_i = tl.load(initial + (2 * b + 1) * width + n, live, 0.0)
    er, ei = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    sum_c, sum_s = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, length, TILE):
        t = length - 1 - start - tl.arange(0, TILE)
        inside = (t[:, None] >= 0) & live[None, :]
        row = b * length + t[:, None]
        at = row * width + n[None, :]
        real, imaginary = 2 * row * width + n[None, :], (2 * row + 1) * width + n[None, :]
        following = inside & (t[:, None] < length - 1)
        weight = tl.load(decay + at + width, following, 0.0)
        wr, wi = tl.where(following, weight * c[None, :], 1.0), -weight * s[None, :]
        gr, gi = tl.load(grad + real, inside, 0.0), tl.load(grad + imaginary, inside, 0.0)
        wr, wi, gr, gi = tl.associative_scan((wr, wi, gr, gi), 0, compose_complex)
        dr = wr * er[None, :] - wi * ei[None, :] + gr
        di = wr * ei[None, :] + wi * er[None, :] + gi
        er, ei = last_row(dr, TILE), last_row(di, TILE)
        a = tl.load(decay + at, inside, 0.0)
        before = inside & (t[:, None] > 0)
        pr = tl.where(t[:, None] == 0, start_r[None, :], tl.load(h + real - 2 * width, before, 0.0))
        pi = tl.where(t[:, None] == 0, start_i[None, :], tl.load(h + imaginary - 2 * width, before, 0.0))
        along, across = dr * pr + di * pi, di * pr - dr * pi
        sum_c += tl.sum(a * along, axis=0)
        sum_s += tl.sum(a * across, axis=0)
        da = c[None, :] * along + s[None, :] * across
        if NORMALISE:
            square = (1 - a) * (1 + a)
            scale = tl.sqrt(tl.maximum(square, SMALLEST))
            into = dr * tl.load(x + real, inside, 0.0) + di * tl.load(x + imaginary, inside, 0.0)
            da -= tl.where(square > SMALLEST, a / scale, 0.0) * into
            dr *= scale
            di *= scale
        tl.store(d_decay + at, da, inside)
        tl.store(dx + real, dr, inside)
        tl.store(dx + imaginary, di, inside)
    first = tl.load(decay + b * length * width + n, live, 0.0)
    tl.store(d_initial + 2 * b * width + n, first * (c * er + s * ei), live)
    tl.store(d_initial + (2 * b + 1) * width + n, first * (c * ei - s * er), live)
    tl.store(d_cos + b * width + n, sum_c, live)
    tl.store(d_sin + b * width + n, sum_s, live)
