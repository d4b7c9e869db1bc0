"""Circuit transformers: the audit in every form and execution, twins, noise against a density matrix, cost."""

from __future__ import annotations

import pytest
import torch
from harness.plugins.quantum.circuit.ansatz import Description
from harness.plugins.quantum.circuit.plan import Readout
from harness.plugins.quantum.classical import ClassicalMap
from harness.plugins.quantum.config import CircuitConfig
from harness.plugins.quantum.libraries.backends import noise_model
from harness.plugins.quantum.model import PennyLaneTransformer, QiskitTransformer
from harness.plugins.quantum.simulate import draws, noise, statevector

from harness import Unsupported, UsageError
from harness.audit.auditor import audit

SMALL = {"dim": 16, "heads": 2, "qubits": 3, "blocks": 1}
FORMS = [
    {}, {"attention": "gaussian"}, {"attention": "overlap"}, {"attention": "mixer", "window": 3},
    {"execution": "shots", "shots": 16}, {"execution": "noise"}, {"execution": "noise", "noise": "GenericBackendV2"},
    {"circuit": "classical"}, {"circuit": "frozen"}, {"entangler": False}, {"encoding": "amplitude"},
    {"encoding": "reupload", "ansatz": "pyramid"}, {"readout": "probabilities", "topology": "chain"},
    {"attention": "gaussian", "execution": "noise"}, {"circuit": "classical", "ansatz": "pyramid"},
]


def model(kind=QiskitTransformer, **options):
    pytest.importorskip("qiskit" if kind is QiskitTransformer else "pennylane")
    torch.manual_seed(0)
    return kind(CircuitConfig(**SMALL | options), 11)


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_every_form_passes_the_audit(options):
    report = audit(model(**options), [9])
    assert report.passed, report.summary()


def test_the_libraries_give_one_model():
    text = torch.randint(11, (2, 7))
    with torch.no_grad():
        a, b = (model(kind)(text)[0] for kind in (QiskitTransformer, PennyLaneTransformer))
        native = model(PennyLaneTransformer, execution="native")(text)[0]
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(a, native, rtol=1e-4, atol=1e-5)


def test_twins_have_as_many_angles_and_are_frozen_where_they_should_be():
    trained, classical, frozen = (model(circuit=kind) for kind in ("trained", "classical", "frozen"))
    count = [sum(p.numel() for p in m.parameters()) for m in (trained, classical, frozen)]
    assert count[0] == count[1]
    assert count[2] == count[0] - sum(layer.weight.numel() for layer in trained.layers())


@pytest.mark.parametrize("ansatz", ["rotations", "pyramid"])
def test_no_weight_of_the_classical_map_is_dead(ansatz):
    description = Description(4, 2, ansatz=ansatz)
    twin = ClassicalMap(description)
    assert twin.weight.numel() == description.weights
    (twin(torch.randn(30, description.inputs)) * torch.randn(30, 4)).sum().backward()
    assert twin.weight.grad.abs().min() > 1e-5


@pytest.mark.parametrize("ansatz", ["rotations", "pyramid"])
def test_the_classical_map_is_as_gentle_as_a_circuit(ansatz):
    """A layer multiplies a deviation by at most |cos a| + |sin a|, so that rounding stays rounding."""
    layers = 6
    twin, x = ClassicalMap(Description(8, layers, ansatz=ansatz)).double(), torch.randn(50, 16, dtype=torch.float64)
    moved = twin(x + 1e-7 * torch.randn(50, 16, dtype=torch.float64)) - twin(x)
    assert moved.abs().max() < 1e-6 * 2 ** (layers / 2)


def test_the_mixer_reports_its_post_selection():
    mixer = model(attention="mixer", window=3)
    mixer(torch.randint(11, (2, 7)))
    assert 0 < mixer.diagnostics()["post_selection_probability"] <= 1


def test_drawn_errors_average_to_the_density_matrix():
    """Against Aer's density matrix with the same errors behind the same gates."""
    pytest.importorskip("qiskit_aer")
    from harness.plugins.quantum.libraries.qiskit_circuit import build, vectors
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, depolarizing_error

    description, rates = Description(3, 2, readout=Readout("probabilities")), noise.Depolarising(0.02, 0.08, 0.0)
    torch.manual_seed(0)
    x, w, draws_made = torch.randn(1, description.inputs), torch.randn(description.weights), 20_000
    seen = torch.rand(1, draws_made, noise.places(description.plan()))
    got = noise.noisy(description.plan(), x, w, None, rates, seen)
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(rates.one_qubit, 1), ["ry"])
    model.add_all_qubit_quantum_error(depolarizing_error(rates.two_qubits, 2), ["cx"])
    circuit = build(description)
    bound = circuit.assign_parameters(dict(zip(vectors(circuit, "x"), x[0].tolist(), strict=True))
                                      | dict(zip(vectors(circuit, "w"), w.tolist(), strict=True)))
    bound.save_probabilities()
    expected = AerSimulator(method="density_matrix", noise_model=model).run(bound).result().data(0)["probabilities"]
    exact = statevector.run(description.plan(), x, w)[0]
    expected = torch.tensor(expected, dtype=torch.float32)
    assert (got[0] - expected).abs().max() < 0.006
    assert (exact - expected).abs().max() > 0.02                                 # the errors are there to be seen


def test_a_misread_bit_and_no_noise():
    plan = Description(2, 1).plan()
    x, w = torch.randn(3, plan.inputs), torch.randn(plan.weights)
    exact = statevector.run(plan, x, w)
    seen = torch.rand(3, 2, noise.places(plan))
    torch.testing.assert_close(noise.noisy(plan, x, w, None, noise.Depolarising(0, 0, 0.1), seen), 0.8 * exact)
    torch.testing.assert_close(noise.noisy(plan, x, w, None, noise_model("none"), seen), exact)


def test_draws_belong_to_a_position():
    whole = draws.uniforms(0, 400, 20, 7)
    assert torch.equal(draws.uniforms(123, 5, 20, 7), whole[123:128])
    assert not torch.equal(draws.uniforms(0, 400, 20, 8), whole)
    assert abs(float(whole.mean()) - 0.5) < 0.01
    assert abs(float(whole.std()) - 12**-0.5) < 0.01
    assert 0 <= whole.min() < whole.max() < 1


def test_circuit_cost_counts_circuits():
    cost = model().circuit_cost(10)
    assert cost["circuits"] == 10 * 2 * 4                                        # two heads: q, k, v, feed-forward
    pairs = model(attention="overlap").circuit_cost(10)
    assert pairs["circuits"] == 10 * 2 * 2 + 2 * 55
    assert cost["qpu_s_step"] == pytest.approx(3 * cost["qpu_s_forward"])        # SPSA: two runs more
    assert model(gradient="shift").circuit_cost(10)["runs_per_gradient"] == 1 + 2 * (6 + 12)


@pytest.mark.parametrize(("options", "message"), [
    ({"shots": 0}, "shots=0 must be at least 1"), ({"attention": "overlap", "execution": "shots"}, "works on states"),
    ({"ansatz": "pyramid", "entangler": False}, "are what entangles"),
    ({"attention": "mixer", "encoding": "amplitude"}, "unitaries"),
    ({"qubits": 0}, "qubits and layers must be"),
])
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        CircuitConfig(**SMALL | options)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"execution": "noise", "noise": "FakeNowhere"}, UsageError, "unknown noise 'FakeNowhere'; known: depolarizing"),
    ({"qubits": 45}, Unsupported, "45 qubits needs .* qubits fit"),
    ({"qubits": 45, "encoding": "amplitude"}, Unsupported, "45 qubits needs .* qubits fit"),
])
def test_models_that_cannot_be_built_say_why(options, error, message):
    with pytest.raises(error, match=message):
        QiskitTransformer(CircuitConfig(**SMALL | options), 11)
