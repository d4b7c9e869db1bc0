"""The recurrences as fused loops, compiled by numba: one pass forward, one pass backward.

Time is the outer loop, channels the inner one, over rows of planes that never overlap: told so, LLVM vectorises every
inner loop without a run-time check, one row's state stays in the first-level cache, and what is left is the reading and
writing of each array once.
"""

from __future__ import annotations

import numpy as np

from .cpu_jit import ONE, SMALLEST, inlined, kernel


@inlined
def _input_scale(a):
    return np.sqrt(max((ONE - a) * (ONE + a), SMALLEST))


@inlined
def _input_slope(a, scale):
    """d scale / d a."""
    return -a / scale if (ONE - a) * (ONE + a) > SMALLEST else np.float32(0)


@inlined
def _real_step(a, x, previous, h, normalise):
    if normalise:
        for n in range(a.size):
            h[n] = a[n] * previous[n] + _input_scale(a[n]) * x[n]
    else:
        for n in range(a.size):
            h[n] = a[n] * previous[n] + x[n]


@kernel
def real_forward(b0, b1, n0, n1, decay, x, initial, h, normalise):
    """decay, x, h (B, T, N), initial (B, N): fills h[b0:b1, :, n0:n1]."""
    for b in range(b0, b1):
        _real_step(decay[b, 0, n0:n1], x[b, 0, n0:n1], initial[b, n0:n1], h[b, 0, n0:n1], normalise)
        for t in range(1, x.shape[1]):
            _real_step(decay[b, t, n0:n1], x[b, t, n0:n1], h[b, t - 1, n0:n1], h[b, t, n0:n1], normalise)


@inlined
def _real_adjoint(a, x, previous, grad, da, dx, carried, normalise):
    """One step back; `carried` holds a_{t+1} dh_{t+1} before and a_t dh_t after."""
    if normalise:
        for n in range(a.size):
            d = grad[n] + carried[n]
            scale = _input_scale(a[n])
            da[n] = d * previous[n] + _input_slope(a[n], scale) * d * x[n]
            dx[n] = scale * d
            carried[n] = a[n] * d
    else:
        for n in range(a.size):
            d = grad[n] + carried[n]
            da[n] = d * previous[n]
            dx[n] = d
            carried[n] = a[n] * d


@kernel
def real_backward(b0, b1, n0, n1, decay, x, initial, h, grad, d_decay, dx, d_initial, normalise):
    """Fills d_decay, dx (B, T, N), d_initial (B, N), the last zero before; x is read with `normalise` only."""
    for b in range(b0, b1):
        carried = d_initial[b, n0:n1]
        for t in range(x.shape[1] - 1, 0, -1):
            _real_adjoint(
                decay[b, t, n0:n1], x[b, t, n0:n1], h[b, t - 1, n0:n1], grad[b, t, n0:n1],
                d_decay[b, t, n0:n1], dx[b, t, n0:n1], carried, normalise,
            )
        _real_adjoint(
            decay[b, 0, n0:n1], x[b, 0, n0:n1], initial[b, n0:n1], grad[b, 0, n0:n1],
            d_decay[b, 0, n0:n1], dx[b, 0, n0:n1], carried, normalise,
        )


@inlined
def _complex_step(a, cos, sin, xr, xi, pr, pi, hr, hi, normalise):
    if normalise:
        for n in range(a.size):
            scale = _input_scale(a[n])
            hr[n] = a[n] * (cos[n] * pr[n] - sin[n] * pi[n]) + scale * xr[n]
            hi[n] = a[n] * (sin[n] * pr[n] + cos[n] * pi[n]) + scale * xi[n]
    else:
        for n in range(a.size):
            hr[n] = a[n] * (cos[n] * pr[n] - sin[n] * pi[n]) + xr[n]
            hi[n] = a[n] * (sin[n] * pr[n] + cos[n] * pi[n]) + xi[n]


@kernel
def complex_forward(b0, b1, n0, n1, decay, cos, sin, x, initial, h, normalise):
    """decay (B, T, N), cos, sin (N,), x, h (B, T, 2N), initial (B, 2N): fills h for these batch rows and channels."""
    m0, m1 = decay.shape[2] + n0, decay.shape[2] + n1
    for b in range(b0, b1):
        _complex_step(
            decay[b, 0, n0:n1], cos[n0:n1], sin[n0:n1], x[b, 0, n0:n1], x[b, 0, m0:m1],
            initial[b, n0:n1], initial[b, m0:m1], h[b, 0, n0:n1], h[b, 0, m0:m1], normalise,
        )
        for t in range(1, x.shape[1]):
            _complex_step(
                decay[b, t, n0:n1], cos[n0:n1], sin[n0:n1], x[b, t, n0:n1], x[b, t, m0:m1],
                h[b, t - 1, n0:n1], h[b, t - 1, m0:m1], h[b, t, n0:n1], h[b, t, m0:m1], normalise,
            )


@inlined
def _complex_adjoint(
    a, cos, sin, xr, xi, pr, pi, gr, gi, da, dxr, dxi, carried_r, carried_i, d_cos, d_sin, normalise,
):
    """One step back; `carried` holds a_{t+1} R^T dh_{t+1} before and a_t R^T dh_t after."""
    if normalise:
        for n in range(a.size):
            dr = gr[n] + carried_r[n]
            di = gi[n] + carried_i[n]
            along, across = dr * pr[n] + di * pi[n], di * pr[n] - dr * pi[n]
            scale = _input_scale(a[n])
            da[n] = cos[n] * along + sin[n] * across + _input_slope(a[n], scale) * (dr * xr[n] + di * xi[n])
            d_cos[n] += a[n] * along
            d_sin[n] += a[n] * across
            dxr[n] = scale * dr
            dxi[n] = scale * di
            carried_r[n] = a[n] * (cos[n] * dr + sin[n] * di)
            carried_i[n] = a[n] * (cos[n] * di - sin[n] * dr)
    else:
        for n in range(a.size):
            dr = gr[n] + carried_r[n]
            di = gi[n] + carried_i[n]
            along, across = dr * pr[n] + di * pi[n], di * pr[n] - dr * pi[n]
            da[n] = cos[n] * along + sin[n] * across
            d_cos[n] += a[n] * along
            d_sin[n] += a[n] * across
            dxr[n] = dr
            dxi[n] = di
            carried_r[n] = a[n] * (cos[n] * dr + sin[n] * di)
            carried_i[n] = a[n] * (cos[n] * di - sin[n] * dr)


@kernel
def complex_backward(
    b0, b1, n0, n1, decay, cos, sin, x, initial, h, grad, d_decay, dx, d_initial, d_cos, d_sin, normalise,
):
    """Fills d_decay (B, T, N), dx (B, T, 2N), d_initial (B, 2N), d_cos, d_sin (B, N), the last three zero before."""
    m0, m1 = decay.shape[2] + n0, decay.shape[2] + n1
    for b in range(b0, b1):
        carried_r, carried_i = d_initial[b, n0:n1], d_initial[b, m0:m1]
        for t in range(x.shape[1] - 1, 0, -1):
            _complex_adjoint(
                decay[b, t, n0:n1], cos[n0:n1], sin[n0:n1], x[b, t, n0:n1], x[b, t, m0:m1],
                h[b, t - 1, n0:n1], h[b, t - 1, m0:m1], grad[b, t, n0:n1], grad[b, t, m0:m1],
                d_decay[b, t, n0:n1], dx[b, t, n0:n1], dx[b, t, m0:m1], carried_r, carried_i,
                d_cos[b, n0:n1], d_sin[b, n0:n1], normalise,
            )
        _complex_adjoint(
            decay[b, 0, n0:n1], cos[n0:n1], sin[n0:n1], x[b, 0, n0:n1], x[b, 0, m0:m1],
            initial[b, n0:n1], initial[b, m0:m1], grad[b, 0, n0:n1], grad[b, 0, m0:m1],
            d_decay[b, 0, n0:n1], dx[b, 0, n0:n1], dx[b, 0, m0:m1], carried_r, carried_i,
            d_cos[b, n0:n1], d_sin[b, n0:n1], normalise,
        )
