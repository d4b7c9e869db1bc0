"""What is read out of a block of samples, and the gradient that goes back into its state. For `cpu_kernels`.

<Z> of every qubit comes from folding the probabilities, two bits at a time, in the order of the basis states that the
amplitudes end in: the monomial gates of a circuit are never executed.
"""

from __future__ import annotations

import numpy as np

from ...scan.cpu_jit import inlined
from .cpu_product import clear
from .cpu_rotations import LANES, parity

EXPECTATIONS, Z, PROBABILITIES, STATE = range(4)        # kinds of read-out


@inlined
def _moduli(p, q, r, s, re, im, i):
    """p, q, r, s = |rows i to i + 3|^2."""
    ar, ai, br, bi = re[i], im[i], re[i + 1], im[i + 1]
    cr, ci, dr, di = re[i + 2], im[i + 2], re[i + 3], im[i + 3]
    for l in range(LANES):
        p[l] = ar[l] * ar[l] + ai[l] * ai[l]
        q[l] = br[l] * br[l] + bi[l] * bi[l]
        r[l] = cr[l] * cr[l] + ci[l] * ci[l]
        s[l] = dr[l] * dr[l] + di[l] * di[l]


@inlined
def _fold(p, i, quarter, high, low):
    """Sum rows i, i + quarter, … of p, and the next four, over two bits: high and low += their Z, row i = the sum."""
    a, b, c, d = p[i], p[i + quarter], p[i + 2 * quarter], p[i + 3 * quarter]
    e, f, g, h = p[i + 1], p[i + quarter + 1], p[i + 2 * quarter + 1], p[i + 3 * quarter + 1]
    for l in range(LANES):
        ab, cd, ef, gh = a[l] + b[l], c[l] + d[l], e[l] + f[l], g[l] + h[l]
        high[l] += ab - cd + (ef - gh)
        low[l] += a[l] - b[l] + (c[l] - d[l]) + (e[l] - f[l]) + (g[l] - h[l])
        a[l] = ab + cd
        e[l] = ef + gh


@inlined
def _unfold(p, i, quarter, high, low):
    """The adjoint of `_fold`: rows i, i + quarter, … and the next four from row i and i + 1."""
    a, b, c, d = p[i], p[i + quarter], p[i + 2 * quarter], p[i + 3 * quarter]
    e, f, g, h = p[i + 1], p[i + quarter + 1], p[i + 2 * quarter + 1], p[i + 3 * quarter + 1]
    for l in range(LANES):
        sum_l, difference, x, y = high[l] + low[l], high[l] - low[l], a[l], e[l]
        a[l] = x + sum_l
        b[l] = x + difference
        c[l] = x - difference
        d[l] = x - sum_l
        e[l] = y + sum_l
        f[l] = y + difference
        g[l] = y - difference
        h[l] = y - sum_l


@inlined
def _pull(h, k, ar, ai, br, bi, gr, gi, hr, hi):
    """g, h = 2 h a, 2 k b."""
    for l in range(LANES):
        twice, other = h[l] + h[l], k[l] + k[l]
        gr[l] = twice * ar[l]
        gi[l] = twice * ai[l]
        hr[l] = other * br[l]
        hi[l] = other * bi[l]


@inlined
def _expect(total, ar, ai, br, bi, power):
    """total += Re conj(a) i^power b."""
    for l in range(LANES):
        if power == 0:
            total[l] += ar[l] * br[l] + ai[l] * bi[l]
        elif power == 1:
            total[l] += ai[l] * br[l] - ar[l] * bi[l]
        elif power == 2:
            total[l] -= ar[l] * br[l] + ai[l] * bi[l]
        else:
            total[l] -= ai[l] * br[l] - ar[l] * bi[l]


@inlined
def _expect_back(g, br, bi, power, outr, outi):
    """out += 2 g i^power b."""
    for l in range(LANES):
        twice = np.float32(2) * g[l]
        if power == 0:
            outr[l] += twice * br[l]
            outi[l] += twice * bi[l]
        elif power == 1:
            outr[l] -= twice * bi[l]
            outi[l] += twice * br[l]
        elif power == 2:
            outr[l] -= twice * br[l]
            outi[l] -= twice * bi[l]
        else:
            outr[l] += twice * bi[l]
            outi[l] -= twice * br[l]


@inlined
def count_bits(bits):
    total = 0
    while bits:
        bits &= bits - 1
        total += 1
    return total


@inlined
def _coefficient(observable, i):
    """The row j and the power of i with <i|P|j>."""
    x, z = observable[0], observable[1]
    j = i ^ x
    return j, (count_bits(x & z) + 2 * (parity(j & z) ^ observable[2])) & 3


@inlined
def read(readout, observables, target, power, re, im, p, totals, first, count, out):
    """Fill out[first : first + count] from the block."""
    size = re.shape[0]
    if readout == STATE:
        for i in range(size):
            t, turn = target[i], power[i]
            for l in range(count):
                a, b = re[i, l], im[i, l]
                if turn & 1:
                    a, b = -b, a
                if turn & 2:
                    a, b = -a, -b
                out[first + l, t] = a
                out[first + l, size + t] = b
        return
    if readout == EXPECTATIONS:
        for k in range(observables.shape[0]):
            clear(totals[k])
            for i in range(size):
                j, turn = _coefficient(observables[k], i)
                _expect(totals[k], re[i], im[i], re[j], im[j], turn)
    else:
        for i in range(0, size, 4):
            _moduli(p[target[i]], p[target[i + 1]], p[target[i + 2]], p[target[i + 3]], re, im, i)
        if readout == PROBABILITIES:
            for i in range(size):
                for l in range(count):
                    out[first + l, i] = p[i, l]
            return
        clear(totals)
        q = totals.shape[0]
        while q > 2:
            q -= 2
            for i in range(0, 1 << q, 2):
                _fold(p, i, 1 << q, totals[q + 1], totals[q])
        for l in range(LANES):
            if q == 2:
                totals[1, l] = p[0, l] + p[1, l] - p[2, l] - p[3, l]
                totals[0, l] = p[0, l] - p[1, l] + p[2, l] - p[3, l]
            else:
                totals[0, l] = p[0, l] - p[1, l]
    for k in range(totals.shape[0]):
        for l in range(count):
            out[first + l, k] = totals[k, l]


@inlined
def read_back(readout, observables, target, power, re, im, p, totals, first, count, grad, gr, gi):
    """The gradient of the block's state from that of its read-out."""
    size = re.shape[0]
    if readout == STATE:
        for i in range(size):
            t, turn = target[i], (4 - power[i]) & 3
            for l in range(LANES):
                a, b = grad.dtype.type(0), grad.dtype.type(0)
                if l < count:
                    a, b = grad[first + l, t], grad[first + l, size + t]
                if turn & 1:
                    a, b = -b, a
                if turn & 2:
                    a, b = -a, -b
                gr[i, l] = a
                gi[i, l] = b
        return
    for k in range(totals.shape[0]):
        for l in range(LANES):
            totals[k, l] = grad[first + l, k] if l < count else 0
    if readout == EXPECTATIONS:
        clear(gr)
        clear(gi)
        for k in range(observables.shape[0]):
            for i in range(size):
                j, turn = _coefficient(observables[k], i)
                _expect_back(totals[k], re[j], im[j], turn, gr[i], gi[i])
        return
    if readout == PROBABILITIES:
        for i in range(size):
            for l in range(LANES):
                p[i, l] = grad[first + l, i] if l < count else 0
    else:
        q = 2 - totals.shape[0] % 2
        for l in range(LANES):
            p[0, l], p[1, l] = totals[0, l], -totals[0, l]
            if q == 2:
                p[2, l], p[3, l] = p[0, l] - totals[1, l], p[1, l] - totals[1, l]
                p[0, l], p[1, l] = p[0, l] + totals[1, l], p[1, l] + totals[1, l]
        while q < totals.shape[0]:
            for i in range(0, 1 << q, 2):
                _unfold(p, i, 1 << q, totals[q + 1], totals[q])
            q += 2
    for i in range(0, size, 2):
        _pull(p[target[i]], p[target[i + 1]], re[i], im[i], re[i + 1], im[i + 1], gr[i], gi[i], gr[i + 1], gi[i + 1])
