"""RBS circuits of orthonormal columns: the statevector of the same gates, exactness, angle counts, rounding."""

import numpy as np
import pytest
import torch
from harness.plugins.quantum.circuit import gates as named
from harness.plugins.quantum.circuit.plan import Plan, Readout
from harness.plugins.quantum.circuit.unary import OrthogonalCircuit, reachable, tree
from harness.plugins.quantum.circuit.weights import encode, gates
from harness.plugins.quantum.simulate import statevector

from harness.gguf.lowrank import rounded_svd, truncated_svd

MANY = 50                               # bits: rounding below that of float64


def orthonormal(size, columns, seed=0):
    return reachable(np.linalg.qr(np.random.default_rng(seed).standard_normal((size, columns)))[0])


def relative(found, matrix):
    return np.linalg.norm(found - matrix) / np.linalg.norm(matrix)


def unary_amplitudes(gate_list, qubits, start):
    """What the statevector of `qubits` qubits makes of the state in which qubit `start` alone is excited."""
    steps = tuple(step for gate in gate_list for step in named.steps(gate.name, gate.qubits, gate.angles))
    plan = Plan(qubits, 0, 0, steps, Readout("state"), loaded=True)
    loaded = torch.zeros(1, 2, 1 << qubits, dtype=torch.float64)
    loaded[0, 0, 1 << start] = 1
    state = statevector.run(plan, torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64), loaded)
    assert state[0, 1].abs().max() < 1e-12                                          # real
    assert state[0, 0].square().sum() == pytest.approx(1)
    return np.array([state[0, 0, 1 << q].item() for q in range(qubits)])


@pytest.mark.parametrize(("size", "columns"), [(2, 1), (5, 3), (6, 6), (7, 2), (8, 8)])
def test_the_statevector_of_the_gates_agrees(size, columns):
    """Column k is what the full register of 2^d amplitudes makes of qubit k; the inverse gates take it back."""
    circuit = OrthogonalCircuit.of(orthonormal(size, columns), MANY)
    matrix = circuit.matrix()
    for k in range(columns):
        np.testing.assert_allclose(unary_amplitudes(circuit.gates(), size, k), matrix[:, k], atol=1e-12)
    back = np.stack([unary_amplitudes(circuit.gates(inverse=True), size, k) for k in range(size)], axis=1)
    np.testing.assert_allclose(back[:columns] @ matrix, np.eye(columns), atol=1e-12)


def test_the_whole_circuit_acts_as_the_matrix_that_is_reported():
    """V backwards, sinks, U, on one register: amplitudes times the scale are the columns of the rebuilt matrix."""
    rng, bits = np.random.default_rng(3), 7
    weights = rng.standard_normal((4, 5))
    factors = truncated_svd(weights, 3)
    encoded = encode(weights, factors, bits)
    left, right = (OrthogonalCircuit.of(f, bits) for f in (factors.u, factors.vt.T))
    values = np.einsum("ik,ij,jk->k", left.matrix(), weights, right.matrix())
    scale = np.float32(np.abs(values).max())
    grid = np.pi / (2**bits - 1)
    damping = np.rint(np.arccos(np.clip(values / scale, -1, 1)) / grid) * grid
    circuit, chance = gates(left, damping, right), 0.0
    for k in range(5):
        column = unary_amplitudes(circuit, 9, k)[[0, 1, 2, 5]]                      # r = 3 and one fresh qubit
        chance += (column**2).sum() / 5
        np.testing.assert_allclose(column * scale, encoded.matrix[:, k], atol=1e-6)
    assert encoded.facts["post_selection_probability"] == pytest.approx(chance)
    assert encoded.facts["qubits"] == 9
    assert encoded.numbers == len(circuit)


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (9, 4), (4, 9), (33, 33), (1, 7)])
def test_full_rank_and_many_bits_are_exact(shape):
    matrix = np.random.default_rng(1).standard_normal(shape)
    encoded = encode(matrix, truncated_svd(matrix, min(shape)), MANY)
    assert relative(encoded.matrix, matrix) < 1e-7                                  # the scale is a float32
    assert encoded.fidelity == pytest.approx(1)


@pytest.mark.parametrize(("size", "columns"), [(64, 64), (64, 16), (64, 1), (33, 7), (1, 1)])
def test_the_columns_are_exact_and_their_angles_as_many_as_their_degrees_of_freedom(size, columns):
    target = orthonormal(size, columns)
    circuit = OrthogonalCircuit.of(target, MANY)
    assert circuit.angles.size == size * columns - columns * (columns + 1) // 2
    np.testing.assert_allclose(circuit.matrix(), target, atol=1e-12)
    assert sum(pairs for pairs, _, _ in tree(size)) == size - 1
    assert len(tree(size)) == int(np.ceil(np.log2(size)))


@pytest.mark.parametrize("rank", [1, 16, 64])
def test_the_count_of_angles_and_bits_is_the_known_one(rank):
    d, bits = 64, 10
    matrix = np.random.default_rng(2).standard_normal((d, d))
    encoded = encode(matrix, truncated_svd(matrix, rank), bits)
    assert encoded.numbers == 2 * (d * rank - rank * (rank + 1) // 2) + rank
    assert encoded.stored_bits == encoded.numbers * bits + 32


def test_the_error_falls_with_the_bits_and_the_fidelity_rises():
    """At full rank each bit halves the error, down from far less than a chain of gates would gather (0.0175 at 10)."""
    matrix = np.random.default_rng(4).standard_normal((64, 64))
    factors = truncated_svd(matrix, 64)
    found = {bits: encode(matrix, factors, bits) for bits in (4, 6, 8, 10, 12, 16)}
    errors = [relative(encoded.matrix, matrix) for encoded in found.values()]
    assert errors == sorted(errors, reverse=True)
    np.testing.assert_allclose(np.log2(np.array(errors[1:4]) / errors[2:5]), 2, atol=0.3)
    assert relative(found[10].matrix, matrix) < 0.0175 / 4
    fidelities = [encoded.fidelity for encoded in found.values()]
    assert fidelities == sorted(fidelities)
    assert 0 < fidelities[0] < 0.99 < 0.9999 < fidelities[-1] <= 1 + 1e-12


def test_every_angle_lies_on_the_grid_of_its_bits():
    circuit, bits = OrthogonalCircuit.of(orthonormal(16, 5), 3), 3
    wide, quadrant = (np.linspace(low, high, 2**bits) for low, high in ((-np.pi, np.pi), (0, np.pi / 2)))
    start = 0
    for column in range(5):
        for pairs, _, norms in tree(16 - column):
            for angle, narrow in zip(circuit.angles[start : start + pairs], norms, strict=True):
                assert np.abs((quadrant if narrow else wide) - angle).min() < 1e-12
            start += pairs
    assert start == circuit.angles.size


def test_a_matrix_of_zeros_and_one_of_low_rank_come_back():
    assert not encode(np.zeros((4, 6)), truncated_svd(np.zeros((4, 6)), 2), 8).matrix.any()
    low = np.outer(np.arange(5.0), np.arange(1.0, 9.0))
    assert relative(encode(low, truncated_svd(low, 3), 20).matrix, low) < 1e-4


def test_a_determinant_of_minus_one_is_met_by_the_sign_of_a_singular_value():
    mirror = np.diag([1.0, 1.0, -1.0])
    np.testing.assert_allclose(encode(mirror, truncated_svd(mirror, 3), MANY).matrix, mirror, atol=1e-6)


def test_the_control_has_no_more_bits_and_is_the_truncated_svd_where_they_are_many():
    matrix = np.random.default_rng(5).standard_normal((40, 30))
    factors = truncated_svd(matrix, 10)
    control, rank = rounded_svd(matrix, factors, 24, 5 * (70 * 24 + 32) + 7)
    assert rank == 5
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    assert relative(control, (u[:, :5] * s[:5]) @ vt[:5]) < 1e-5
    assert rounded_svd(matrix, factors, 24, 100)[1] == 0
