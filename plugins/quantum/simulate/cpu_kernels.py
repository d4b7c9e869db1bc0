"""Statevectors as fused loops, compiled by numba: sixteen samples side by side, one block through the whole circuit.

A block of samples is prepared, evolved and read out while it stays in the cache; its backward pass recomputes it, walks
the circuit back with the state and its gradient, and keeps nothing in between. The parts are in `cpu_product`,
`cpu_rotations` and `cpu_readout`, inlined here.
"""

from __future__ import annotations

import numpy as np

from ...scan.cpu_jit import inlined, kernel
from .cpu_product import clear, prepare, prepare_back
from .cpu_readout import Z, count_bits, read, read_back
from .cpu_rotations import LANES, apply, apply_back, parity


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
    qubits, kind = count_bits(size - 1), out.dtype
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
        prepare(prefix, cos, sin, loaded, first, count, fr, fi, re, im)
        for k in range(ops.shape[0]):
            apply(ops[k], cos, sin, phases, re, im)
        if not back:
            read(readout, observables, target, power, re, im, p, totals, first, count, out)
            continue
        read_back(readout, observables, target, power, re, im, p, totals, first, count, out, gr, gi)
        clear(d_angle[:lanes])
        for k in range(ops.shape[0] - 1, -1, -1):
            apply_back(ops[k], cos, sin, phases, re, im, gr, gi, d_angle, d_table)
        if loaded.shape[0]:
            for i in range(size):
                for l in range(count):
                    d_loaded[first + l, 0, i] = gr[i, l]
                    d_loaded[first + l, 1, i] = gi[i, l]
        else:
            prepare_back(prefix, cos, sin, fr, fi, er, ei, re, im, gr, gi, d_angle)
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
                sine = -sin_w[a] if parity(i & tables[k, 0]) ^ tables[k, 1] else sin_w[a]
                c, s = c * cos_w[a] - s * sine, s * cos_w[a] + c * sine
            phases[t, 0, i], phases[t, 1, i] = c, s


@kernel
def phase_tables_back(tables, starts, lanes, d_phase, d_w):
    """Adds to d_w (shared angles,) what d_phase (tables, 2^n), by the half angles of single states, means for them."""
    for t in range(d_phase.shape[0]):
        for k in range(starts[t], starts[t + 1]):
            total = d_phase.dtype.type(0)
            for i in range(d_phase.shape[1]):
                total += -d_phase[t, i] if parity(i & tables[k, 0]) ^ tables[k, 1] else d_phase[t, i]
            d_w[tables[k, 2] - lanes] += total
