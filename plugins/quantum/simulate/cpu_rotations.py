"""Rotations of a block of samples: about any Pauli string, and tables of phases, forward and back. For `cpu_kernels`.

A row holds one amplitude of LANES samples, so that every loop over a row is one vector instruction and no amplitude is
ever shuffled within a register. A rotation about a Pauli string couples rows i and i ^ x, with a sign from the parity
of i & z.
"""

from __future__ import annotations

import numpy as np

from ...scan.cpu_jit import inlined
from .program import DIAGONAL, REAL, TABLE

LANES = 16                          # float32 values of one AVX-512 register


@inlined
def parity(bits):
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    return (0x6996 >> (bits & 15)) & 1


@inlined
def turn_real(c, s, ar, ai, br, bi):
    """a, b = c a + s b, c b - s a."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        ar[l] = c[l] * xr + s[l] * yr
        ai[l] = c[l] * xi + s[l] * yi
        br[l] = c[l] * yr - s[l] * xr
        bi[l] = c[l] * yi - s[l] * xi


@inlined
def turn_imaginary(c, s, ar, ai, br, bi):
    """a, b = c a - i s b, c b - i s a."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        ar[l] = c[l] * xr + s[l] * yi
        ai[l] = c[l] * xi - s[l] * yr
        br[l] = c[l] * yr + s[l] * xi
        bi[l] = c[l] * yi - s[l] * xr


@inlined
def turn_phases(c, s, t, ar, ai, br, bi):
    """a, b = (c - i s) a, (c - i t) b."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        ar[l] = c[l] * xr + s[l] * xi
        ai[l] = c[l] * xi - s[l] * xr
        br[l] = c[l] * yr + t[l] * yi
        bi[l] = c[l] * yi - t[l] * yr


@inlined
def _turn_scalar_phases(c, s, d, t, ar, ai, br, bi):
    """a, b = (c - i s) a, (d - i t) b."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        ar[l] = c * xr + s * xi
        ai[l] = c * xi - s * xr
        br[l] = d * yr + t * yi
        bi[l] = d * yi - t * yr


@inlined
def slope_real(d, ar, ai, br, bi, gr, gi, hr, hi):
    """d += Re <(g, h), (b, -a)>."""
    for l in range(LANES):
        d[l] += gr[l] * br[l] + gi[l] * bi[l] - hr[l] * ar[l] - hi[l] * ai[l]


@inlined
def slope_imaginary(d, ar, ai, br, bi, gr, gi, hr, hi, sign):
    """d += sign Re <(g, h), (-i b, -i a)>."""
    for l in range(LANES):
        d[l] += sign * (gr[l] * bi[l] - gi[l] * br[l] + hr[l] * ai[l] - hi[l] * ar[l])


@inlined
def slope_phases(d, ar, ai, br, bi, gr, gi, hr, hi, sign, sign_b):
    """d += sign Re <g, -i a> + sign_b Re <h, -i b>."""
    for l in range(LANES):
        d[l] += sign * (gr[l] * ai[l] - gi[l] * ar[l]) + sign_b * (hr[l] * bi[l] - hi[l] * br[l])


@inlined
def _turn_scalar_phase_back(d, c, s, ar, ai, gr, gi):
    """d += Re <g, -i a>; then a and g by (c - i s)."""
    for l in range(LANES):
        xr, xi, ur, ui = ar[l], ai[l], gr[l], gi[l]
        d[l] += ur * xi - ui * xr
        ar[l] = c * xr + s * xi
        ai[l] = c * xi - s * xr
        gr[l] = c * ur + s * ui
        gi[l] = c * ui - s * ur


@inlined
def apply(op, cos, sin, phases, re, im):
    """One operation on a block: re, im (2^n, LANES)."""
    kind, x, z, negative, angle = op[0], op[1], op[2], op[3], op[4]
    size = re.shape[0]
    if kind == TABLE:
        for i in range(0, size, 2):
            _turn_scalar_phases(phases[angle, 0, i], phases[angle, 1, i], phases[angle, 0, i + 1],
                                phases[angle, 1, i + 1], re[i], im[i], re[i + 1], im[i + 1])
        return
    c = cos[angle]
    if kind == DIAGONAL:
        for i in range(0, size, 2):
            odd = parity(i & z) ^ negative
            turn_phases(c, sin[angle, odd], sin[angle, odd ^ (z & 1)], re[i], im[i], re[i + 1], im[i + 1])
        return
    low = x & -x
    for pair in range(size >> 1):
        i = ((pair & -low) << 1) | (pair & (low - 1))
        j = i ^ x
        odd = parity(j & z) ^ negative
        if kind == REAL:
            if odd:
                turn_real(c, sin[angle, 0], re[j], im[j], re[i], im[i])
            else:
                turn_real(c, sin[angle, 0], re[i], im[i], re[j], im[j])
        else:
            turn_imaginary(c, sin[angle, odd], re[i], im[i], re[j], im[j])


@inlined
def apply_back(op, cos, sin, phases, re, im, gr, gi, d_angle, d_phase):
    """Undo one operation on the state and on its gradient, and add up the derivative of the angle."""
    kind, x, z, negative, angle = op[0], op[1], op[2], op[3], op[4]
    size = re.shape[0]
    if kind == TABLE:
        for i in range(size):
            _turn_scalar_phase_back(
                d_phase[angle, i], phases[angle, 0, i], -phases[angle, 1, i], re[i], im[i], gr[i], gi[i])
        return
    c, d = cos[angle], d_angle[angle]
    if kind == DIAGONAL:
        for i in range(0, size, 2):
            odd = parity(i & z) ^ negative
            next_odd = odd ^ (z & 1)
            s, t = sin[angle, 1 - odd], sin[angle, 1 - next_odd]
            slope_phases(d, re[i], im[i], re[i + 1], im[i + 1], gr[i], gi[i], gr[i + 1], gi[i + 1],
                         np.float32(1 - 2 * odd), np.float32(1 - 2 * next_odd))
            turn_phases(c, s, t, re[i], im[i], re[i + 1], im[i + 1])
            turn_phases(c, s, t, gr[i], gi[i], gr[i + 1], gi[i + 1])
        return
    low = x & -x
    for pair in range(size >> 1):
        i = ((pair & -low) << 1) | (pair & (low - 1))
        j = i ^ x
        odd = parity(j & z) ^ negative
        if kind == REAL:
            if odd:
                i, j = j, i
            slope_real(d, re[i], im[i], re[j], im[j], gr[i], gi[i], gr[j], gi[j])
            turn_real(c, sin[angle, 1], re[i], im[i], re[j], im[j])
            turn_real(c, sin[angle, 1], gr[i], gi[i], gr[j], gi[j])
        else:
            slope_imaginary(d, re[i], im[i], re[j], im[j], gr[i], gi[i], gr[j], gi[j], np.float32(1 - 2 * odd))
            turn_imaginary(c, sin[angle, 1 - odd], re[i], im[i], re[j], im[j])
            turn_imaginary(c, sin[angle, 1 - odd], gr[i], gi[i], gr[j], gi[j])
