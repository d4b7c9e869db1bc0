"""Statevectors of gate plans: every backend against gate matrices in float64, values and gradients; plans, sampling."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import circuits
import pytest
import torch
from circuits import INPUTS, WEIGHTS, plan_of, random_circuit, simulate
from harness.plugins.quantum.cases import cases
from harness.plugins.quantum.circuit import gates
from harness.plugins.quantum.circuit.ansatz import Description, Gate
from harness.plugins.quantum.circuit.plan import Angle, Pauli, Plan, Readout, freed, w, x
from harness.plugins.quantum.simulate import sampling, statevector
from harness.plugins.quantum.simulate.program import TABLE, lower
from harness.plugins.quantum.simulate.shift import TWO_TERMS, angle_values, estimated
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import Unsupported, UsageError

KINDS = ("z", "probabilities", "paulis", "state")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}
ANSATZE = [
    Description(4, 2, encoding, ansatz, entangler)
    for encoding, ansatz, entangler in itertools.product(
        ("angle", "reupload", "amplitude"), ("rotations", "pyramid", "butterfly"), ("ring", "chain", "none"))
    if ansatz == "rotations" or entangler == "ring"
]


@pytest.fixture(params=["portable", "cpu"])
def backend(request):
    if request.param == "cpu":
        pytest.importorskip("numba", reason="numba is absent: no cpu backend")
    return request.param


def precision(backend: str) -> torch.dtype:
    return torch.float64 if backend == "portable" else torch.float32


def samples(plan: Plan, batch: int, dtype: torch.dtype, seed: int = 0) -> list[torch.Tensor]:
    """Leaves x, w and, where one is taken, a loaded state of any norm."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(batch, plan.inputs), (plan.weights,), *([(batch, 2, 1 << plan.qubits)] if plan.loaded else [])]
    return [torch.randn(*s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]


def gradients(out: torch.Tensor, leaves: list[torch.Tensor], grad: torch.Tensor) -> list[torch.Tensor]:
    if not out.requires_grad:                               # nothing of the circuit depends on a leaf
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(out, leaves, grad.to(out.dtype), allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    return a.numel() == 0 or float((a - b).detach().abs().max()) <= tolerance


def compare(
    circuit: list[Gate], n: int, readout: Readout, batch: int, loaded: bool, backend: str, seed: int = 0,
) -> None:
    """Values and all gradients of a backend against the matrices."""
    plan, dtype = plan_of(circuit, n, readout, loaded), precision(backend)
    leaves, exact = samples(plan, batch, dtype, seed), samples(plan, batch, torch.float64, seed)
    psi = torch.complex(exact[2][:, 0], exact[2][:, 1]) if loaded else None
    got, expected = statevector.run(plan, *leaves, backend=backend), simulate(circuit, n, readout, *exact[:2], psi)
    if readout.kind == "state":                             # a plan forgets the global phase
        a, b = (torch.complex(*planes.double().unbind(1)) for planes in (expected, got))
        assert torch.allclose((a * b.conj()).sum(1).abs(), a.abs().square().sum(1), rtol=1e-4)
        return
    scale = max(1.0, float(expected.detach().abs().max()))
    assert (got - expected).abs().max() <= TOLERANCE[dtype] * scale
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for mine, reference in zip(gradients(got, leaves, grad), gradients(expected, exact, grad), strict=True):
        assert close(mine, reference, 10 * TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("name", gates.GATES)
def test_every_gate_is_its_textbook_matrix(name):
    width, angles, _ = gates.GATES[name]
    circuit = [Gate(name, (2, 0)[:width], tuple(w(k) for k in range(angles)))]
    plan = plan_of(circuit, 3, Readout("state"), loaded=True)
    leaves = samples(plan, 3, torch.float64)
    got = statevector.run(plan, *leaves, backend="portable")
    expected = simulate(circuit, 3, plan.readout, leaves[0], leaves[1], torch.complex(*leaves[2].unbind(1)))
    a, b = torch.complex(*got.unbind(1)), torch.complex(*expected.unbind(1))
    phases = (a.conj() * b).sum(1) / a.abs().square().sum(1)
    assert torch.allclose(phases.abs(), torch.ones(3, dtype=torch.float64))
    assert torch.allclose(phases, phases[:1].expand(3))     # one phase for all states: the same operator


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(0, 30), st.sampled_from(KINDS), st.booleans(),
       st.sampled_from([1, 3, 17]))
def test_random_circuits_agree_with_matrices(seed, n, length, kind, loaded, batch):
    """The law: any gates, any read-out, any angles, values and gradients."""
    draw = random.Random(seed)
    strings = tuple("".join(draw.choice("IXYZ") for _ in range(n)) for _ in range(3)) if kind == "paulis" else ()
    circuit = random_circuit(draw, n, length)
    for backend in statevector.runnable("cpu"):
        compare(circuit, n, Readout(kind, strings), batch, loaded, backend, seed)


def test_one_qubit_and_no_gate(backend):
    n = 1 if backend == "portable" else 2
    compare([], n, Readout(), 2, False, backend)
    compare([Gate("ry", (0,), (x(0) + w(1),))], n, Readout(), 2, False, backend)


@pytest.mark.parametrize("description", ANSATZE, ids=lambda d: f"{d.encoding}-{d.ansatz}-{d.entangler}")
def test_every_ansatz_and_encoding(description, backend):
    plan, dtype = description.plan(), precision(backend)
    leaves, exact = samples(plan, 19, dtype), samples(plan, 19, torch.float64)
    psi = torch.complex(*exact[2].unbind(1)) if plan.loaded else None
    got = statevector.run(plan, *leaves, backend=backend)
    expected = simulate(description.gates(), 4, plan.readout, *exact[:2], psi)
    scale = max(1.0, float(expected.detach().abs().max()))
    assert (got - expected).abs().max() <= TOLERANCE[dtype] * scale
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for mine, reference in zip(gradients(got, leaves, grad), gradients(expected, exact, grad), strict=True):
        assert close(mine, reference, 20 * TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("description", ANSATZE, ids=lambda d: f"{d.encoding}-{d.ansatz}-{d.entangler}")
def test_no_angle_is_dead(description):
    """A gradient reaches every weight and input from the read-out of every qubit together."""
    plan = description.plan()
    leaves = samples(plan, 8, torch.float64)
    out = statevector.run(plan, *leaves)
    for grad in gradients(out, leaves[:2], torch.randn_like(out)):
        assert grad.numel() == 0 or (grad.abs().amax(0) if grad.dim() == 2 else grad.abs()).min() > 1e-4


def test_the_other_order_has_dead_angles():
    """Why RZ comes before RY: a last RZ turns nothing that Z sees."""
    wrong = [Gate("ry", (0,), (w(0),)), Gate("ry", (1,), (w(1),)), Gate("rz", (0,), (w(2),)), Gate("rz", (1,), (w(3),)),
             Gate("cx", (0, 1))]
    plan = plan_of(wrong, 2, Readout())
    leaves = samples(plan, 1, torch.float64)
    grad = torch.autograd.grad(statevector.run(plan, *leaves).sum(), leaves[1])[0]
    assert grad[:2].abs().min() > 1e-3
    assert grad[2:].abs().max() < 1e-12


def test_gradcheck():
    plan = plan_of(random_circuit(random.Random(3), 3, 14), 3, Readout())
    leaves = samples(plan, 2, torch.float64)
    assert torch.autograd.gradcheck(lambda a, b: statevector.run(plan, a, b, backend="portable"), leaves[:2])


@pytest.mark.slow
def test_the_kernels_in_float64():
    """The same loops to 1e-10, which no rounding of float32 can hide."""
    pytest.importorskip("numba")
    plan = replace(Description(5, 3, "reupload").plan(), readout=Readout("probabilities"))
    leaves = samples(plan, 33, torch.float64)
    outs = [statevector.run(plan, *leaves, backend=name) for name in ("portable", "cpu")]
    grad = torch.randn_like(outs[0])
    assert (outs[0] - outs[1]).abs().max() < 1e-12
    for a, b in zip(*(gradients(out, leaves, grad) for out in outs), strict=True):
        assert (a - b).abs().max() < 1e-10


def test_threads_change_no_value_and_no_gradient_by_more_than_rounding():
    pytest.importorskip("numba")
    plan = Description(10, 2).plan()
    leaves = samples(plan, 200, torch.float32)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            out = statevector.run(plan, *leaves, backend="cpu")
            found.append([out, *torch.autograd.grad(out.sum(), leaves)])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    torch.testing.assert_close(found[0][2], found[1][2], rtol=1e-4, atol=1e-4)


def test_entangling_layers_cost_nothing():
    """What the kernels run of a layered circuit: no CX, the first layer and the encoding on a product state, one table
    of phases and one rotation a qubit for each further layer."""
    program = lower(Description(6, 3).plan())
    assert len(program.prefix) == 6 * 3                     # RY(x), RZ(x + w), RY(w)
    assert [int(op[0]) for op in program.ops].count(TABLE) == 2
    assert len(program.ops) == 2 * (1 + 6)


def test_shapes_are_checked_and_memory_is_finite():
    plan = Description(3, 1).plan()
    with pytest.raises(ValueError, match="x has shape"):
        statevector.run(plan, torch.zeros(2, 5), torch.zeros(plan.weights))
    with pytest.raises(Unsupported, match=r"a statevector of 50 qubits .* qubits fit"):
        statevector.fit_qubits(50)
    with pytest.raises(UsageError, match=r"gate 'ccz' cannot be converted; known gates: .*\bcx\b"):
        gates.steps("ccz", [0, 1, 2])
    with pytest.raises(ValueError, match="qubit 4"):
        lower(Plan(3, 0, 0, tuple(gates.steps("rx", [4], [0.1]))))
    with pytest.raises(ValueError, match="'XYQ' is no Pauli string of 3 qubits"):
        Readout("paulis", ("XYQ",)).strings(3)


@pytest.mark.parametrize("wrong", [
    {"qubits": 0}, {"layers": 0}, {"ansatz": "butterfly", "qubits": 6}, {"ansatz": "pyramid", "entangler": "none"}])
def test_a_description_that_cannot_be_built_says_so(wrong):
    with pytest.raises(ValueError, match=r"qubits|entangles|power of two"):
        Description(**wrong)


def test_a_batch_of_none(backend):
    plan = Description(3, 1).plan()
    weights = torch.zeros(plan.weights, requires_grad=True)
    out = statevector.run(plan, torch.zeros(0, plan.inputs), weights, backend=backend)
    assert out.shape == (0, 3)
    out.sum().backward()
    assert not weights.grad.any()


# Sampling and shifts

def test_shots_scatter_as_theory_says():
    """Unbiased, with the standard deviation sqrt((1 - z^2) / S) of a mean of signs."""
    plan, shots, repeats = Description(4, 2).plan(), 300, 2000
    torch.manual_seed(0)
    leaves = [leaf.detach() for leaf in samples(plan, 3, torch.float32)]
    exact = statevector.run(plan, *leaves)
    found = sampling.sampled(plan, leaves[0].repeat(repeats, 1), leaves[1], shots=shots).unflatten(0, (repeats, 3))
    deviation = ((1 - exact.square()) / shots).sqrt()
    assert ((found.mean(0) - exact).abs() < 4 * deviation / math.sqrt(repeats)).all()
    assert (found.std(0) / deviation - 1).abs().max() < 0.08


def test_outcomes_follow_the_inverse_distribution_function():
    """Counted one by one: the least k with u < F(k), also beside impossible outcomes and at u = 0."""
    torch.manual_seed(0)
    probabilities = torch.rand(6, 8, dtype=torch.float64) * (torch.rand(6, 8) < 0.6)
    probabilities[:, 5] += 0.1
    probabilities /= probabilities.sum(1, keepdim=True)
    uniforms = torch.rand(3, 40, dtype=torch.float64)
    uniforms[:, 0] = 0
    found = sampling.frequencies(probabilities, uniforms)
    for row, observed in enumerate(found):
        counts = [0] * 8
        for u in uniforms[row % 3].tolist():
            reached = probabilities[row].cumsum(0).tolist()
            counts[next(k for k in range(8) if u < reached[k])] += 1
        assert (observed * 40).tolist() == counts


def test_read_outs_of_one_circuit_share_its_shots():
    """After a CX on |+0> both qubits always agree, shot by shot."""
    bell = plan_of([Gate("h", (0,)), Gate("cx", (0, 1))], 2, Readout())
    found = sampling.sampled(bell, torch.zeros(50, INPUTS), torch.zeros(WEIGHTS), shots=20)
    assert torch.equal(found[:, 0], found[:, 1])
    assert found.std() > 0.1


def test_shots_of_none_and_of_a_state():
    plan = Description(2, 1).plan()
    arguments = torch.zeros(1, plan.inputs), torch.zeros(plan.weights)
    with pytest.raises(UsageError, match="shots must be at least 1, got 0"):
        sampling.sampled(plan, *arguments, shots=0)
    with pytest.raises(UsageError, match="a state cannot be measured"):
        sampling.sampled(replace(plan, readout=Readout("state")), *arguments, shots=5)


@pytest.mark.parametrize("description", [
    Description(3, 2), Description(3, 1, "amplitude"), Description(4, 1, "reupload", "butterfly"),
], ids=lambda d: d.encoding)
def test_the_shift_rule_is_the_gradient(description):
    """With exact runs in place of sampled ones, shifts give the adjoint's gradient, also by loaded amplitudes."""
    plan = description.plan()
    free, angles = freed(plan)
    leaves = samples(plan, 2, torch.float64)
    if plan.loaded:
        with torch.no_grad():
            leaves[2][:, 1] = 0
            leaves[2] /= leaves[2].norm(dim=(1, 2), keepdim=True)
    exact = statevector.run(plan, *leaves)
    shifted = estimated(
        lambda theta, states: statevector.run(free, theta, theta.new_zeros(0), states),
        angle_values(angles, *leaves[:2]), leaves[2] if plan.loaded else None, [TWO_TERMS] * len(angles))
    grad = torch.randn_like(exact)
    first, second = gradients(exact, leaves, grad), gradients(shifted, leaves, grad)
    if plan.loaded:
        first[2], second[2] = first[2][:, 0], second[2][:, 0]
    torch.testing.assert_close(shifted, exact)
    torch.testing.assert_close(second, first)


@pytest.mark.parametrize("description", [Description(3, 1), Description(2, 1, "amplitude")], ids=lambda d: d.encoding)
def test_spsa_and_shift_are_unbiased_enough_to_train(description):
    """The mean of many estimates points along the exact gradient."""
    plan = description.plan()
    torch.manual_seed(0)
    leaves = samples(plan, 1, torch.float32)
    if plan.loaded:
        with torch.no_grad():
            leaves[2][:, 1] = 0
            leaves[2] /= leaves[2].norm(dim=(1, 2), keepdim=True)
    many = [leaves[0].detach().repeat(4000, 1), leaves[1], *(t.detach().repeat(4000, 1, 1) for t in leaves[2:])]
    exact = statevector.run(plan, *leaves)
    grad = torch.randn_like(exact)
    expected, = torch.autograd.grad(exact, leaves[1], grad)
    for method, accuracy in (("shift", 0.995), ("spsa", 0.97)):
        out = sampling.sampled(plan, *many, shots=200, gradient=method)
        got, = torch.autograd.grad(out, leaves[1], grad.expand_as(out))
        assert torch.cosine_similarity(got, expected, dim=0) > accuracy


def test_pauli_images_and_angles():
    assert Pauli.of([(0, "X"), (2, "Y")]) == Pauli(0b101, 0b100)
    assert Pauli(1, 0).commutes(Pauli(2, 2))
    assert not Pauli(1, 0).commutes(Pauli(0, 1))
    assert (x(1) + x(1) * 2 - w(0) + 0.5) == Angle((("input", 1, 3.0), ("weight", 0, -1.0)), 0.5)
    assert (w(0) - w(0)).terms == ()
    assert circuits.matrix("cx")[3, 2] == 1


def test_the_kernel_cases_run_and_name_their_floor():
    pytest.importorskip("qiskit_aer", reason="qiskit-aer is absent, which one of the cases runs")
    pytest.importorskip("pennylane", reason="pennylane is absent, which one of the cases runs")
    found = cases("cpu", sizes=((3, 4),))
    assert {case.role for case in found} >= {"implementation", "floor"}
    for case in found:
        case.run()
