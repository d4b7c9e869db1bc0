"""What a circuit would cost on a quantum device: executions, depth after transpiling, estimated seconds.

The estimate is circuits x shots x (duration of the transpiled circuit + read-out + delay between shots), with gate
times that are assumptions, stated with the result, of the order of today's superconducting devices. Queueing,
compiling and loading are left out, so that it is a lower bound.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from qiskit import QuantumCircuit, transpile
from qiskit.transpiler import CouplingMap

from harness import UsageError

BASES = {"cx": ["rz", "sx", "x", "cx"], "cz": ["rz", "sx", "x", "cz"]}
COUPLINGS = ("all-to-all", "line", "heavy-hex")
SEED, LEVEL = 0, 2


@dataclass(frozen=True)
class Timing:
    """Assumed durations in seconds."""

    one_qubit_s: float = 32e-9
    two_qubit_s: float = 84e-9
    readout_s: float = 1.2e-6
    repetition_s: float = 250e-6                # between shots

    def __str__(self) -> str:
        return (f"assumed: {self.one_qubit_s * 1e9:g} ns and {self.two_qubit_s * 1e9:g} ns a gate, "
                f"{self.readout_s * 1e6:g} us read-out, {self.repetition_s * 1e6:g} us between shots")


@dataclass(frozen=True)
class CircuitCost:
    """One circuit, transpiled."""

    qubits: int
    depth: int
    two_qubit_depth: int
    two_qubit_gates: int
    one_qubit_gates: int
    basis: str
    coupling: str
    optimization_level: int
    seed: int

    def seconds(self, circuits: int, shots: int, timing: Timing = Timing()) -> float:
        """How long a device takes for `circuits` circuits with `shots` shots each."""
        gates = self.two_qubit_depth * timing.two_qubit_s + (self.depth - self.two_qubit_depth) * timing.one_qubit_s
        return circuits * shots * (gates + timing.readout_s + timing.repetition_s)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def circuit_cost(circuit: QuantumCircuit, basis: str = "cz", coupling: str = "heavy-hex") -> CircuitCost:
    """Transpile to a basis and a coupling map with a fixed seed. Raises UsageError for names that do not exist."""
    if basis not in BASES or coupling not in COUPLINGS:
        raise UsageError(f"unknown basis or coupling {basis!r}, {coupling!r}; known: {', '.join(BASES)} and "
                         f"{', '.join(COUPLINGS)}")
    bound = circuit.assign_parameters([0.1 + 0.01 * k for k in range(circuit.num_parameters)])   # none is special
    done = transpile(bound, basis_gates=BASES[basis], coupling_map=_coupling(coupling, circuit.num_qubits),
                     optimization_level=LEVEL, seed_transpiler=SEED)
    pairs = [i for i in done.data if i.operation.num_qubits == 2]
    timed = [i for i in done.data if i.operation.num_qubits == 1 and i.operation.name != "rz"]
    return CircuitCost(
        circuit.num_qubits, done.depth(), done.depth(lambda i: i.operation.num_qubits == 2), len(pairs), len(timed),
        basis, coupling, LEVEL, SEED)


def _coupling(name: str, qubits: int) -> CouplingMap | None:
    if name == "all-to-all":
        return None
    if name == "line":
        return CouplingMap.from_line(qubits)
    distance = 3
    while (found := CouplingMap.from_heavy_hex(distance)).size() < qubits:
        distance += 2
    return found
