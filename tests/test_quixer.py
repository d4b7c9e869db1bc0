"""Quixer: against dense matrices in float64 and against other simulators, its twins, its state, its diagnostics."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import torch
from harness.plugins.quantum.circuit.plan import Readout
from harness.plugins.quixer.ansatz import everywhere, layered, plan_of, rings
from harness.plugins.quixer.config import QuixerConfig
from harness.plugins.quixer.model import Quixer
from harness.plugins.quixer.powers import Powers
from harness.plugins.quixer.registers import Modes, Qubits
from harness.plugins.quixer.study import quixer_circuits
from torch.utils._python_dispatch import TorchDispatchMode

from harness import Unsupported
from harness.audit.auditor import audit

X, Y, Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
SMALL = {"dim": 8, "qubits": 3, "ansatz_layers": 2, "window": 4}
FORMS = [{}, {"entangler": False}, {"circuit": "classical"}]
VOCAB = 7


def model(seed=0, **options):
    torch.manual_seed(seed)
    made = Quixer(QuixerConfig(**SMALL | options), VOCAB)
    torch.nn.init.normal_(made.embedding.weight, std=2.0)       # as published all tokens start as nearly one unitary
    return made


def text(batch, length, seed=0):
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


# The reference: matrices of 2^n x 2^n, the qubit 0 the lowest bit, no kernel and no gate plan.

def on(qubits, parts):
    return reduce(np.kron, [parts.get(q, np.eye(2)) for q in reversed(range(qubits))])


def turned(angle, pauli):
    return np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * pauli


def unitary(qubits, angles, entangler=True):
    """Circuit 14 as Figure 2 of Sim et al. shows it: both rings begin with the last qubit as control."""
    u, angles = np.eye(1 << qubits), iter(angles)
    forth = [(q, (q + 1) % qubits) for q in reversed(range(qubits))]
    back = [(q, (q - 1) % qubits) for q in [qubits - 1, *range(qubits - 1)]]
    while (first := next(angles, None)) is not None:
        for ring in (forth, back):
            for q in range(qubits):
                u = on(qubits, {q: turned(first if q == 0 and ring is forth else next(angles), Y)}) @ u
            for control, target in ring:
                gate = turned(next(angles), X)
                free = on(qubits, {control: np.diag([1, 0])})
                u = (free + on(qubits, {control: np.diag([0, 1]), target: gate}) if entangler
                     else on(qubits, {target: gate})) @ u
    return u


def logits_of(window, weights, config):
    """One prediction from one window of tokens, as the paper has it, and the chance of post-selection."""
    n, w = config.qubits, {name: value.detach().double().numpy() for name, value in weights.items()}
    b = w["mix"][:, 0] + 1j * w["mix"][:, 1]
    b, c = b / np.abs(b).sum(), w["polynomial"] / np.abs(w["polynomial"]).sum()
    angles = w["embedding.weight"][window] @ w["angles.weight"].T + w["angles.bias"]
    m = sum(share * unitary(n, a, config.entangler) for share, a in zip(b, angles, strict=True))
    state = sum(share * np.linalg.matrix_power(m, k) for k, share in enumerate(c))[:, 0]
    chance = (np.abs(state) ** 2).sum()
    state = unitary(n, w["reader"], config.entangler) @ state / np.sqrt(chance)
    found = [(state.conj() @ on(n, {q: pauli}) @ state).real for pauli in (X, Y, Z) for q in range(n)]
    hidden = np.maximum(w["up.weight"] @ found + w["up.bias"], 0)
    return w["head.weight"] @ hidden + w["head.bias"], chance


@pytest.mark.parametrize("options", [{}, {"entangler": False}, {"degree": 1}, {"qubits": 2, "degree": 4}], ids=str)
def test_every_position_is_the_prediction_of_its_window(options):
    made, tokens = model(**options).double(), text(2, 6)
    found, _ = made(tokens)
    padded = np.concatenate([np.full((2, 3), VOCAB), tokens.numpy()], axis=1)       # the padding has a unitary too
    expected = [[logits_of(row[t:t + 4], made.state_dict(), made.config) for t in range(6)] for row in padded]
    np.testing.assert_allclose(found.detach(), [[logits for logits, _ in row] for row in expected], atol=1e-12)
    chance = np.mean([chance for row in expected for _, chance in row])
    assert made.diagnostics()["post_selection_probability"] == pytest.approx(chance)


def test_a_call_waits_for_no_number_of_a_device():
    """A diagnostic becomes a Python number when it is asked for."""
    made, waits = model(), []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            waits.extend([function] * (function is torch.ops.aten._local_scalar_dense.default))
            return function(*args, **kwargs or {})

    with Watch():
        made(text(2, 6))[0].sum().backward()
        assert not waits
        made.diagnostics()
        assert len(waits) == 1


def test_the_ansatz_is_that_of_pennylane():
    """A simulator that shares nothing with ours; its qubit 0 is the highest bit."""
    qml = pytest.importorskip("pennylane")
    n, layers = 4, 2
    angles = torch.randn(1, 4 * n * layers, dtype=torch.float64)

    @qml.qnode(qml.device("default.qubit", wires=n))
    def circuit(values):
        values = iter(values)
        for _ in range(layers):
            for ring in rings(n):
                for q in range(n):
                    qml.RY(next(values), wires=n - 1 - q)
                for control, target in ring:
                    qml.CRX(next(values), wires=[n - 1 - control, n - 1 - target])
        return qml.state()

    start = torch.eye(1 << n, dtype=torch.complex128)[:1]
    np.testing.assert_allclose(Qubits(n, layers, True).turn(angles, start)[0], circuit(angles[0].numpy()), atol=1e-12)


def test_the_ansatz_and_the_reader_are_those_of_qiskit():
    pytest.importorskip("qiskit")
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp, Statevector

    n, angles = 3, torch.randn(12, dtype=torch.float64)
    circuit = QuantumCircuit(n)
    for gate, angle in zip(layered(n, 1, "weight"), angles.tolist(), strict=True):
        getattr(circuit, gate.name)(angle, *gate.qubits)
    state = Statevector(circuit)
    expected = [state.expectation_value(SparsePauliOp(label)).real for label in everywhere(n).paulis]
    start = torch.eye(1 << n, dtype=torch.complex128)[:1]
    np.testing.assert_allclose(Qubits(n, 1, True).read(angles, start)[0], expected, atol=1e-12)


def test_the_backward_pass_of_powers():
    matrices, start = (torch.randn(2, *shape, dtype=torch.complex128) for shape in ((3, 3), (3,)))
    assert torch.autograd.gradcheck(lambda m: Powers.apply(m, start, 3), matrices.requires_grad_())
    expected = [torch.einsum("pi,pij->pj", start, torch.linalg.matrix_power(matrices, k)) for k in (1, 2, 3)]
    torch.testing.assert_close(Powers.apply(matrices, start, 3), torch.stack(expected, 1))


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_every_form_passes_the_audit(options):
    report = audit(model(**options), [9])
    assert report.passed, report.summary()


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_matrices_and_states_give_the_same(options):
    """Which of them is computed depends on how many positions and tokens there are."""
    made, windows = model(**options).double(), text(6, 4)
    angles = made.angles(made.embedding(windows.unique()))
    start = torch.eye(made.register.size, dtype=torch.complex128)[:1].expand(len(angles), -1)
    matrices = made.register.transposed(angles)
    assert torch.allclose(made.register.turn(angles, start), matrices[:, 0])
    unit = torch.eye(made.register.size, dtype=torch.complex128)
    assert torch.allclose(matrices @ matrices.mH, unit.expand_as(matrices), atol=1e-12)
    psi = torch.randn(6, made.register.size, dtype=torch.complex128)
    few, many = (made.powers(windows.repeat(times, 1), psi.repeat(times, 1))[:6] for times in (1, 20))
    assert torch.allclose(few, many)


def test_twins_have_as_many_parameters_and_no_dead_ones():
    counts = set()
    for options in FORMS:
        made = model(**options)
        logits, _ = made(text(8, 12))
        (logits * torch.randn_like(logits)).sum().backward()
        counts.add(sum(p.numel() for p in made.parameters()))
        for name in ("mix", "polynomial", "reader", "angles.weight"):
            assert made.get_parameter(name).grad.abs().min() > 1e-9, name
    assert len(counts) == 1


def test_without_an_entangler_a_token_leaves_the_qubits_apart():
    """U is a product of one-qubit gates: of every pair of qubits the states stay pure."""
    angles = torch.randn(5, 24, dtype=torch.float64)
    start = torch.eye(8, dtype=torch.complex128)[:1].expand(5, -1)
    purity = {}
    for entangler in (True, False):
        low = Qubits(3, 2, entangler).turn(angles, start).unflatten(1, (4, 2))
        purity[entangler] = (low.mH @ low).abs().square().sum((1, 2))
    assert purity[False].min() > 1 - 1e-12
    assert purity[True].max() < 1 - 1e-3


def test_only_the_window_is_seen_and_kept():
    made = model().double()
    long = text(2, 12)
    with torch.no_grad():
        whole, state = made(long)
        _, other = made(torch.cat([(long[:, :8] + 1) % VOCAB, long[:, 8:]], dim=1))
        assert torch.equal(state, long[:, -3:])
        after = [made(long[:, :1], kept)[0] for kept in (state, other[:, -3:])]
        moved = made(torch.cat([(long[:, :8] + 1) % VOCAB, long[:, 8:]], dim=1))[0]
    assert made.note() == "predicts from the last 4 tokens"
    torch.testing.assert_close(moved[:, 11:], whole[:, 11:])
    assert not torch.allclose(moved[:, 10], whole[:, 10])
    torch.testing.assert_close(*after)


def test_the_suite_of_circuits_measures_that_of_a_token():
    family = quixer_circuits(QuixerConfig(qubits=3, ansatz_layers=2))
    circuit = family.at(*family.size)
    assert circuit.facts == {"n_qubits": 3, "depth": 2, "two_qubit_gates": 12}
    angles, loaded = circuit.draw(2, seed=0)
    found = torch.complex(*circuit.run(Readout("state"), angles, loaded).unbind(1))
    np.testing.assert_allclose(found, [unitary(3, one.double().numpy())[:, 0] for one in angles], atol=1e-6)
    assert min(circuit.squared_gradients(4)) > 0
    for refused in (lambda: quixer_circuits(QuixerConfig(circuit="classical")), lambda: family.at(1, 1),
                    lambda: family.disturb(model(), 1.0), lambda: model().circuit_cost(8)):
        with pytest.raises(Unsupported):
            refused()


def test_published_sizes():
    made = QuixerConfig()
    assert (made.dim, made.qubits, made.degree, made.ansatz_layers, made.window) == (512, 6, 3, 4, 32)
    with torch.device("meta"):
        assert Quixer(made, 50).angles.out_features == 96
    assert plan_of(layered(6, 4, "input"), 6, everywhere(6)).outputs == 18


@pytest.mark.parametrize(("options", "reason"), [
    ({"qubits": 1}, "ring"), ({"window": 0}, "at least 1"), ({"dropout": 1.0}, "below 1"),
    ({"circuit": "classical", "entangler": False}, "no entangler")])
def test_impossible_options_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        QuixerConfig(**options)


def test_a_mode_reads_as_a_qubit_does():
    """Three numbers for each, of one unit vector: within -1 and 1."""
    modes = Modes(4, 1)
    psi = torch.nn.functional.normalize(torch.randn(20, 4, dtype=torch.complex128), dim=-1)
    found = modes.read(torch.randn(16, dtype=torch.float64), psi)
    assert found.shape == (20, 12)
    assert found.abs().max() <= 1 + 1e-12
