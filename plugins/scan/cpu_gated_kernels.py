"""The gated recurrences as fused loops, compiled by numba: from a projection's result to the next projection's input.

With b = sigmoid(gate + bias): a = delta (1 - b), h = a R h + sqrt(1 - a²) x, y = silu(out) h. As separate operations
the gates move several times the bytes of the recurrence. Here a row is read once, in bfloat16 where the projection gave
that, and nothing but y and every CHUNK-th state is written; the backward recomputes the states between, which stay
in the second-level cache. 1 - a is kept as (1 - delta) + delta b, exact to roundings for the longest memory.
"""

from __future__ import annotations

import numpy as np

from .cpu_jit import ONE, SMALLEST, inlined, kernel, rounded, sigmoid, widened

CHUNK = 16                         # steps between two saved states


@inlined
def _decay_and_scale(b, delta):
    a = delta * (ONE - b)
    return a, np.sqrt(max(((ONE - delta) + delta * b) * (ONE + a), SMALLEST))


@inlined
def _gate_slopes(d_scale, along_decay, b, a, scale, delta):
    """Gradients into gate and delta, given those into the input scale and, through the state alone, the decay."""
    da = along_decay - d_scale * a / scale
    return -da * delta * b * (ONE - b), da * (ONE - b)


@inlined
def _complex_step(gate, out, xr, xi, bias, delta, cos, sin, hr, hi, yr, yi):
    """One step forward: h in place, y."""
    for n in range(delta.size):
        a, scale = _decay_and_scale(sigmoid(widened(gate[n]) + bias[n]), delta[n])
        r = a * (cos[n] * hr[n] - sin[n] * hi[n]) + scale * widened(xr[n])
        i = a * (sin[n] * hr[n] + cos[n] * hi[n]) + scale * widened(xi[n])
        o = widened(out[n])
        silu = o * sigmoid(o)
        hr[n] = r
        hi[n] = i
        yr[n] = rounded(silu * r, yr)
        yi[n] = rounded(silu * i, yi)


@kernel
def complex_forward(b0, b1, n0, n1, packed, bias, delta, cos, sin, state, y, saved):
    """packed (B, T, 4N), y (B, T, 2N), saved (B, ceil(T / CHUNK) or 0, 2N); state (B, 2N) initial, then last."""
    width = delta.size
    m0, m1 = width + n0, width + n1
    p0, p1 = width + m0, width + m1
    q0, q1 = width + p0, width + p1
    for b in range(b0, b1):
        hr, hi = state[b, n0:n1], state[b, m0:m1]
        for t in range(packed.shape[1]):
            if t % CHUNK == 0 and saved.shape[1]:
                saved[b, t // CHUNK, n0:n1] = hr
                saved[b, t // CHUNK, m0:m1] = hi
            row, result = packed[b, t], y[b, t]
            _complex_step(
                row[n0:n1], row[m0:m1], row[p0:p1], row[q0:q1], bias[n0:n1], delta[n0:n1], cos[n0:n1], sin[n0:n1],
                hr, hi, result[n0:n1], result[m0:m1],
            )


@inlined
def _complex_again(gate, xr, xi, bias, delta, cos, sin, pr, pi, hr, hi, opened):
    """One step forward once more, without y: h and b."""
    for n in range(delta.size):
        b = sigmoid(widened(gate[n]) + bias[n])
        a, scale = _decay_and_scale(b, delta[n])
        opened[n] = b
        hr[n] = a * (cos[n] * pr[n] - sin[n] * pi[n]) + scale * widened(xr[n])
        hi[n] = a * (sin[n] * pr[n] + cos[n] * pi[n]) + scale * widened(xi[n])


@inlined
def _complex_adjoint(
    out, xr, xi, delta, cos, sin, pr, pi, hr, hi, opened, yr, yi, carried_r, carried_i,
    d_gate, d_out, dxr, dxi, d_bias, d_delta, d_cos, d_sin,
):
    """One step back; y is the gradient into y, `carried` a_{t+1} R^T dh_{t+1} before and a_t R^T dh_t after."""
    for n in range(delta.size):
        o, er, ei = widened(out[n]), widened(yr[n]), widened(yi[n])
        s = sigmoid(o)
        d_out[n] = rounded((er * hr[n] + ei * hi[n]) * s * (ONE + o * (ONE - s)), d_out)
        dr = er * o * s + carried_r[n]
        di = ei * o * s + carried_i[n]
        a, scale = _decay_and_scale(opened[n], delta[n])
        along, across = dr * pr[n] + di * pi[n], di * pr[n] - dr * pi[n]
        slope, d_delta_t = _gate_slopes(
            dr * widened(xr[n]) + di * widened(xi[n]), cos[n] * along + sin[n] * across, opened[n], a, scale, delta[n],
        )
        d_gate[n] = rounded(slope, d_gate)
        dxr[n] = rounded(scale * dr, dxr)
        dxi[n] = rounded(scale * di, dxi)
        carried_r[n] = a * (cos[n] * dr + sin[n] * di)
        carried_i[n] = a * (cos[n] * di - sin[n] * dr)
        d_bias[n] += slope
        d_delta[n] += d_delta_t
        d_cos[n] += a * along
        d_sin[n] += a * across


@kernel
def complex_backward(
    b0, b1, n0, n1, packed, bias, delta, cos, sin, saved, dy, d_packed, d_state, d_bias, d_delta, d_cos, d_sin,
):
    """Fills d_packed (B, T, 4N) and adds to d_bias, d_delta, d_cos, d_sin (B, N).

    d_state (B, 2N) is the gradient into the last state before, into the initial one after.
    """
    length, width = packed.shape[1], delta.size
    m0, m1 = width + n0, width + n1
    p0, p1 = width + m0, width + m1
    q0, q1 = width + p0, width + p1
    states = np.empty((CHUNK + 1, 2, n1 - n0), np.float32)
    opened = np.empty((CHUNK, n1 - n0), np.float32)
    for b in range(b0, b1):
        for chunk in range(saved.shape[1] - 1, -1, -1):
            first = chunk * CHUNK
            steps = min(CHUNK, length - first)
            states[0, 0] = saved[b, chunk, n0:n1]
            states[0, 1] = saved[b, chunk, m0:m1]
            for i in range(steps):
                row = packed[b, first + i]
                _complex_again(
                    row[n0:n1], row[p0:p1], row[q0:q1], bias[n0:n1], delta[n0:n1], cos[n0:n1], sin[n0:n1],
                    states[i, 0], states[i, 1], states[i + 1, 0], states[i + 1, 1], opened[i],
                )
            for i in range(steps - 1, -1, -1):
                row, grad, d_row = packed[b, first + i], dy[b, first + i], d_packed[b, first + i]
                _complex_adjoint(
                    row[m0:m1], row[p0:p1], row[q0:q1], delta[n0:n1], cos[n0:n1], sin[n0:n1],
                    states[i, 0], states[i, 1], states[i + 1, 0], states[i + 1, 1], opened[i],
                    grad[n0:n1], grad[m0:m1], d_state[b, n0:n1], d_state[b, m0:m1],
                    d_row[n0:n1], d_row[m0:m1], d_row[p0:p1], d_row[q0:q1],
                    d_bias[b, n0:n1], d_delta[b, n0:n1], d_cos[b, n0:n1], d_sin[b, n0:n1],
                )


@inlined
def _real_step(gate, out, x, bias, delta, h, y):
    for n in range(delta.size):
        a, scale = _decay_and_scale(sigmoid(widened(gate[n]) + bias[n]), delta[n])
        h[n] = a * h[n] + scale * widened(x[n])
        o = widened(out[n])
        y[n] = rounded(o * sigmoid(o) * h[n], y)


@kernel
def real_forward(b0, b1, n0, n1, packed, bias, delta, state, y, saved):
    """packed (B, T, 3N), y (B, T, N), saved (B, ceil(T / CHUNK) or 0, N); state (B, N) initial, then last."""
    width = delta.size
    m0, m1 = width + n0, width + n1
    p0, p1 = width + m0, width + m1
    for b in range(b0, b1):
        h = state[b, n0:n1]
        for t in range(packed.shape[1]):
            if t % CHUNK == 0 and saved.shape[1]:
                saved[b, t // CHUNK, n0:n1] = h
            row = packed[b, t]
            _real_step(row[n0:n1], row[m0:m1], row[p0:p1], bias[n0:n1], delta[n0:n1], h, y[b, t, n0:n1])


@inlined
def _real_again(gate, x, bias, delta, previous, h, opened):
    for n in range(delta.size):
        b = sigmoid(widened(gate[n]) + bias[n])
        a, scale = _decay_and_scale(b, delta[n])
        opened[n] = b
        h[n] = a * previous[n] + scale * widened(x[n])


@inlined
def _real_adjoint(out, x, delta, previous, h, opened, y, carried, d_gate, d_out, dx, d_bias, d_delta):
    for n in range(delta.size):
        o, e = widened(out[n]), widened(y[n])
        s = sigmoid(o)
        d_out[n] = rounded(e * h[n] * s * (ONE + o * (ONE - s)), d_out)
        d = e * o * s + carried[n]
        a, scale = _decay_and_scale(opened[n], delta[n])
        slope, d_delta_t = _gate_slopes(d * widened(x[n]), d * previous[n], opened[n], a, scale, delta[n])
        d_gate[n] = rounded(slope, d_gate)
        dx[n] = rounded(scale * d, dx)
        carried[n] = a * d
        d_bias[n] += slope
        d_delta[n] += d_delta_t


@kernel
def real_backward(b0, b1, n0, n1, packed, bias, delta, saved, dy, d_packed, d_state, d_bias, d_delta):
    """Fills d_packed (B, T, 3N), adds to d_bias, d_delta (B, N); d_state (B, N) as in `complex_backward`."""
    length, width = packed.shape[1], delta.size
    m0, m1 = width + n0, width + n1
    p0, p1 = width + m0, width + m1
    states = np.empty((CHUNK + 1, n1 - n0), np.float32)
    opened = np.empty((CHUNK, n1 - n0), np.float32)
    for b in range(b0, b1):
        for chunk in range(saved.shape[1] - 1, -1, -1):
            first = chunk * CHUNK
            steps = min(CHUNK, length - first)
            states[0] = saved[b, chunk, n0:n1]
            for i in range(steps):
                row = packed[b, first + i]
                _real_again(
                    row[n0:n1], row[p0:p1], bias[n0:n1], delta[n0:n1], states[i], states[i + 1], opened[i],
                )
            for i in range(steps - 1, -1, -1):
                row, d_row = packed[b, first + i], d_packed[b, first + i]
                _real_adjoint(
                    row[m0:m1], row[p0:p1], delta[n0:n1], states[i], states[i + 1], opened[i], dy[b, first + i, n0:n1],
                    d_state[b, n0:n1], d_row[n0:n1], d_row[m0:m1], d_row[p0:p1], d_bias[b, n0:n1], d_delta[b, n0:n1],
                )
