"""Circuits of Qiskit and PennyLane: converted plans equal the libraries' own simulation, gradients too, to 1e-10."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from circuits import INPUTS, WEIGHTS, random_circuit
from harness.plugins.quantum.circuit.ansatz import Description
from harness.plugins.quantum.circuit.plan import Readout
from harness.plugins.quantum.layer import CircuitLayer, Execution
from harness.plugins.quantum.simulate import statevector
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import UsageError

LIBRARIES = ("qiskit", "pennylane")
ANSATZE = [
    Description(4, 2, encoding, ansatz, entangler)
    for encoding, ansatz, entangler in itertools.product(
        ("angle", "reupload", "amplitude"), ("rotations", "pyramid", "butterfly"), ("ring", "none"))
    if ansatz == "rotations" or entangler == "ring"
]
READOUTS = [Readout("probabilities"), Readout("paulis", ("XYZ", "IZX", "ZZI"))]


@pytest.fixture(params=LIBRARIES)
def library(request):
    pytest.importorskip(request.param, reason=f"{request.param} is absent")
    if request.param == "qiskit":
        pytest.importorskip("qiskit_aer", reason="qiskit-aer is absent")
    return request.param


def layers(description: Description, library: str, **options) -> list[CircuitLayer]:
    """Compiled and native, with the same angles."""
    found = []
    for mode in ("compiled", "native"):
        torch.manual_seed(1)
        found.append(CircuitLayer(description, Execution(mode, library, **options)).double())
    return found


def compare(description: Description, library: str, tolerance: float = 1e-10, batch: int = 2, **options) -> None:
    compiled, native = layers(description, library, **options)
    torch.manual_seed(0)
    x = torch.randn(batch, description.features, dtype=torch.float64, requires_grad=True)
    loads = description.encoding == "amplitude"
    found = []
    for layer, run in ((compiled, lambda *a: statevector.run(compiled.plan, *a)), (native, native.native)):
        loaded = layer.load(x) if loads else None
        out = run(x[:, :0] if loads else x, layer.weight, loaded)
        torch.manual_seed(2)
        found.append([out, *torch.autograd.grad(out, [x, layer.weight], torch.randn_like(out))])
    for a, b in zip(*found, strict=True):
        assert (a - b).abs().max() <= tolerance


@pytest.mark.parametrize("description", ANSATZE, ids=lambda d: f"{d.encoding}-{d.ansatz}-{d.entangler}")
def test_compiled_equals_native(description, library):
    compare(description, library, batch=1)


@pytest.mark.parametrize("readout", READOUTS, ids=lambda r: r.kind)
def test_every_read_out(readout, library):
    compare(Description(3, 1, readout=readout), library)


def test_lightning_by_adjoint():
    """It computes in float64 and returns float32."""
    pytest.importorskip("pennylane")
    compare(Description(3, 2), "pennylane", 1e-6, device="lightning.qubit")
    with pytest.raises(UsageError, match=r"unknown device 'no\.such'; known: default\.qubit"):
        compare(Description(3, 2), "pennylane", device="no.such")
    with pytest.raises(UsageError, match="expectation values only"):
        compare(Description(3, 2, readout=Readout("probabilities")), "pennylane", device="lightning.qubit")


def test_both_libraries_give_one_plan():
    for name in LIBRARIES:
        pytest.importorskip(name)
    for description in ANSATZE:
        plans = [CircuitLayer(description, Execution(library=name)).plan for name in LIBRARIES]
        torch.manual_seed(0)
        arguments = [torch.randn(3, description.inputs), torch.randn(description.weights)]
        loaded = torch.randn(3, 2, 16) if plans[0].loaded else None
        a, b, c = (statevector.run(plan, *arguments, loaded) for plan in (*plans, description.plan()))
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a, c)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 25))
def test_random_qiskit_circuits(seed, n, length):
    """Any gates, with expressions of parameters as angles: the converted plan against Qiskit's statevector."""
    qiskit = pytest.importorskip("qiskit")
    from harness.plugins.quantum.libraries.qiskit_circuit import from_qiskit
    from qiskit.circuit import ParameterVector
    from qiskit.circuit.library import XXPlusYYGate
    from qiskit.quantum_info import SparsePauliOp, Statevector

    vectors = {"input": ParameterVector("x", INPUTS), "weight": ParameterVector("w", WEIGHTS)}
    circuit = qiskit.QuantumCircuit(n)
    for gate in random_circuit(random.Random(seed), n, length):
        angles = [sum((c * vectors[s][i] for s, i, c in a.terms), a.offset) for a in gate.angles]
        if gate.name in ("rbs", "xx_plus_yy"):
            angles = [angles[0], 0.7] if gate.name == "xx_plus_yy" else [angles[0], 1.5707963267948966]
            circuit.append(XXPlusYYGate(*angles), gate.qubits)
        else:
            getattr(circuit, gate.name)(*angles, *gate.qubits)
    plan = from_qiskit(circuit, Readout("z"), inputs=list(vectors["input"]), weights=list(vectors["weight"]))
    torch.manual_seed(seed)
    x, w = torch.randn(2, INPUTS, dtype=torch.float64), torch.randn(WEIGHTS, dtype=torch.float64)
    got = statevector.run(plan, x, w)
    for row, sample in zip(got, x, strict=True):
        values = dict(zip(vectors["input"], sample.tolist(), strict=True)) | dict(
            zip(vectors["weight"], w.tolist(), strict=True))
        state = Statevector(circuit.assign_parameters({p: values[p] for p in circuit.parameters}))
        for q, value in enumerate(row):
            z = SparsePauliOp.from_sparse_list([("Z", [q], 1.0)], num_qubits=n)
            assert abs(state.expectation_value(z).real - float(value)) < 1e-10


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 20))
def test_random_pennylane_circuits(seed, n, length):
    """A quantum function with named and composite operations against `default.qubit`, values and gradients."""
    qml = pytest.importorskip("pennylane")
    from harness.plugins.quantum.libraries.pennylane_circuit import from_pennylane
    from harness.plugins.quantum.libraries.pennylane_native import DeviceCircuit

    single = [qml.RX, qml.RY, qml.RZ, qml.PhaseShift]
    double = [qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.CRX, qml.CRY, qml.CRZ, qml.ControlledPhaseShift,
              qml.SingleExcitation]
    plain = [qml.CNOT, qml.CZ, qml.CY, qml.SWAP, qml.ISWAP]

    def circuit(x, w):
        draw = random.Random(seed)
        for _ in range(length):
            pair = draw.sample(range(n), 2)
            angle = draw.choice([2 * x[..., draw.randrange(INPUTS)], w[..., draw.randrange(WEIGHTS)] + 0.1])
            kind = draw.randrange(6)
            if kind == 0:
                draw.choice(single)(angle, wires=pair[0])
            elif kind == 1:
                draw.choice(double)(angle, wires=pair)
            elif kind == 2:
                draw.choice(plain)(wires=pair)
            elif kind == 3:
                draw.choice([qml.Hadamard, qml.S, qml.T, qml.SX, qml.PauliX, qml.PauliY])(wires=pair[0])
            elif kind == 4:
                qml.PauliRot(angle, draw.choice(["XY", "ZX", "IZ"]), wires=pair)
            else:
                qml.Rot(angle, 0.3, w[..., 0], wires=pair[0])

    plan = from_pennylane(circuit, INPUTS, WEIGHTS, qubits=n)
    torch.manual_seed(seed)
    leaves = [torch.randn(2, INPUTS, dtype=torch.float64, requires_grad=True),
              torch.randn(WEIGHTS, dtype=torch.float64, requires_grad=True)]
    outs = [statevector.run(plan, *leaves), DeviceCircuit(circuit, n, Readout())(*leaves)]
    assert (outs[0] - outs[1]).abs().max() < 1e-10
    if all(out.requires_grad for out in outs):
        a, b = (torch.autograd.grad(out.sum(), leaves, allow_unused=True) for out in outs)
        for first, second in zip(a, b, strict=True):
            if first is not None and second is not None:
                assert (first - second).abs().max() < 1e-10


def test_what_cannot_be_converted_is_named():
    qiskit = pytest.importorskip("qiskit")
    from harness.plugins.quantum.libraries.qiskit_circuit import from_qiskit

    t = qiskit.circuit.Parameter("t")
    circuit = qiskit.QuantumCircuit(2)
    circuit.ry(t * t, 0)
    with pytest.raises(UsageError, match=r"the angle .* of gate 'ry' is not linear in t"):
        from_qiskit(circuit)
    circuit = qiskit.QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with pytest.raises(UsageError, match="gate 'measure' cannot be converted"):
        from_qiskit(circuit)
    circuit = qiskit.QuantumCircuit(2)
    circuit.append(qiskit.circuit.Gate("mystery", 2, []), [0, 1])
    with pytest.raises(UsageError, match="gate 'mystery' cannot be converted"):
        from_qiskit(circuit)


def test_what_cannot_be_converted_from_pennylane_is_named():
    qml = pytest.importorskip("pennylane")
    from harness.plugins.quantum.libraries.pennylane_circuit import from_pennylane

    class Mystery(qml.operation.Operation):
        num_wires = 1

    with pytest.raises(UsageError, match="gate 'Mystery' cannot be converted"):
        from_pennylane(lambda x, w: Mystery(wires=0), 0, 0)
    with pytest.raises(UsageError, match="angle of gate 'ry' is not linear"):
        from_pennylane(lambda x, w: qml.RY(w[0] ** 2, wires=0), 0, 1)


def test_composite_gates_are_taken_apart():
    """A block, a controlled gate on |0>, a three-qubit gate: by their definitions."""
    qiskit = pytest.importorskip("qiskit")
    from harness.plugins.quantum.libraries.qiskit_circuit import from_qiskit
    from qiskit.circuit.library import CXGate, efficient_su2
    from qiskit.quantum_info import Statevector

    circuit = qiskit.QuantumCircuit(3)
    circuit.compose(efficient_su2(3, reps=1), inplace=True)
    circuit.ccx(0, 1, 2)
    circuit.append(CXGate(ctrl_state=0), [2, 0])
    plan = from_qiskit(circuit, Readout("probabilities"))
    values = torch.randn(plan.weights, dtype=torch.float64)
    got = statevector.run(plan, torch.zeros(1, 0, dtype=torch.float64), values)[0]
    bound = circuit.assign_parameters(dict(zip(circuit.parameters, values.tolist(), strict=True)))
    assert (got - torch.tensor(Statevector(bound).probabilities())).abs().max() < 1e-10


def test_a_tape_with_trainable_parameters():
    qml = pytest.importorskip("pennylane")
    from harness.plugins.quantum.libraries.pennylane_circuit import from_tape

    with qml.queuing.AnnotatedQueue() as queue:
        qml.RX(0.3, wires=0)
        qml.CRY(0.4, wires=[0, 1])
    tape = qml.tape.QuantumScript.from_queue(queue)
    tape.trainable_params = [1]
    plan = from_tape(tape)
    assert plan.weights == 1
    got = statevector.run(plan, torch.zeros(1, 0, dtype=torch.float64), torch.tensor([0.4], dtype=torch.float64))
    node = qml.QNode(lambda: [qml.RX(0.3, wires=0), qml.CRY(0.4, wires=[0, 1])] and
                     [qml.expval(qml.Z(0)), qml.expval(qml.Z(1))], qml.device("default.qubit"))
    assert (got[0] - torch.tensor([float(v) for v in node()], dtype=torch.float64)).abs().max() < 1e-10


def test_noise_damps_and_is_deterministic():
    """Aer's models: the one of ours and that of a fake backend."""
    pytest.importorskip("qiskit_aer")
    from harness.plugins.quantum.libraries.qiskit_circuit import build
    from harness.plugins.quantum.libraries.qiskit_native import AerCircuit

    description = Description(3, 2)
    x = torch.randn(6, description.inputs, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    exact = CircuitLayer(description)
    for noise in ("depolarizing", "GenericBackendV2"):
        noisy = AerCircuit(build(description), shots=4000, noise=noise)
        with torch.no_grad():
            got, wanted = noisy(x, exact.weight), exact(x)
            assert torch.equal(got, noisy(x, exact.weight))
        assert 0.8 < float((got * wanted).sum() / wanted.square().sum()) < 0.995
    with pytest.raises(UsageError, match="unknown noise 'nowhere'; known: depolarizing, GenericBackendV2"):
        AerCircuit(build(description), shots=4000, noise="nowhere")
    with pytest.raises(UsageError, match="shots must be at least 1, got 0"):
        AerCircuit(build(description), noise="GenericBackendV2")


def test_aer_samples_with_the_right_spread():
    pytest.importorskip("qiskit_aer")
    from harness.plugins.quantum.libraries.qiskit_circuit import build
    from harness.plugins.quantum.libraries.qiskit_native import AerCircuit

    description, shots = Description(3, 1), 100
    torch.manual_seed(0)
    x, w = torch.randn(1, description.inputs), torch.randn(description.weights)
    exact = statevector.run(description.plan(), x, w)
    found = AerCircuit(build(description), shots=shots)(x.repeat(1000, 1), w)
    deviation = ((1 - exact.square()) / shots).sqrt()
    assert ((found.mean(0) - exact[0]).abs() < 4 * deviation / 1000 ** 0.5).all()
    assert (found.std(0) / deviation - 1).abs().max() < 0.1


def test_circuit_cost_is_reproducible_and_counts():
    pytest.importorskip("qiskit")
    from harness.plugins.quantum.libraries.cost import Timing, circuit_cost
    from harness.plugins.quantum.libraries.qiskit_circuit import build

    circuit = build(Description(4, 2))
    free, wired = circuit_cost(circuit, "cz", "all-to-all"), circuit_cost(circuit, "cz", "heavy-hex")
    assert wired == circuit_cost(circuit, "cz", "heavy-hex")
    assert (free.two_qubit_gates, free.two_qubit_depth) == (8, 8)               # two rings of four CX
    assert wired.two_qubit_gates > free.two_qubit_gates                         # no ring of four in a heavy hexagon
    slow = Timing(repetition_s=1.0)
    assert free.seconds(10, 100, slow) == pytest.approx(1000, rel=1e-4)
    assert "250 us between shots" in str(Timing())
    with pytest.raises(UsageError, match="known: cx, cz and all-to-all"):
        circuit_cost(circuit, "cz", "torus")


# A gate is what it does, not what it is called

def probabilities(plan):
    weights = torch.zeros(0, dtype=torch.float64)
    return statevector.run(plan, torch.zeros(1, 0, dtype=torch.float64), weights, None)[0]


@pytest.mark.parametrize(("name", "controlled"), [
    ("h", False), ("h", True), ("x", True), ("id", False), ("measure", False), ("barrier", False), ("p", False)])
def test_a_gate_of_qiskit_is_known_by_its_definition(name, controlled):
    qiskit = pytest.importorskip("qiskit", reason="qiskit is absent")
    from harness.plugins.quantum.libraries.qiskit_circuit import from_qiskit
    from qiskit.circuit import Gate
    from qiskit.quantum_info import Statevector

    inner = qiskit.QuantumCircuit(1)
    inner.rx(0.7, 0)
    gate = Gate(name, 1, [])
    gate.definition = inner
    circuit = qiskit.QuantumCircuit(2)
    circuit.h(0)
    circuit.append(gate.control(1) if controlled else gate, [0, 1] if controlled else [1])
    expected = Statevector(circuit.decompose(reps=3)).probabilities()
    found = probabilities(from_qiskit(circuit, Readout("probabilities")))
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_a_renamed_gate_of_qiskit_is_still_itself():
    qiskit = pytest.importorskip("qiskit", reason="qiskit is absent")
    from harness.plugins.quantum.libraries.qiskit_circuit import from_qiskit
    from qiskit.circuit.library import HGate, XGate
    from qiskit.quantum_info import Statevector

    circuit = qiskit.QuantumCircuit(2)
    for gate, qubits in ((HGate(), [0]), (XGate(), [1]), (HGate().control(1, ctrl_state=0), [1, 0])):
        renamed = gate.to_mutable()
        renamed.name = "mine"
        circuit.append(renamed, qubits)
    found = probabilities(from_qiskit(circuit, Readout("probabilities")))
    assert found.tolist() == pytest.approx(Statevector(circuit).probabilities().tolist(), abs=1e-12)


@pytest.mark.parametrize("name", ["Hadamard", "PauliX", "Barrier", "Rot", "StatePrep"])
def test_a_gate_of_pennylane_is_known_by_its_class(name):
    qml = pytest.importorskip("pennylane", reason="pennylane is absent")
    from harness.plugins.quantum.libraries.pennylane_circuit import from_pennylane

    mine = type(name, (qml.operation.Operation,), {
        "num_wires": 1, "num_params": 0,
        "compute_decomposition": staticmethod(lambda wires: [qml.RX(0.7, wires=wires)])})

    def circuit(inputs, weights):
        qml.RY(0.4, wires=0)
        mine(wires=0)

    def plain(inputs, weights):
        qml.RY(0.4, wires=0)
        qml.RX(0.7, wires=0)

    found, expected = (probabilities(from_pennylane(f, 0, 0, Readout("probabilities"))) for f in (circuit, plain))
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_what_pennylane_cannot_tell_is_one_line():
    qml = pytest.importorskip("pennylane", reason="pennylane is absent")
    from harness.plugins.quantum.libraries.pennylane_circuit import from_pennylane

    with pytest.raises(UsageError, match="wires must be numbered from 0"):
        from_pennylane(lambda inputs, weights: qml.RX(0.1, wires="a"), 0, 0)
    with pytest.raises(UsageError, match=r"cannot be converted: its parameter .* is not real"):
        from_pennylane(lambda inputs, weights: qml.FermionicSWAP(0.3, wires=[0, 1]), 0, 0)
    with pytest.raises(UsageError, match="its parameter None is not real"):
        from_pennylane(lambda inputs, weights: qml.RX(None, wires=0), 0, 0)


def test_wires_of_pennylane_may_be_numbers_of_numpy():
    qml = pytest.importorskip("pennylane", reason="pennylane is absent")
    import numpy as np
    from harness.plugins.quantum.libraries.pennylane_circuit import from_pennylane

    def circuit(wires):
        def function(inputs, weights):
            qml.RX(0.7, wires=wires[0])
            qml.CNOT(wires=wires)

        return from_pennylane(function, 0, 0)

    assert circuit(np.arange(2)) == circuit([0, 1])
