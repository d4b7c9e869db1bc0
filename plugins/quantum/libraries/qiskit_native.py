"""Qiskit's own executions: Aer's primitives with all parameter values bound in one job, exact, sampled or noisy.

Notable:
- every gate angle is a parameter of its own, as the shift rule turns single gates;
- under noise the circuit is transpiled first, as errors belong to the basis gates of a device, and up to eight qubits
  are simulated as a density matrix, which costs less than trajectories;
- Aer's estimator measures nothing and so skips the read-out error: noisy runs are sampled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import StatePreparation
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from qiskit_aer.primitives import EstimatorV2, SamplerV2
from torch import Tensor

from harness import Unsupported, UsageError

from ..circuit.plan import Angle, Readout
from ..simulate.sampling import check_shots
from ..simulate.shift import FOUR_TERMS, TWO_TERMS, Gradient, Rule, angle_values, estimated
from .backends import BASIS, fake_backend
from .qiskit_circuit import FOUR_TERM_GATES, parameter_angles

GATES_OF_AER = {
    "id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "t", "tdg", "p", "u", "rx", "ry", "rz", "cx", "cy", "cz",
    "swap", "ecr", "cp", "crx", "cry", "crz", "rxx", "ryy", "rzz", "rzx",
}
DENSITY_MATRIX_QUBITS = 8
ONE_QUBIT_ERROR, TWO_QUBIT_ERROR, READOUT_ERROR = 3e-4, 5e-3, 0.0175        # of noise "depolarizing"


@dataclass(frozen=True)
class Separated:
    """A circuit in which every angle that is not constant is a parameter of its own."""

    circuit: QuantumCircuit
    parameters: tuple[Parameter, ...]
    angles: tuple[Angle, ...]
    rules: tuple[Rule, ...]


def separate(circuit: QuantumCircuit) -> Separated:
    table = parameter_angles(circuit)
    own = QuantumCircuit(circuit.num_qubits)
    parameters: list[Parameter] = []
    angles: list[Angle] = []
    rules: list[Rule] = []
    for instruction in circuit.data:
        operation = instruction.operation.to_mutable()
        values = []
        for value in operation.params:
            angle = table(value, operation.name)
            if angle.terms:
                parameters.append(Parameter(f"t{len(parameters):05d}"))          # bound in the order of their names
                angles.append(angle)
                rules.append(FOUR_TERMS if operation.name in FOUR_TERM_GATES else TWO_TERMS)
                value = parameters[-1]
            values.append(value)
        operation.params = values
        own.append(operation, [circuit.find_bit(q).index for q in instruction.qubits])
    return Separated(own, tuple(parameters), tuple(angles), tuple(rules))


@dataclass
class AerCircuit:
    """A circuit on Aer. `shots=0` is exact; `noise` is "", "depolarizing" or the name of a fake backend.

    Raises UsageError for a noise model that does not exist.
    """

    circuit: QuantumCircuit
    readout: Readout = field(default_factory=Readout)
    shots: int = 0
    noise: str = ""
    gradient: Gradient = "shift"
    seed: int = 0

    def __post_init__(self) -> None:
        self.qubits = self.circuit.num_qubits
        if self.noise:
            check_shots(self.shots)
        if self.readout.kind == "state":
            raise UsageError("a state cannot be measured: read out z, probabilities or Pauli strings")
        self.model = noise_model(self.noise, self.qubits) if self.noise else None
        self.separated = separate(self.circuit)
        self.measured = self._transpiled(self.separated.circuit)
        dense = self.model is not None and self.qubits <= DENSITY_MATRIX_QUBITS
        self.options: dict[str, Any] = {
            "method": "density_matrix" if dense else "statevector", "max_parallel_threads": torch.get_num_threads(),
            "precision": "double", "seed_simulator": self.seed, "noise_model": self.model}

    def _transpiled(self, circuit: QuantumCircuit) -> QuantumCircuit:
        """The circuit in gates that Aer knows; where there is noise, in those that the noise model has errors for."""
        basis = GATES_OF_AER if self.model is None else GATES_OF_AER & set(self.model.basis_gates)
        return transpile(circuit, basis_gates=sorted(basis), optimization_level=0 if self.model is None else 1,
                         seed_transpiler=self.seed)

    def __call__(self, x: Tensor, w: Tensor, loaded: Tensor | None = None) -> Tensor:
        """x (B, inputs), w (weights,), loaded (B, 2, 2^n) -> (B, outputs), differentiable by runs at shifted angles."""
        theta = angle_values(self.separated.angles, x, w)

        def estimate(values: Tensor, states: Tensor | None) -> Tensor:
            out = self.run(values.double().cpu().numpy(), states)
            return torch.from_numpy(out).to(values)

        return estimated(estimate, theta, loaded, self.separated.rules, self.gradient)

    def run(self, values: np.ndarray, states: Tensor | None = None) -> np.ndarray:
        """Read-outs (N, outputs) at gate angles (N, K)."""
        if self.shots == 0 and self.readout.kind != "probabilities":
            return self._expectations(values, states)
        if self.readout.kind == "paulis":
            raise Unsupported("sampled runs on Aer read out z or probabilities; Pauli strings are exact only")
        return self._sampled(values, states)

    def _circuits(self, states: Tensor | None) -> list[QuantumCircuit]:
        """The circuit, or one for each loaded state."""
        if states is None:
            return [self.measured]
        found = []
        for re, im in states.double().tolist():
            vector = np.array(re) + 1j * np.array(im)
            prepared = QuantumCircuit(self.qubits)
            prepared.append(StatePreparation(vector / np.linalg.norm(vector)), range(self.qubits))
            found.append(self._transpiled(prepared).compose(self.measured))
        return found

    def _jobs(self, values: np.ndarray, states: Tensor | None) -> list[tuple[QuantumCircuit, np.ndarray]]:
        circuits = self._circuits(states)
        order = [self.separated.parameters.index(p) for p in circuits[0].parameters]
        values = values[:, order]
        return [(circuits[0], values)] if states is None else list(zip(circuits, values[:, None], strict=True))

    def _expectations(self, values: np.ndarray, states: Tensor | None) -> np.ndarray:
        strings = self.readout.strings(self.qubits)
        observables = [SparsePauliOp(letters(p.x, p.z, self.qubits)) for p in strings]
        estimator = EstimatorV2(options={"backend_options": self.options})
        pubs = [(circuit, observables, rows[:, None, :]) for circuit, rows in self._jobs(values, states)]
        return np.concatenate([result.data.evs for result in estimator.run(pubs).result()])

    def _sampled(self, values: np.ndarray, states: Tensor | None) -> np.ndarray:
        pubs = []
        for circuit, rows in self._jobs(values, states):
            measured = circuit.copy()
            if self.shots:
                measured.measure_all()
            else:
                measured.save_probabilities()
            pubs.append((measured, rows))
        if not self.shots:
            return self._probabilities(pubs)
        sampler = SamplerV2(seed=self.seed, options={"backend_options": self.options})
        results = sampler.run(pubs, shots=self.shots).result()
        counted = [self._frequencies(result.data.meas) for result in results]
        found = np.concatenate(counted)
        if self.readout.kind == "probabilities":
            return found
        bits = np.arange(found.shape[1])[:, None] >> np.arange(self.qubits) & 1
        return found @ (1 - 2 * bits)

    def _frequencies(self, bits: Any) -> np.ndarray:
        """(N, 2^n) from a BitArray of N parameter sets."""
        packed = bits.array                                                      # (N, shots, bytes), big-endian
        weights = 256 ** np.arange(packed.shape[-1])[::-1]
        outcomes = packed.reshape(-1, *packed.shape[-2:]).astype(np.int64) @ weights
        return np.stack([np.bincount(row, minlength=1 << self.qubits) for row in outcomes]) / outcomes.shape[1]

    def _probabilities(self, pubs: list[tuple[QuantumCircuit, np.ndarray]]) -> np.ndarray:
        from qiskit_aer import AerSimulator

        simulator, found = AerSimulator(**self.options), []
        for circuit, rows in pubs:
            binds = {p: rows[:, k].tolist() for k, p in enumerate(circuit.parameters)}
            ready = transpile(circuit, simulator, optimization_level=0)
            result = simulator.run([ready], parameter_binds=[binds] if binds else None).result()
            found += [np.asarray(result.data(k)["probabilities"]) for k in range(len(rows))]
        return np.stack(found)


def letters(x: int, z: int, qubits: int) -> str:
    return "".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in reversed(range(qubits)))


def noise_model(name: str, qubits: int) -> NoiseModel:
    """"depolarizing" (the errors above), or what a fake backend of that name reports. Raises UsageError."""
    if name == "depolarizing":
        model = NoiseModel(basis_gates=BASIS)
        model.add_all_qubit_quantum_error(depolarizing_error(ONE_QUBIT_ERROR, 1), ["sx", "x"])
        model.add_all_qubit_quantum_error(depolarizing_error(TWO_QUBIT_ERROR, 2), ["cx"])
        kept, flipped = 1 - READOUT_ERROR, READOUT_ERROR
        model.add_all_qubit_readout_error(ReadoutError([[kept, flipped], [flipped, kept]]))
        return model
    return NoiseModel.from_backend(fake_backend(name, qubits, ["depolarizing"]))
