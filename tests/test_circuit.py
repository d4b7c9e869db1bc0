"""The suite circuit: closed forms of what it measures, its rows and figures, and how it refuses."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from harness.plugins.quantum.circuit.ansatz import Description
from harness.plugins.quantum.config import CircuitConfig
from harness.plugins.quantum.libraries import backends
from harness.plugins.quantum.simulate import noise, statevector
from harness.plugins.quantum.study import Family, individual, meyer_wallach
from harness.suites import circuit as suite

from harness import Unsupported, UsageError
from harness.evidence.report.citation import CitedRow
from harness.evidence.report.figures import Styles, circuit_figures, numbered_figures
from harness.evidence.tables.pivot import Pivot
from harness.registry import load
from harness.specs import missing


def circuits(library="qiskit", **options) -> Family:
    return Family(CircuitConfig(**options), library)


def haar(samples: int, qubits: int) -> torch.Tensor:
    states = torch.randn(samples, 1 << qubits, dtype=torch.complex128, generator=torch.Generator().manual_seed(qubits))
    return states / states.norm(dim=1, keepdim=True)


# Entangling capability

def test_meyer_wallach_of_ghz_w_and_product_states():
    n = 5
    ghz, w = torch.zeros(2, 1 << n, dtype=torch.complex128)
    ghz[[0, -1]] = 0.5**0.5
    w[[1 << q for q in range(n)]] = n**-0.5
    product = torch.ones(1, dtype=torch.complex128)
    for qubit in haar(n, 1):
        product = torch.kron(qubit, product)
    found = meyer_wallach(torch.stack([ghz, w, product]))
    assert torch.allclose(found, torch.tensor([1, 4 * (n - 1) / n**2, 0], dtype=torch.float64), atol=1e-12)


def test_deep_circuits_are_as_entangled_as_haar_states_and_those_without_gates_not_at_all():
    """The mean over Haar is (N - 2) / (N + 1)."""
    deep = circuits().at(4, 12).overlaps_and_entanglement(1000)[1]
    apart = circuits(entangler=False).at(4, 12).overlaps_and_entanglement(50)[1]
    assert sum(deep) / len(deep) == pytest.approx(14 / 17, abs=0.01)
    assert max(map(abs, apart)) < 1e-5


# Expressibility

@pytest.mark.parametrize("qubits", [1, 3, 6])
def test_haar_states_diverge_from_haar_by_sampling_alone(qubits):
    """(bins - 1) / 2N nats on average, with a chi-square's spread."""
    pairs, bins = 8000, 20
    a, b = haar(2 * pairs, qubits).chunk(2)
    found = suite.divergence_from_haar((a.conj() * b).sum(1).abs().square().tolist(), qubits, bins)
    assert 0 < found.value < 2.5 * (bins - 1) / (2 * pairs)


def test_one_state_alone_diverges_by_the_logarithm_of_the_bins():
    assert suite.divergence_from_haar([1.0] * 50, 3, 16).value == pytest.approx(math.log(16))
    half = suite.divergence_from_haar([1.0, 0.0] * 50, 3, 16)
    assert half.value == pytest.approx(math.log(8))
    assert half.low == half.high                            # every count says the same


def test_layers_make_circuits_more_expressive():
    found = [suite.divergence_from_haar(circuits().at(4, depth).overlaps_and_entanglement(1500)[0], 4)
             for depth in (1, 8)]
    assert found[1].high < 0.03 < found[0].low


# Gradients

@pytest.mark.parametrize("qubits", [1, 3])
def test_gradient_variance_without_entangler(qubits):
    """<Z> = cos w2 cos x1 - sin w2 sin x1 cos(w1 + x2): variances 1/8 by w1 and 3/8 by w2, none by other qubits'."""
    found = suite.stats.mean_interval(circuits(entangler=False).at(qubits, 1).squared_gradients(20_000, seed=1))
    assert found.value == pytest.approx(1 / (4 * qubits), rel=0.03)
    assert found.low < 1 / (4 * qubits) < found.high


@pytest.mark.parametrize("qubits", [4, 6])
def test_gradient_variance_of_a_barren_plateau(qubits):
    """Where both sides of a gate are as random as Haar (2-designs): 1 / (2 (N + 1))."""
    found = suite.stats.mean_interval(circuits().at(qubits, 24).squared_gradients(600))
    assert found.value == pytest.approx(1 / (2 * (2**qubits + 1)), rel=0.06)


def test_every_sample_has_its_own_weights():
    plan = Description(3, 2, "reupload").plan()
    x, w = torch.randn(4, plan.inputs), torch.randn(4, plan.weights)
    together = statevector.run(individual(plan), torch.cat([x, w], 1), torch.zeros(0))
    apart = torch.cat([statevector.run(plan, a[None], b) for a, b in zip(x, w, strict=True)])
    torch.testing.assert_close(together, apart)


def test_a_slope_and_its_interval():
    exact = suite.slope([2, 4, 6, 8], [1.0, -1.0, -3.0, -5.0])
    assert (exact.value, exact.low, exact.high) == pytest.approx((-1, -1, -1))
    bent = suite.slope([1, 2, 3], [0.0, 2.0, 1.0])          # residuals ±0.5, -1: se = sqrt(1.5 / 2), t(1) = 12.706
    assert (bent.value, bent.high - bent.value) == pytest.approx((0.5, 12.706 * math.sqrt(0.75)), rel=1e-3)


# Shots and noise

@pytest.mark.parametrize("encoding", ["angle", "amplitude"])
def test_shot_errors_are_what_theory_expects(encoding):
    errors, variances = circuits(encoding=encoding).at(4, 2).shot_errors(200, 2000)
    assert sum(errors) / sum(variances) == pytest.approx(1, abs=0.05)
    assert sum(variances) / len(variances) < 4 / 200


def test_reading_wrongly_alone_takes_a_known_part_of_the_contrast(monkeypatch):
    monkeypatch.setitem(noise.MODELS, "reading", noise.Depolarising(0.0, 0.0, 0.1))
    products, squares = circuits(noise="reading").at(3, 1).noisy(2.0, 20)
    assert sum(products) / sum(squares) == pytest.approx(1 - 2 * 0.2)
    weaker = [sum(a) / sum(b) for a, b in (circuits().at(3, 2).noisy(s, 200) for s in (1.0, 16.0))]
    assert weaker[0] > 0.9 > weaker[1] > 0


def test_errors_grow_no_further_than_probabilities():
    assert backends.noise_model("strong").times(100) == noise.Depolarising(0.3, 1.0, 0.5)


def test_the_mean_errors_of_a_backend():
    """Gates that are no pulse, or without a report, do not count; infidelities become depolarising probabilities."""
    def gate(*errors):
        return {(k,): SimpleNamespace(error=error) for k, error in enumerate(errors)}

    class Target(dict):
        operation_names = property(lambda self: list(self))

    target = Target(sx=gate(1e-3, 3e-3), x=gate(2e-3, None), rz=gate(0.5), measure=gate(0.02, 0.04), delay={},
                    cx={(0, 1): SimpleNamespace(error=0.006), (1, 0): None})
    found = backends.reported_errors(SimpleNamespace(target=target))
    assert found == pytest.approx((4e-3, 8e-3, 0.03))


def test_what_is_out_of_order_has_no_part_in_the_mean():
    """A dead coupler is reported with an error of 1, as IBM's devices have it: the mean is that of the others."""
    def report(error):
        return SimpleNamespace(error=error)

    class Target(dict):
        operation_names = property(lambda self: list(self))

    def errors(*couplers):
        pairs = {(k, k + 1): report(error) for k, error in enumerate(couplers)}
        return backends.reported_errors(SimpleNamespace(target=Target(
            sx={(0,): report(1e-3), (1,): report(1.0)}, ecr=pairs, measure={(0,): report(0.02), (1,): report(0.5)})))

    assert errors(0.006, 1.0, 0.012) == pytest.approx((2e-3, 0.012, 0.02))
    assert errors(1.0, 1.0) == (pytest.approx(2e-3), None, pytest.approx(0.02))


@pytest.mark.parametrize(("name", "two_qubits"), [("FakeSherbrooke", 0.013577), ("FakeTorino", 0.009590)])
def test_the_mean_over_the_couplers_that_work_of_ibms_devices(name, two_qubits):
    """Means of what the fake devices of qiskit-ibm-runtime report below 1, times 4/3."""
    pytest.importorskip("qiskit_ibm_runtime", reason="qiskit-ibm-runtime is absent")
    assert backends.noise_model(name, 6).two_qubits == pytest.approx(two_qubits, rel=0.01)


@pytest.mark.parametrize(("name", "reason"), [
    ("FakeKyoto", "reports no working coupler"), ("FakeArmonkV2", "has 1 qubits, the circuit 6")])
def test_a_device_that_cannot_carry_the_circuit_is_refused(name, reason):
    pytest.importorskip("qiskit_ibm_runtime", reason="qiskit-ibm-runtime is absent")
    with pytest.raises(UsageError, match=reason):
        backends.noise_model(name, 6)


def test_a_backend_reports_what_its_channel_does():
    """A depolarising channel of our probability has the infidelity that the backend states."""
    pytest.importorskip("qiskit_aer")
    from qiskit.quantum_info import SuperOp, average_gate_fidelity
    from qiskit_aer.noise import depolarizing_error

    found = backends.noise_model(backends.GENERIC, 3)
    target = backends.fake_backend(backends.GENERIC, 3, ()).target
    errors = [p.error for p in target["cx"].values()]
    channel = SuperOp(depolarizing_error(found.two_qubits, 2))
    assert 1 - average_gate_fidelity(channel) == pytest.approx(sum(errors) / len(errors))
    assert 0 < found.one_qubit < found.two_qubits


def test_an_unknown_noise_names_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown noise 'FakeNowhere'; known: depolarizing, none, strong"):
        backends.noise_model("FakeNowhere")


# Rows and figures

class Bench:
    """What the suite needs of a workbench."""

    limits = {"gemm_float32_flops_per_s": 1e10}             # noqa: RUF012

    def __init__(self):
        self.rows, self.raw = [], {}

    def row(self, metric, value, unit="", better="", **fields):
        self.rows.append(CitedRow(suite="circuit", plugin="q", metric=metric, value=value, unit=unit, better=better,
                               started_at="now", **fields))

    def fail(self, metric, reason, status, **fields):
        self.row(metric, None, status=status, reason=reason, **fields)

    def time_cases(self, calls, limit):
        for call in calls.values():
            call()
        return {name: [2.0, 2.0, 4.0] for name in calls}

    def peak_memory(self, call):
        call()
        return {"process": 4096}


@pytest.fixture
def small(monkeypatch):
    for name, value in {"QUBITS": (1, 2, 4), "DEPTHS": (1, 2), "SAMPLES": 64, "PAIRS": 64, "TIMED_QUBITS": (2, 4),
                        "BATCH": 8, "WEIGHED_QUBITS": (3, 4)}.items():
        monkeypatch.setattr(suite, name, value)


def named(bench, metric):
    return [row for row in bench.rows if row.metric == metric]


def test_expressivity_is_a_row_for_every_size_and_drawn_over_both(small):
    bench = Bench()
    suite.expressivity(circuits(), bench)
    suite.sampled(circuits(qubits=3), bench)
    assert [(r.n_qubits, r.depth, r.two_qubit_gates) for r in named(bench, "gradient_variance")] == [
        (1, 1, 0), (2, 1, 2), (4, 1, 4), (1, 2, 0), (2, 2, 4), (4, 2, 8)]
    assert all(r.ci_low < r.value < r.ci_high for r in named(bench, "gradient_variance"))
    assert [r.depth for r in named(bench, "gradient_variance_slope")] == [1, 2]
    assert [r.shots for r in bench.rows if r.metric.startswith("shot_error@")] == list(suite.SHOTS)
    assert named(bench, "shot_error_ratio")[0].value == pytest.approx(1, abs=0.15)
    names = {figure.name for figure in circuit_figures(bench.rows, suite.suite.primary, Styles())}
    assert names >= {f"{metric}-{axis}" for axis in ("n_qubits", "depth") for metric in (
        "gradient_variance", "entangling_capability", "expressibility_kl")}
    assert {figure.name for figure in numbered_figures(bench.rows, Styles())} == {"shot_error-at", "noisy_contrast-at"}
    pivot = Pivot(bench.rows, suite.suite.primary)
    assert (pivot.across, pivot.lengths) == ("n", [1, 2, 4])
    assert {key for key in pivot.keys if key[0] == "q"} >= {("q", "", "L=1"), ("q", "", "L=2")}


def test_what_cannot_be_built_is_a_row(small):
    bench = Bench()
    suite.expressivity(circuits(qubits=4, ansatz="butterfly"), bench)
    lost = [row for row in bench.rows if row.status == "unsupported"]
    assert {(row.n_qubits, row.depth) for row in lost} == {(1, 1), (1, 2)}
    assert "at least 2 qubits" in lost[0].reason
    with pytest.raises(Unsupported, match=r"a statevector of 50 qubits .* qubits fit"):
        circuits().at(50, 1)
    with pytest.raises(Unsupported, match="is no circuit"):
        circuits(circuit="classical")


@pytest.mark.parametrize(("library", "gradients"), [
    ("qiskit", {"compiled": "adjoint", "native": "shift", "shots": "spsa"}),
    ("pennylane", {"compiled": "adjoint", "native": "backprop", "shots": "spsa"})])
def test_executions_are_told_apart_and_counted(small, library, gradients):
    pytest.importorskip(library)
    if library == "qiskit":
        pytest.importorskip("qiskit_aer")
    bench, family = Bench(), circuits(library, layers=1)
    suite.times(SimpleNamespace(), family, bench)
    suite.memory(family, bench)
    found = {(r.n_qubits, r.execution): r for r in named(bench, "time_per_circuit_s")}
    assert {key: row.gradient for key, row in found.items()} == {
        (n, mode): gradient for n in (2, 4) for mode, gradient in gradients.items()}
    assert found[4, "compiled"].value == pytest.approx(2.0 / 8)
    assert found[4, "shots"].circuit_executions == 3
    assert found[4, "native"].circuit_executions == (1 + 2 * 16 if library == "qiskit" else 1)
    assert found[4, "native"].limit == family.at(4, 1).flops / 1e10
    assert [(r.n_qubits, r.limit) for r in named(bench, "peak_bytes")] == [(3, 16 * 8 * 8), (4, 16 * 8 * 16)]


def test_a_disturbed_model_is_another_function_and_one_of_states_refuses():
    pytest.importorskip("pennylane")
    from harness.plugins.quantum.model import PennyLaneTransformer

    small = {"dim": 16, "heads": 1, "qubits": 3, "blocks": 1}
    torch.manual_seed(0)
    model, text = PennyLaneTransformer(CircuitConfig(**small), 11), torch.randint(11, (1, 6))
    exact = model(text)[0]
    circuits("pennylane", **small).disturb(model, 0.0)
    torch.testing.assert_close(model(text)[0], exact)
    circuits("pennylane", **small).disturb(model, 8.0)
    assert (model(text)[0] - exact).abs().max() > 1e-3
    options = {**small, "attention": "overlap"}
    with pytest.raises(Unsupported, match="attention=overlap reads out state"):
        circuits("pennylane", **options).disturb(PennyLaneTransformer(CircuitConfig(**options), 11), 1.0)


def test_what_a_device_would_take_is_told_with_its_assumptions(monkeypatch):
    pytest.importorskip("qiskit_aer")
    from harness.plugins.quantum import model

    bench, small = Bench(), CircuitConfig(dim=16, heads=2, qubits=4, blocks=1)
    built = model.QiskitTransformer(small, 11)
    suite.on_a_device(SimpleNamespace(seq_len=10), built, bench)
    found = {row.metric: row for row in bench.rows}
    assert found["circuits_per_token"].value == 2 * 4       # two heads: q, k, v, feed-forward
    assert found["device_two_qubit_gates"].value >= 8       # two rings of four, and what wiring takes
    assert "cz basis on a heavy-hex coupling" in found["device_depth"].reason
    assert "250 us between shots" in found["qpu_s_step"].reason
    assert found["qpu_s_step"].value == pytest.approx(3 * found["qpu_s_forward"].value)
    monkeypatch.setattr(model, "find_spec", lambda name: None)
    bench = Bench()
    suite.on_a_device(SimpleNamespace(seq_len=10), built, bench)
    assert [(row.status, "qllm-harness[quantum]" in row.reason) for row in bench.rows] == [("unsupported", True)]


# The command line

def test_a_plugin_without_circuits_is_skipped_with_a_reason(command, tmp_path):
    done = command("run", "--suite", "circuit", "--plugins", "baseline", "--out", tmp_path / "run", "--json")
    assert done.returncode == 1
    assert '"unsupported"' in done.stdout
    assert "skipped: baseline has no circuits" in done.stdout


def test_missing_libraries_name_the_extra(monkeypatch):
    monkeypatch.setattr("harness.specs.find_spec", lambda name: None)
    for name in ("qiskit", "pennylane"):
        assert "pip install 'qllm-harness[quantum]'" in missing(load().models[name])
