"""A weight matrix as circuits: W = U S Vᵀ, the factors and the singular values as Givens rotations. (no torch)

On a device an unary state of n qubits runs backwards through the circuit of V; each of the first r qubits has an RBS
gate with a sink of its own, which leaves cos(angle) = s / max s of its amplitude; the circuit of U runs on these r and
m - r fresh qubits. That the excitation is found among the m is post-selected.
"""

from __future__ import annotations

import math

import numpy as np

from harness import EncodedMatrix

from .ansatz import Gate
from .plan import Angle
from .unary import OrthogonalCircuit, reachable, rounded

SCALE_BITS = 32                         # of the largest singular value, a float32


def encode(matrix: np.ndarray, factors: tuple[np.ndarray, np.ndarray, np.ndarray], bits: int) -> EncodedMatrix:
    """matrix (m, n) by its `factors` u (m, r), s (r,), vt (r, n), every angle of `bits` bits.

    The singular values are fitted anew to the rounded factors. The fidelity is |tr(Qᵀ U)|² / r² of the worse factor.
    """
    targets = [reachable(factors[0]), reachable(factors[2].T)]
    circuits = [OrthogonalCircuit.of(target, bits) for target in targets]
    left, right = made = [circuit.matrix() for circuit in circuits]
    values = ((matrix.T @ left) * right).sum(0)                                     # (r,): diag(Uᵀ W V)
    scale = float(np.float32(np.abs(values).max()))
    damping = rounded(np.arccos(np.clip(values / (scale or 1.0), -1, 1)), 0.0, math.pi, bits)
    rebuilt = scale * (left * np.cos(damping)) @ right.T
    (m, n), rank = matrix.shape, len(values)
    angles = rank + sum(circuit.angles.size for circuit in circuits)
    fidelity = min(float((target * found).sum() / rank) ** 2 for target, found in zip(targets, made, strict=True))
    return EncodedMatrix(rebuilt, angles, angles * bits + SCALE_BITS, fidelity, {
        "qubits": m + n,
        "depth": sum(circuit.depth for circuit in circuits) + 1,
        "post_selection_probability": float((rebuilt**2).sum()) / (n * scale**2) if scale else 0.0,
    })


def gates(left: OrthogonalCircuit, damping: np.ndarray, right: OrthogonalCircuit) -> list[Gate]:
    """The whole circuit on m + n qubits, first to act first: n of the input, m - r fresh ones, r sinks."""
    n, rank = right.size, len(damping)
    outputs, sinks = [*range(rank), *range(n, n + left.size - rank)], n + left.size - rank
    dampers = [Gate("rbs", (sinks + k, k), (Angle(offset=float(angle)),)) for k, angle in enumerate(damping)]
    moved = [Gate(gate.name, tuple(outputs[q] for q in gate.qubits), gate.angles) for gate in left.gates()]
    return [*right.gates(inverse=True), *dampers, *moved]
