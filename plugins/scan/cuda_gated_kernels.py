"""The gated recurrences as Triton kernels: from a projection's result to the next projection's input, one each way.

As in `cuda_kernels`, a program owns CHANNELS channels of one batch row and carries their state from tile to tile of
time. The gates are computed where they are used: with b = sigmoid(gate + bias), a = delta (1 - b),
h = a R h + sqrt(1 - a²) x, y = silu(out) h. A layer on a GPU is bound by launches and memory, and this is one launch
that moves each array once; the states are kept in float32 for the backward, the gates are computed again.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .cuda_kernels import compose_complex, compose_real, last_row


@triton.jit
def _read(pointers, mask):
    return tl.load(pointers, mask, 0.0).to(tl.float32)


@triton.jit
def _write(pointers, value, mask):
    tl.store(pointers, value.to(pointers.dtype.element_ty), mask)


@triton.jit
def _decay_and_scale(b, delta, SMALLEST: tl.constexpr):
    a = delta * (1 - b)
    return a, tl.sqrt(tl.maximum(((1 - delta) + delta * b) * (1 + a), SMALLEST))


@triton.jit
def real_forward(
    packed, bias, delta, initial, y, h, last, length, width,
    KEEP: tl.constexpr, SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    shift, slow = _read(bias + n, live)[None, :], _read(delta + n, live)[None, :]
    state = _read(initial + b * width + n, live)
    for start in range(0, length, TILE):
        t = start + tl.arange(0, TILE)
        inside = (t[:, None] < length) & live[None, :]
        row = b * length + t[:, None]
        gate, at = 3 * row * width + n[None, :], row * width + n[None, :]
        a, scale = _decay_and_scale(tl.sigmoid(_read(packed + gate, inside) + shift), slow, SMALLEST)
        u = scale * _read(packed + gate + 2 * width, inside)
        weight, u = tl.associative_scan((tl.where(inside, a, 1.0), u), 0, compose_real)
        states = weight * state[None, :] + u
        out = _read(packed + gate + width, inside)
        _write(y + at, out * tl.sigmoid(out) * states, inside)
        if KEEP:
            tl.store(h + at, states, inside)
        state = last_row(states, TILE)
    tl.store(last + b * width + n, state, live)


@triton.jit
def real_backward(
    packed, bias, delta, initial, h, dy, d_last, d_packed, d_initial, d_bias, d_delta, length, width,
    SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    shift, slow = _read(bias + n, live)[None, :], _read(delta + n, live)[None, :]
    start_state = _read(initial + b * width + n, live)
    carried = _read(d_last + b * width + n, live)
    sum_b, sum_d = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, length, TILE):
        t = length - 1 - start - tl.arange(0, TILE)
        inside = (t[:, None] >= 0) & live[None, :]
        row = b * length + t[:, None]
        gate, at = 3 * row * width + n[None, :], row * width + n[None, :]
        following = inside & (t[:, None] < length - 1)
        weight = slow * (1 - tl.sigmoid(_read(packed + gate + 3 * width, following) + shift))
        out, grad = _read(packed + gate + width, inside), _read(dy + at, inside)
        sigma = tl.sigmoid(out)
        weight, d = tl.associative_scan(
            (tl.where(following, weight, 1.0), grad * out * sigma), 0, compose_real,
        )
        d = weight * carried[None, :] + d
        carried = last_row(d, TILE)
        opened = tl.sigmoid(_read(packed + gate, inside) + shift)
        a, scale = _decay_and_scale(opened, slow, SMALLEST)
        x = _read(packed + gate + 2 * width, inside)
        previous = tl.where(t[:, None] == 0, start_state[None, :], _read(h + at - width, inside & (t[:, None] > 0)))
        da = d * (previous - x * a / scale)
        slope = -da * slow * opened * (1 - opened)
        _write(d_packed + gate, slope, inside)
        _write(d_packed + gate + width, grad * (a * previous + scale * x) * sigma * (1 + out * (1 - sigma)), inside)
        _write(d_packed + gate + 2 * width, scale * d, inside)
        sum_b += tl.sum(tl.where(inside, slope, 0.0), axis=0)
        sum_d += tl.sum(tl.where(inside, da * (1 - opened), 0.0), axis=0)
    first = tl.sigmoid(_read(packed + 3 * b * length * width + n, live) + _read(bias + n, live))
    tl.store(d_initial + b * width + n, _read(delta + n, live) * (1 - first) * carried, live)
    tl.store(d_bias + b * width + n, sum_b, live)
    tl.store(d_delta + b * width + n, sum_d, live)


@triton.jit
def complex_forward(
    packed, bias, delta, cos, sin, initial, y, h, last, length, width,
    KEEP: tl.constexpr, SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    shift, slow = _read(bias + n, live)[None, :], _read(delta + n, live)[None, :]
    c, s = _read(cos + n, live)[None, :], _read(sin + n, live)[None, :]
    plane = 2 * b * width + n
    hr, hi = _read(initial + plane, live), _read(initial + plane + width, live)
    for start in range(0, length, TILE):
        t = start + tl.arange(0, TILE)
        inside = (t[:, None] < length) & live[None, :]
        row = b * length + t[:, None]
        gate, at = 4 * row * width + n[None, :], 2 * row * width + n[None, :]
        a, scale = _decay_and_scale(tl.sigmoid(_read(packed + gate, inside) + shift), slow, SMALLEST)
        ur = scale * _read(packed + gate + 2 * width, inside)
        ui = scale * _read(packed + gate + 3 * width, inside)
        wr, wi = tl.where(inside, a * c, 1.0), tl.where(inside, a * s, 0.0)
        wr, wi, ur, ui = tl.associative_scan((wr, wi, ur, ui), 0, compose_complex)
        states_r = wr * hr[None, :] - wi * hi[None, :] + ur
        states_i = wr * hi[None, :] + wi * hr[None, :] + ui
        out = _read(packed + gate + width, inside)
        silu = out * tl.sigmoid(out)
        _write(y + at, silu * states_r, inside)
        _write(y + at + width, silu * states_i, inside)
        if KEEP:
            tl.store(h + at, states_r, inside)
            tl.store(h + at + width, states_i, inside)
        hr, hi = last_row(states_r, TILE), last_row(states_i, TILE)
    tl.store(last + plane, hr, live)
    tl.store(last + plane + width, hi, live)


@triton.jit
def complex_backward(
    packed, bias, delta, cos, sin, initial, h, dy, d_last, d_packed, d_initial, d_bias, d_delta, d_cos, d_sin,
    length, width, SMALLEST: tl.constexpr, TILE: tl.constexpr, CHANNELS: tl.constexpr,
):
    b, n = tl.program_id(0).to(tl.int64), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = n < width
    shift, slow = _read(bias + n, live)[None, :], _read(delta + n, live)[None, :]
    c, s = _read(cos + n, live)[None, :], _read(sin + n, live)[None, :]
    plane = 2 * b * width + n
    start_r, start_i = _read(initial + plane, live), _read(initial + plane + width, live)
    er, ei = _read(d_last + plane, live), _read(d_last + plane + width, live)
    sum_b, sum_d = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    sum_c, sum_s = tl.zeros((CHANNELS,), tl.float32), tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, length, TILE):
        t = length - 1 - start - tl.arange(0, TILE)
        inside = (t[:, None] >= 0) & live[None, :]
        row = b * length + t[:, None]
        gate, at = 4 * row * width + n[None, :], 2 * row * width + n[None, :]
        following = inside & (t[:, None] < length - 1)
        weight = slow * (1 - tl.sigmoid(_read(packed + gate + 4 * width, following) + shift))
        wr, wi = tl.where(following, weight * c, 1.0), tl.where(following, -weight * s, 0.0)
        out, yr, yi = _read(packed + gate + width, inside), _read(dy + at, inside), _read(dy + at + width, inside)
        sigma = tl.sigmoid(out)
        wr, wi, gr, gi = tl.associative_scan((wr, wi, yr * out * sigma, yi * out * sigma), 0, compose_complex)
        dr = wr * er[None, :] - wi * ei[None, :] + gr
        di = wr * ei[None, :] + wi * er[None, :] + gi
        er, ei = last_row(dr, TILE), last_row(di, TILE)
        opened = tl.sigmoid(_read(packed + gate, inside) + shift)
        a, scale = _decay_and_scale(opened, slow, SMALLEST)
        xr, xi = _read(packed + gate + 2 * width, inside), _read(packed + gate + 3 * width, inside)
        before = inside & (t[:, None] > 0)
        pr = tl.where(t[:, None] == 0, start_r[None, :], _read(h + at - 2 * width, before))
        pi = tl.where(t[:, None] == 0, start_i[None, :], _read(h + at - width, before))
        along, across = dr * pr + di * pi, di * pr - dr * pi
        da = c * along + s * across - (dr * xr + di * xi) * a / scale
        slope = -da * slow * opened * (1 - opened)
        hr, hi = a * (c * pr - s * pi) + scale * xr, a * (s * pr + c * pi) + scale * xi
        _write(d_packed + gate, slope, inside)
        _write(d_packed + gate + width, (yr * hr + yi * hi) * sigma * (1 + out * (1 - sigma)), inside)
        _write(d_packed + gate + 2 * width, scale * dr, inside)
        _write(d_packed + gate + 3 * width, scale * di, inside)
        sum_b += tl.sum(tl.where(inside, slope, 0.0), axis=0)
        sum_d += tl.sum(tl.where(inside, da * (1 - opened), 0.0), axis=0)
        sum_c += tl.sum(tl.where(inside, a * along, 0.0), axis=0)
        sum_s += tl.sum(tl.where(inside, a * across, 0.0), axis=0)
    first = tl.sigmoid(_read(packed + 4 * b * length * width + n, live) + _read(bias + n, live))
    first = _read(delta + n, live) * (1 - first)
    cn, sn = _read(cos + n, live), _read(sin + n, live)
    tl.store(d_initial + plane, first * (cn * er + sn * ei), live)
    tl.store(d_initial + plane + width, first * (cn * ei - sn * er), live)
    tl.store(d_bias + b * width + n, sum_b, live)
    tl.store(d_delta + b * width + n, sum_d, live)
    tl.store(d_cos + b * width + n, sum_c, live)
    tl.store(d_sin + b * width + n, sum_s, live)
