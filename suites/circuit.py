"""Circuit: how expressive and how trainable a plugin's circuits are, what they cost, what shots and noise do to them.

Notable:
- angles are drawn at random, inputs included; a grid of qubits and layers is walked, whatever the model's own size;
- gradients: the variance of d<Z>/d(angle), and its slope in bits a qubit: -1 is a barren plateau, the variance halved
  by every further qubit (McClean et al. 1803.11173);
- expressibility: the divergence of the distribution of |<a|b>|² from that of Haar-random states (Sim et al.
  1905.10876), over bins that are equally likely among those: equal widths put all of ten qubits into one bin. Its limit
  is what as many Haar-random pairs would show;
- shots: errors against their theory, sqrt((1 - z²) / shots); noise: the contrast that is left to read-outs, and bits
  per byte of one trained and audited model whose circuits are disturbed; what a text would take on a device;
- time per circuit, forward and backward, in every execution, against the operations at the machine's GEMM rate; memory
  against that of the states. Executions are never called each other: `native` is the library's simulator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from harness import Cell, Request, Row, Suite, Unsupported, Workbench, stats

QUBITS, DEPTHS = (2, 4, 6, 8, 10), (1, 4, 16)
SAMPLES, PAIRS, BINS = 512, 2048, 32
SHOTS = (64, 256, 1024, 4096)
STRENGTHS, SCORED = (1.0, 2.0, 4.0, 8.0, 16.0), (1.0, 4.0, 16.0)       # of the noise, as multiples of the model's
TIMED_QUBITS, BATCH, ROUNDS, CASE_SECONDS = (4, 6, 8, 10), 256, 7, 3.0
WEIGHED_QUBITS, WEIGHED = (10, 12, 14, 16), 16
SEQ_LEN, BATCH_SIZE, BUDGET_BYTES, HELDOUT_BYTES, LR = 64, 8, 60_000, 4096, 3e-3


def plan(request: Request) -> Iterator[Cell]:
    for choice in request.models:
        if not choice.spec.circuits:
            yield request.cell("circuit", choice, params=0)
            continue
        for role in ("expressivity", "cost"):
            yield request.cell("circuit", choice, params=0, alone=role == "cost", protocol={
                "role": role, "rounds": request.rounds or ROUNDS})
        protocol = {"role": "noise", "budget_bytes": request.budget_bytes or BUDGET_BYTES, "lr": request.lr or LR}
        for seed in request.seeds:
            yield request.cell(
                "circuit", choice, seed=seed, corpus=str(request.corpora[0][1]), protocol=protocol,
                seq_len=(request.seq_lens or (SEQ_LEN,))[0], batch_size=request.batch_size or BATCH_SIZE)


def measure(cell: Cell, bench: Workbench) -> None:
    circuits = bench.circuits()
    if cell.get("role") == "expressivity":
        expressivity(circuits, bench)
        sampled(circuits, bench)
    elif cell.get("role") == "cost":
        memory(circuits, bench)
        times(cell, circuits, bench)
    else:
        disturbed(cell, circuits, bench)


# Expressivity and trainability

def expressivity(circuits: Any, bench: Workbench) -> None:
    """Gradient variance, entangling capability and expressibility over the grid; the slopes of the first."""
    for depth in DEPTHS:
        found: dict[int, float] = {}
        for qubits in QUBITS:
            try:
                circuit = circuits.at(qubits, depth)
            except Unsupported as error:
                bench.fail("gradient_variance", str(error), "unsupported", n_qubits=qubits, depth=depth)
                continue
            squares = circuit.squared_gradients(SAMPLES)
            overlaps, entanglement = circuit.overlaps_and_entanglement(PAIRS)
            variance = put(bench, "gradient_variance", stats.mean_interval(squares), "", "higher", **circuit.facts)
            put(bench, "entangling_capability", stats.mean_interval(entanglement), "", "", **circuit.facts)
            put(bench, "expressibility_kl", divergence_from_haar(overlaps, qubits), "nats", "lower",
                limit=(BINS - 1) / (2 * len(overlaps)), limit_kind="samples", **circuit.facts)
            if variance > 0:
                found[qubits] = math.log2(variance)
        if len(found) > 2:
            put(bench, "gradient_variance_slope", slope(list(found), list(found.values())), "bits/qubit", "higher",
                depth=depth)


def divergence_from_haar(overlaps: Sequence[float], qubits: int, bins: int = BINS) -> stats.Estimate:
    """KL(circuit || Haar) in nats, of pairs of states over bins that Haar-random pairs fill equally.

    Their overlaps have P(F > f) = (1 - f)^(N - 1) with N = 2^qubits. The interval is of the multinomial counts.
    """
    counts = [0] * bins
    for overlap in overlaps:
        share = max(0.0, 1 - overlap) ** (2**qubits - 1)
        counts[min(int((1 - share) * bins), bins - 1)] += 1
    total = len(overlaps)
    terms = [(c / total, math.log(c * bins / total)) for c in counts if c]
    value = sum(p * log for p, log in terms)
    spread = sum(p * log * log for p, log in terms) - value**2
    half = stats.normal_quantile(stats.CONFIDENCE) * math.sqrt(max(0.0, spread) / total)
    return stats.Estimate(value, max(0.0, value - half), value + half, total)


def slope(x: Sequence[float], y: Sequence[float]) -> stats.Estimate:
    """Of the least-squares line, with the t interval of its residuals: three points or more."""
    n, middle, level = len(x), sum(x) / len(x), sum(y) / len(y)
    square = sum((a - middle) ** 2 for a in x)
    value = sum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / square
    residual = sum((b - level - value * (a - middle)) ** 2 for a, b in zip(x, y, strict=True))
    half = stats.student_t(stats.CONFIDENCE, n - 2) * math.sqrt(residual / (n - 2) / square)
    return stats.Estimate(value, value - half, value + half, n)


def put(bench: Workbench, metric: str, estimate: stats.Estimate, unit: str, better: str, **fields: Any) -> float:
    """A row of an estimate; its value."""
    bench.row(metric, estimate.value, unit, better, ci_low=estimate.low, ci_high=estimate.high, **fields)
    return estimate.value


# Shots, noise and devices

def sampled(circuits: Any, bench: Workbench) -> None:
    """Read-outs of the model's own circuit from few shots, and under stronger and stronger errors."""
    circuit = circuits.at(*circuits.size)
    squares: list[float] = []
    for shots in SHOTS:
        errors, variances = circuit.shot_errors(shots, SAMPLES)
        expected = sum(variances) / len(variances)
        relative = [error / expected for error in errors]
        squares += relative
        ratio = root(stats.mean_interval(relative))
        theory = math.sqrt(expected / circuit.facts["n_qubits"])
        low, high = (None if end is None else end * theory for end in (ratio.low, ratio.high))
        put(bench, f"shot_error@{shots}", stats.Estimate(ratio.value * theory, low, high, ratio.n), "", "lower",
            limit=theory, limit_kind="shots", shots=shots, **circuit.facts)
    put(bench, "shot_error_ratio", root(stats.mean_interval(squares)), "x theory", "lower", **circuit.facts)
    for strength in STRENGTHS:
        products, norms = circuit.noisy(strength, SAMPLES)
        mean = sum(norms) / len(norms)
        contrast = stats.mean_interval([a / mean for a in products])
        bench.row(f"noisy_contrast@{strength:g}", contrast.value, "", "higher", execution="noise", **circuit.facts)
        if strength == 1:
            bench.row("noisy_contrast", contrast.value, "", "higher", **circuit.facts)


def root(square: stats.Estimate) -> stats.Estimate:
    low, high = (None if end is None else math.sqrt(max(0.0, end)) for end in (square.low, square.high))
    return stats.Estimate(math.sqrt(square.value), low, high, square.n)


def on_a_device(cell: Cell, model: Any, bench: Workbench) -> None:
    """What one text would take on quantum hardware: counts after transpiling, and seconds that rest on assumptions."""
    try:
        cost = model.circuit_cost(cell.seq_len)
    except Unsupported as error:
        bench.fail("qpu_s_step", str(error), "unsupported")
        return
    transpiled = {"reason": f"transpiled to the {cost['basis']} basis on a {cost['coupling']} coupling, optimisation "
                            f"level {cost['optimization_level']}, seed {cost['seed']}"}
    assumed = {"reason": f"{cost['shots']} shots a circuit; {cost['assumption']}", "shots": cost["shots"]}
    bench.row("circuits_per_token", cost["circuits_per_token"], "", "lower")
    for name in ("depth", "two_qubit_depth", "two_qubit_gates"):
        bench.row(f"device_{name}", cost[name], "", "lower", **transpiled)
    bench.row("qpu_s_forward", cost["qpu_s_forward"], "s", "lower", **assumed)
    bench.row("qpu_s_step", cost["qpu_s_step"], "s", "lower", circuit_executions=cost["runs_per_gradient"], **assumed)


def disturbed(cell: Cell, circuits: Any, bench: Workbench) -> None:
    """Bits per byte of one trained model, exact and with its circuits' errors. The audit is of the exact weights, and
    of the strongest errors: weaker ones are fewer of the same draws."""
    heldout, model = bench.heldout(HELDOUT_BYTES), bench.build()
    on_a_device(cell, model, bench)
    trained = bench.train(model, cell.get("lr"), cell.get("budget_bytes"))
    fields: dict[str, Any] = {"phase": "score", "bytes_seen": trained.bytes_seen}
    if trained.diverged:
        bench.fail("bits_per_byte", f"training diverged at learning rate {cell.get('lr'):g}; set another with --lr",
                   **fields)
        return
    scores: dict[float, Any] = {}
    for strength in (0.0, *reversed(SCORED)):
        if strength:
            circuits.disturb(model, strength)
        if strength in (0.0, max(SCORED)) and not (report := bench.audit(model, [cell.seq_len])).passed:
            bench.fail("noise_bits_lost", report.summary(), "audit_failed", **fields)
            return
        scores[strength] = bench.score(model, heldout)
    for strength in (0.0, *SCORED):
        score = scores[strength]
        interval = stats.bits_per_byte_interval(score.bits, score.bytes)
        put(bench, f"noisy_bits_per_byte@{strength:g}", interval, "bits/byte", "lower", execution="noise", **fields)
        bench.raw[f"document_bits@{strength:g}"] = score.bits.tolist()
    bench.raw["document_bytes"] = scores[0.0].bytes.tolist()
    lost = stats.paired_bits_difference(scores[1.0].bits, scores[0.0].bits, scores[0.0].bytes)
    put(bench, "noise_bits_lost", lost, "bits/byte", "lower", **fields)


# Cost

def memory(circuits: Any, bench: Workbench) -> None:
    """Peak of one call forward and backward, beside the bytes of its states: they double with every qubit."""
    depth = circuits.size[1]
    for qubits in WEIGHED_QUBITS:
        try:
            circuit = circuits.at(qubits, depth)
        except Unsupported as error:
            bench.fail("peak_bytes", str(error), "unsupported", n_qubits=qubits, depth=depth)
            continue
        call = circuit.timed("compiled", WEIGHED).call
        call()                                              # compiles the kernels
        peak = next(iter(bench.peak_memory(call).values()))
        bench.row("peak_bytes", peak, "B", "lower", phase="train", limit=circuit.state_bytes(WEIGHED),
                  limit_kind="statevector", execution="compiled", **circuit.facts)


def times(cell: Cell, circuits: Any, bench: Workbench) -> None:
    """Seconds for one circuit, forward and backward, of a batch of them, in all executions in turns."""
    rate, depth = bench.limits.get("gemm_float32_flops_per_s"), circuits.size[1]
    for qubits in TIMED_QUBITS:
        timed, lost = {}, {}
        for execution in ("compiled", "native", "shots"):
            try:
                circuit = circuits.at(qubits, depth)
                timed[execution] = circuit.timed(execution, BATCH)
            except Unsupported as error:
                lost[execution] = str(error)
        seconds = bench.time_cases({name: case.call for name, case in timed.items()}, limit=CASE_SECONDS)
        for name, case in timed.items():
            each = stats.median_interval([s / case.samples for s in seconds[name]])
            limit = {"limit": circuit.flops / rate, "limit_kind": "compute"} if rate else {}
            put(bench, "time_per_circuit_s", each, "s", "lower", phase="train", execution=name, gradient=case.gradient,
                circuit_executions=case.executions, shots=case.shots, **limit, **circuit.facts)
            bench.raw[f"{name}@{qubits}"] = seconds[name]
        for name, reason in lost.items():
            bench.fail("time_per_circuit_s", reason, "unsupported", phase="train", execution=name, n_qubits=qubits,
                       depth=depth)


def uncompared(row: Row) -> None:
    """These rows are of circuits, several of a cell under one name: `harness compare` sets models side by side."""


suite = Suite(
    name="circuit", summary="trainability, expressivity, shots, noise, time and memory of circuits against their size",
    plan=plan, measure=measure, timed=True, limits=("compute",), compared=uncompared,
    primary=("gradient_variance", "entangling_capability", "expressibility_kl", "time_per_circuit_s", "peak_bytes",
             "gradient_variance_slope", "shot_error_ratio", "noisy_contrast", "noise_bits_lost",
             "circuits_per_token", "device_two_qubit_depth", "device_two_qubit_gates", "qpu_s_forward", "qpu_s_step"),
)
