"""What a block of samples starts from: a product state of two numbers a qubit, and its adjoint. For `cpu_kernels`.

Rotations before anything entangles their qubit turn its factor alone; the factors are multiplied out once.
"""

from __future__ import annotations

import numpy as np

from ...scan.cpu_jit import inlined
from .cpu_rotations import (
    LANES,
    slope_imaginary,
    slope_phases,
    slope_real,
    turn_imaginary,
    turn_phases,
    turn_real,
)
from .program import IMAGINARY, REAL


@inlined
def _apply_factor(op, cos, sin, fr, fi):
    """A rotation of one qubit before anything entangles it: fr, fi (qubits, 2, LANES)."""
    kind, q, negative, angle = op[0], op[1], op[2], op[3]
    if kind == REAL:
        turn_real(cos[angle], sin[angle, negative], fr[q, 1], fi[q, 1], fr[q, 0], fi[q, 0])
    elif kind == IMAGINARY:
        turn_imaginary(cos[angle], sin[angle, negative], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1])
    else:
        turn_phases(cos[angle], sin[angle, negative], sin[angle, 1 - negative], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1])


@inlined
def _apply_factor_back(op, cos, sin, fr, fi, gr, gi, d_angle):
    kind, q, negative, angle = op[0], op[1], op[2], op[3]
    c, s, d, sign = cos[angle], sin[angle, 1 - negative], d_angle[angle], np.float32(1 - 2 * negative)
    if kind == REAL:
        a, b = 1 - negative, negative
        slope_real(d, fr[q, a], fi[q, a], fr[q, b], fi[q, b], gr[q, a], gi[q, a], gr[q, b], gi[q, b])
        turn_real(c, s, fr[q, 1], fi[q, 1], fr[q, 0], fi[q, 0])
        turn_real(c, s, gr[q, 1], gi[q, 1], gr[q, 0], gi[q, 0])
    elif kind == IMAGINARY:
        slope_imaginary(d, fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1], gr[q, 0], gi[q, 0], gr[q, 1], gi[q, 1], sign)
        turn_imaginary(c, s, fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1])
        turn_imaginary(c, s, gr[q, 0], gi[q, 0], gr[q, 1], gi[q, 1])
    else:
        t = sin[angle, negative]
        slope_phases(d, fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1], gr[q, 0], gi[q, 0], gr[q, 1], gi[q, 1], sign, -sign)
        turn_phases(c, s, t, fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1])
        turn_phases(c, s, t, gr[q, 0], gi[q, 0], gr[q, 1], gi[q, 1])


@inlined
def _multiply(ar, ai, fr, fi, er, ei, br, bi):
    """a, b = f a, e a."""
    for l in range(LANES):
        xr, xi = ar[l], ai[l]
        ar[l] = xr * fr[l] - xi * fi[l]
        ai[l] = xr * fi[l] + xi * fr[l]
        br[l] = xr * er[l] - xi * ei[l]
        bi[l] = xr * ei[l] + xi * er[l]


@inlined
def _spread(pr, pi, fr, fi, er, ei, ar, ai, br, bi):
    """a, b = f p, e p."""
    for l in range(LANES):
        xr, xi = pr[l], pi[l]
        ar[l] = xr * fr[l] - xi * fi[l]
        ai[l] = xr * fi[l] + xi * fr[l]
        br[l] = xr * er[l] - xi * ei[l]
        bi[l] = xr * ei[l] + xi * er[l]


@inlined
def _multiply_back(pr, pi, fr, fi, er, ei, ar, ai, br, bi, dr, di, tr, ti):
    """d += conj(p) a, t += conj(p) b; then a = conj(f) a + conj(e) b."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        dr[l] += pr[l] * xr + pi[l] * xi
        di[l] += pr[l] * xi - pi[l] * xr
        tr[l] += pr[l] * yr + pi[l] * yi
        ti[l] += pr[l] * yi - pi[l] * yr
        ar[l] = fr[l] * xr + fi[l] * xi + er[l] * yr + ei[l] * yi
        ai[l] = fr[l] * xi - fi[l] * xr + er[l] * yi - ei[l] * yr


@inlined
def clear(rows):
    flat = rows.reshape(rows.size)
    for i in range(flat.size):
        flat[i] = 0


@inlined
def prepare(prefix, cos, sin, loaded, first, count, fr, fi, re, im):
    """The state before the first operation: a product of factors, or the given one (B, 2, 2^n)."""
    qubits = fr.shape[0]
    if loaded.shape[0]:
        for i in range(re.shape[0]):
            for l in range(LANES):
                b = first + min(l, count - 1)
                re[i, l] = loaded[b, 0, i]
                im[i, l] = loaded[b, 1, i]
        return
    clear(fr)
    clear(fi)
    for q in range(qubits):
        for l in range(LANES):
            fr[q, 0, l] = 1
    for k in range(prefix.shape[0]):
        _apply_factor(prefix[k], cos, sin, fr, fi)
    for l in range(LANES):
        re[0, l] = fr[0, 0, l]
        im[0, l] = fi[0, 0, l]
        re[1, l] = fr[0, 1, l]
        im[1, l] = fi[0, 1, l]
    for q in range(1, qubits):
        half = 1 << q
        for i in range(half):
            _multiply(re[i], im[i], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1], re[i + half], im[i + half])


@inlined
def prepare_back(prefix, cos, sin, fr, fi, er, ei, re, im, gr, gi, d_angle):
    """The adjoint of a product state. re, im are free by now: rows [2^q, 2^(q+1)) hold the product of q factors."""
    qubits = fr.shape[0]
    for l in range(LANES):
        re[1, l] = 1
        im[1, l] = 0
    for q in range(qubits - 1):
        size = 1 << q
        for i in range(size):
            _spread(re[size + i], im[size + i], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1],
                    re[2 * size + i], im[2 * size + i], re[3 * size + i], im[3 * size + i])
    clear(er)
    clear(ei)
    for q in range(qubits - 1, -1, -1):
        size = 1 << q
        for i in range(size):
            _multiply_back(re[size + i], im[size + i], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1], gr[i], gi[i],
                           gr[size + i], gi[size + i], er[q, 0], ei[q, 0], er[q, 1], ei[q, 1])
    for k in range(prefix.shape[0] - 1, -1, -1):
        _apply_factor_back(prefix[k], cos, sin, fr, fi, er, ei, d_angle)
