"""Statevectors as fused loops, compiled by numba: sixteen samples side by side, one block through the whole circuit.

A row holds one amplitude of LANES samples, so that every loop over a row is one vector instruction and no amplitude is
ever shuffled within a register. A block of samples is prepared, evolved and read out while it stays in the cache; its
backward pass recomputes it, walks the circuit back with the state and its gradient, and keeps nothing in between.

A rotation about a Pauli string couples rows i and i ^ x, with a sign from the parity of i & z.
"""

from __future__ import annotations

import numpy as np

from ..scan.cpu_jit import inlined, kernel
from .program import DIAGONAL, IMAGINARY, REAL, TABLE

LANES = 16                          # float32 values of one AVX-512 register
EXPECTATIONS, Z, PROBABILITIES, STATE = range(4)        # kinds of read-out


@inlined
def _parity(bits):
    bits ^= bits >> 16
    bits ^= bits >> 8
    bits ^= bits >> 4
    return (0x6996 >> (bits & 15)) & 1


@inlined
def _turn_real(c, s, ar, ai, br, bi):
    """a, b = c a + s b, c b - s a."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        ar[l] = c[l] * xr + s[l] * yr
        ai[l] = c[l] * xi + s[l] * yi
        br[l] = c[l] * yr - s[l] * xr
        bi[l] = c[l] * yi - s[l] * xi


@inlined
def _turn_imaginary(c, s, ar, ai, br, bi):
    """a, b = c a - i s b, c b - i s a."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        ar[l] = c[l] * xr + s[l] * yi
        ai[l] = c[l] * xi - s[l] * yr
        br[l] = c[l] * yr + s[l] * xi
        bi[l] = c[l] * yi - s[l] * xr


@inlined
def _turn_phases(c, s, t, ar, ai, br, bi):
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
def _slope_real(d, ar, ai, br, bi, gr, gi, hr, hi):
    """d += Re <(g, h), (b, -a)>."""
    for l in range(LANES):
        d[l] += gr[l] * br[l] + gi[l] * bi[l] - hr[l] * ar[l] - hi[l] * ai[l]


@inlined
def _slope_imaginary(d, ar, ai, br, bi, gr, gi, hr, hi, sign):
    """d += sign Re <(g, h), (-i b, -i a)>."""
    for l in range(LANES):
        d[l] += sign * (gr[l] * bi[l] - gi[l] * br[l] + hr[l] * ai[l] - hi[l] * ar[l])


@inlined
def _turn_phases_back(d, c, s, t, sign, sign_b, ar, ai, br, bi, gr, gi, hr, hi):
    """d += sign Re <g, -i a> + sign_b Re <h, -i b>; then a, g by (c - i s) and b, h by (c - i t)."""
    for l in range(LANES):
        xr, xi, yr, yi = ar[l], ai[l], br[l], bi[l]
        ur, ui, vr, vi = gr[l], gi[l], hr[l], hi[l]
        d[l] += sign * (ur * xi - ui * xr) + sign_b * (vr * yi - vi * yr)
        ar[l] = c[l] * xr + s[l] * xi
        ai[l] = c[l] * xi - s[l] * xr
        br[l] = c[l] * yr + t[l] * yi
        bi[l] = c[l] * yi - t[l] * yr
        gr[l] = c[l] * ur + s[l] * ui
        gi[l] = c[l] * ui - s[l] * ur
        hr[l] = c[l] * vr + t[l] * vi
        hi[l] = c[l] * vi - t[l] * vr


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
def _apply(op, cos, sin, phases, re, im):
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
            odd = _parity(i & z) ^ negative
            _turn_phases(c, sin[angle, odd], sin[angle, odd ^ (z & 1)], re[i], im[i], re[i + 1], im[i + 1])
        return
    low = x & -x
    for pair in range(size >> 1):
        i = ((pair & -low) << 1) | (pair & (low - 1))
        j = i ^ x
        odd = _parity(j & z) ^ negative
        if kind == REAL:
            if odd:
                _turn_real(c, sin[angle, 0], re[j], im[j], re[i], im[i])
            else:
                _turn_real(c, sin[angle, 0], re[i], im[i], re[j], im[j])
        else:
            _turn_imaginary(c, sin[angle, odd], re[i], im[i], re[j], im[j])


@inlined
def _apply_back(op, cos, sin, phases, re, im, gr, gi, d_angle, d_phase):
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
            odd = _parity(i & z) ^ negative
            next_odd = odd ^ (z & 1)
            _turn_phases_back(
                d, c, sin[angle, 1 - odd], sin[angle, 1 - next_odd], np.float32(1 - 2 * odd),
                np.float32(1 - 2 * next_odd), re[i], im[i], re[i + 1], im[i + 1], gr[i], gi[i], gr[i + 1], gi[i + 1])
        return
    low = x & -x
    for pair in range(size >> 1):
        i = ((pair & -low) << 1) | (pair & (low - 1))
        j = i ^ x
        odd = _parity(j & z) ^ negative
        if kind == REAL:
            if odd:
                i, j = j, i
            _slope_real(d, re[i], im[i], re[j], im[j], gr[i], gi[i], gr[j], gi[j])
            _turn_real(c, sin[angle, 1], re[i], im[i], re[j], im[j])
            _turn_real(c, sin[angle, 1], gr[i], gi[i], gr[j], gi[j])
        else:
            _slope_imaginary(d, re[i], im[i], re[j], im[j], gr[i], gi[i], gr[j], gi[j], np.float32(1 - 2 * odd))
            _turn_imaginary(c, sin[angle, 1 - odd], re[i], im[i], re[j], im[j])
            _turn_imaginary(c, sin[angle, 1 - odd], gr[i], gi[i], gr[j], gi[j])


@inlined
def _apply_factor(op, cos, sin, fr, fi):
    """A rotation of one qubit before anything entangles it: fr, fi (qubits, 2, LANES)."""
    kind, q, negative, angle = op[0], op[1], op[2], op[3]
    if kind == REAL:
        _turn_real(cos[angle], sin[angle, negative], fr[q, 1], fi[q, 1], fr[q, 0], fi[q, 0])
    elif kind == IMAGINARY:
        _turn_imaginary(cos[angle], sin[angle, negative], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1])
    else:
        _turn_phases(cos[angle], sin[angle, negative], sin[angle, 1 - negative], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1])


@inlined
def _apply_factor_back(op, cos, sin, fr, fi, gr, gi, d_angle):
    kind, q, negative, angle = op[0], op[1], op[2], op[3]
    c, s, d, sign = cos[angle], sin[angle, 1 - negative], d_angle[angle], np.float32(1 - 2 * negative)
    if kind == REAL:
        a, b = 1 - negative, negative
        _slope_real(d, fr[q, a], fi[q, a], fr[q, b], fi[q, b], gr[q, a], gi[q, a], gr[q, b], gi[q, b])
        _turn_real(c, s, fr[q, 1], fi[q, 1], fr[q, 0], fi[q, 0])
        _turn_real(c, s, gr[q, 1], gi[q, 1], gr[q, 0], gi[q, 0])
    elif kind == IMAGINARY:
        _slope_imaginary(d, fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1], gr[q, 0], gi[q, 0], gr[q, 1], gi[q, 1], sign)
        _turn_imaginary(c, s, fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1])
        _turn_imaginary(c, s, gr[q, 0], gi[q, 0], gr[q, 1], gi[q, 1])
    else:
        _turn_phases_back(d, c, s, sin[angle, negative], sign, -sign, fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1],
                          gr[q, 0], gi[q, 0], gr[q, 1], gi[q, 1])


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
def _load_angles(cos_in, sin_in, first, count, cos, sin):
    """The angles of this block's samples; lanes without a sample repeat the last one."""
    for k in range(cos_in.shape[0]):
        for l in range(LANES):
            b = first + min(l, count - 1)
            cos[k, l] = cos_in[k, b]
            sin[k, 0, l] = sin_in[k, b]
            sin[k, 1, l] = -sin_in[k, b]


@inlined
def _share_angles(cos_w, sin_w, lanes, cos, sin):
    for k in range(cos_w.size):
        for l in range(LANES):
            cos[lanes + k, l] = cos_w[k]
            sin[lanes + k, 0, l] = sin_w[k]
            sin[lanes + k, 1, l] = -sin_w[k]


@inlined
def _clear(rows):
    flat = rows.reshape(rows.size)
    for i in range(flat.size):
        flat[i] = 0


@inlined
def _prepare(prefix, cos, sin, loaded, first, count, fr, fi, re, im):
    """The state before the first operation: a product of factors, or the given one (B, 2, 2^n)."""
    qubits = fr.shape[0]
    if loaded.shape[0]:
        for i in range(re.shape[0]):
            for l in range(LANES):
                b = first + min(l, count - 1)
                re[i, l] = loaded[b, 0, i]
                im[i, l] = loaded[b, 1, i]
        return
    _clear(fr)
    _clear(fi)
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
def _coefficient(observable, i):
    """The row j and the power of i with <i|P|j>."""
    x, z = observable[0], observable[1]
    j = i ^ x
    return j, (_count(x & z) + 2 * (_parity(j & z) ^ observable[2])) & 3


@inlined
def _count(bits):
    total = 0
    while bits:
        bits &= bits - 1
        total += 1
    return total


@inlined
def _read(readout, observables, target, power, re, im, p, totals, first, count, out):
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
            _clear(totals[k])
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
        _clear(totals)
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
def _read_back(readout, observables, target, power, re, im, p, totals, first, count, grad, gr, gi):
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
        _clear(gr)
        _clear(gi)
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


@inlined
def _prepare_back(prefix, cos, sin, fr, fi, er, ei, re, im, gr, gi, d_angle):
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
    _clear(er)
    _clear(ei)
    for q in range(qubits - 1, -1, -1):
        size = 1 << q
        for i in range(size):
            _multiply_back(re[size + i], im[size + i], fr[q, 0], fi[q, 0], fr[q, 1], fi[q, 1], gr[i], gi[i],
                           gr[size + i], gi[size + i], er[q, 0], ei[q, 0], er[q, 1], ei[q, 1])
    for k in range(prefix.shape[0] - 1, -1, -1):
        _apply_factor_back(prefix[k], cos, sin, fr, fi, er, ei, d_angle)


@kernel
def sweep(
    b0, b1, program, cos_in, sin_in, cos_w, sin_w, phases, loaded, readout, out, back, d_in, d_w, d_phase, d_loaded,
):
    """Samples [b0, b1), b0 a multiple of LANES, through `program` = (prefix, ops, observables, target, power).

    cos_in, sin_in (lane angles, B) and cos_w, sin_w (shared angles,) are of half the angles, phases (tables, 2, 2^n)
    their tables; loaded (B or 0, 2, 2^n). Fills out (B, outputs), a state as planes [re | im]. With `back` out holds
    the gradient of that, and filled for these samples are the derivatives by angles d_in (lane angles, B) and by the
    loaded state, added to d_w (shared angles,) and, by the phases of single basis states, d_phase (tables, 2^n).
    """
    prefix, ops, observables, target, power = program
    size, lanes, angles = target.shape[0], cos_in.shape[0], cos_in.shape[0] + cos_w.shape[0]
    qubits, kind = _count(size - 1), out.dtype
    cos, sin = np.empty((angles, LANES), kind), np.empty((angles, 2, LANES), kind)
    fr, fi = np.empty((qubits, 2, LANES), kind), np.empty((qubits, 2, LANES), kind)
    re, im, p = np.empty((size, LANES), kind), np.empty((size, LANES), kind), np.empty((size, LANES), kind)
    totals = np.empty((out.shape[1] if readout <= Z else 0, LANES), kind)
    held = size if back else 0
    er, ei = np.empty((qubits, 2, LANES), kind), np.empty((qubits, 2, LANES), kind)
    gr, gi = np.empty((held, LANES), kind), np.empty((held, LANES), kind)
    d_angle, d_table = np.zeros((angles, LANES), kind), np.zeros((phases.shape[0], held, LANES), kind)
    _share_angles(cos_w, sin_w, lanes, cos, sin)
    for first in range(b0, b1, LANES):
        count = min(LANES, b1 - first)
        _load_angles(cos_in, sin_in, first, count, cos, sin)
        _prepare(prefix, cos, sin, loaded, first, count, fr, fi, re, im)
        for k in range(ops.shape[0]):
            _apply(ops[k], cos, sin, phases, re, im)
        if not back:
            _read(readout, observables, target, power, re, im, p, totals, first, count, out)
            continue
        _read_back(readout, observables, target, power, re, im, p, totals, first, count, out, gr, gi)
        _clear(d_angle[:lanes])
        for k in range(ops.shape[0] - 1, -1, -1):
            _apply_back(ops[k], cos, sin, phases, re, im, gr, gi, d_angle, d_table)
        if loaded.shape[0]:
            for i in range(size):
                for l in range(count):
                    d_loaded[first + l, 0, i] = gr[i, l]
                    d_loaded[first + l, 1, i] = gi[i, l]
        else:
            _prepare_back(prefix, cos, sin, fr, fi, er, ei, re, im, gr, gi, d_angle)
        for k in range(lanes):
            for l in range(count):
                d_in[k, first + l] = d_angle[k, l] * np.float32(0.5)
    if back:
        for k in range(cos_w.shape[0]):
            for l in range(LANES):
                d_w[k] += d_angle[lanes + k, l] * np.float32(0.5)
        for k in range(phases.shape[0]):
            for i in range(size):
                for l in range(LANES):
                    d_phase[k, i] += d_table[k, i, l] * np.float32(0.5)


@kernel
def phase_tables(tables, starts, cos_w, sin_w, lanes, phases):
    """phases (tables, 2, 2^n): cos and sin of the summed half angles of the diagonal rotations tables[starts[t] :
    starts[t + 1]], rows (z, negative, angle)."""
    for t in range(phases.shape[0]):
        for i in range(phases.shape[2]):
            c, s = phases.dtype.type(1), phases.dtype.type(0)
            for k in range(starts[t], starts[t + 1]):
                a = tables[k, 2] - lanes
                sine = -sin_w[a] if _parity(i & tables[k, 0]) ^ tables[k, 1] else sin_w[a]
                c, s = c * cos_w[a] - s * sine, s * cos_w[a] + c * sine
            phases[t, 0, i], phases[t, 1, i] = c, s


@kernel
def phase_tables_back(tables, starts, lanes, d_phase, d_w):
    """Adds to d_w (shared angles,) what d_phase (tables, 2^n), by the half angles of single states, means for them."""
    for t in range(d_phase.shape[0]):
        for k in range(starts[t], starts[t + 1]):
            total = d_phase.dtype.type(0)
            for i in range(d_phase.shape[1]):
                total += -d_phase[t, i] if _parity(i & tables[k, 0]) ^ tables[k, 1] else d_phase[t, i]
            d_w[tables[k, 2] - lanes] += total
