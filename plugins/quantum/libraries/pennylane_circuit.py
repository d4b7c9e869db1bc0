"""Circuits of PennyLane: built from a description, and converted to gate plans.

Qubit q is wire q. A circuit is a quantum function of (inputs, weights); which angle depends on which is found by
recording its tape at the origin and along every axis, as angles are linear in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pennylane as qml

from harness import UsageError

from ..circuit import gates
from ..circuit.ansatz import Description
from ..circuit.plan import Angle, Pauli, Plan, Readout, Rotation, w, x

GATES = {
    qml.Identity: "id", qml.X: "x", qml.Y: "y", qml.Z: "z", qml.Hadamard: "h", qml.S: "s", qml.T: "t", qml.SX: "sx",
    qml.RX: "rx", qml.RY: "ry", qml.RZ: "rz", qml.PhaseShift: "p", qml.U1: "p", qml.U3: "u", qml.CNOT: "cx",
    qml.CZ: "cz", qml.CY: "cy", qml.SWAP: "swap", qml.ISWAP: "iswap", qml.IsingXX: "rxx", qml.IsingYY: "ryy",
    qml.IsingZZ: "rzz", qml.CRX: "crx", qml.CRY: "cry", qml.CRZ: "crz", qml.ControlledPhaseShift: "cp",
}
ADJOINT = {qml.S: "sdg", qml.T: "tdg", qml.SX: "sxdg"}
SILENT = (qml.GlobalPhase, qml.Barrier, qml.WireCut, qml.Snapshot)
LOADING = (qml.StatePrep, qml.AmplitudeEmbedding)


def build(description: Description) -> Callable[[Any, Any], None]:
    """The quantum function of (inputs (…, I), weights (P,)); under amplitude encoding it loads (…, 2^n) inputs."""
    instructions, qubits = description.gates(), description.qubits
    makers = {"ry": qml.RY, "rz": qml.RZ, "cx": qml.CNOT, "rbs": _rbs}

    def circuit(inputs: Any, weights: Any) -> None:
        if description.encoding == "amplitude":
            qml.StatePrep(inputs, wires=range(qubits)[::-1], normalize=True)
        sources = {"input": inputs, "weight": weights}
        for gate in instructions:
            angles = [sum((c * sources[s][..., i] for s, i, c in angle.terms), angle.offset) for angle in gate.angles]
            makers[gate.name](*angles, wires=gate.qubits)

    return circuit


def _rbs(angle: Any, wires: Sequence[int]) -> None:
    qml.SingleExcitation(2 * angle, wires=wires)


def measurements(readout: Readout, qubits: int) -> list[Any]:
    """What a QNode returns for a read-out."""
    wires = range(qubits)[::-1]                             # the first wire of a measurement is its highest bit
    if readout.kind == "probabilities":
        return [qml.probs(wires=wires)]
    if readout.kind == "state":
        return [qml.state()]
    return [qml.expval(observable(pauli, qubits)) for pauli in readout.strings(qubits)]


def observable(pauli: Pauli, qubits: int) -> Any:
    letters = {(1, 0): qml.X, (1, 1): qml.Y, (0, 1): qml.Z}
    bits = [(pauli.x >> q & 1, pauli.z >> q & 1) for q in range(qubits)]
    parts = [letters[pair](q) for q, pair in enumerate(bits) if any(pair)]
    return qml.prod(*parts) if parts else qml.Identity(0)


def from_pennylane(
    circuit: Callable[[Any, Any], Any], inputs: int, weights: int, readout: Readout = Readout(), *,  # noqa: B008
    qubits: int = 0, amplitudes: int = 0,
) -> Plan:
    """The gate plan of a quantum function or QNode of (inputs (I,), weights (P,)).

    `qubits` defaults to the wires that it touches, which must be 0, 1, …. With `amplitudes` the function takes as many
    numbers as first argument, which a StatePrep in front loads, and no inputs. Raises UsageError, naming the gate,
    where it cannot be converted or where an angle is not linear.
    """
    function = getattr(circuit, "func", circuit)
    loads = np.ones(amplitudes)

    def record(inputs: np.ndarray, weights: np.ndarray):
        tape = qml.tape.make_qscript(function)(loads if amplitudes else inputs, weights)
        return _operations(tape.operations)

    origin = np.zeros(inputs), np.zeros(weights)
    base, steepest = record(*origin), []
    for source in (0, 1):
        for axis in range(len(origin[source])):
            moved = [part.copy() for part in origin]
            moved[source][axis] = 1.0
            steepest.append((x if source == 0 else w, axis, record(*moved)))
    angles = [[Angle(offset=value) for value in values] for _, _, values in base]
    for make, axis, tape in steepest:
        for row, (_, _, values) in enumerate(tape):
            for k, value in enumerate(values):
                angles[row][k] = angles[row][k] + make(axis) * (value - base[row][2][k])
    random = np.random.default_rng(0)
    point = random.uniform(-1, 1, inputs), random.uniform(-1, 1, weights)
    for (name, _, values), linear in zip(record(*point), angles, strict=True):
        for value, angle in zip(values, linear, strict=True):
            if abs(value - _evaluate(angle, *point)) > 1e-9:
                raise UsageError(f"an angle of gate {name!r} is not linear in the inputs and weights")
    return _plan(base, angles, inputs, weights, readout, qubits, bool(amplitudes))


def from_tape(tape: Any, readout: Readout = Readout()) -> Plan:  # noqa: B008
    """The gate plan of a recorded tape: its trainable parameters are the weights, in their order."""
    operations = _operations(tape.operations)
    angles, position, trainable = [], 0, list(tape.trainable_params)
    flat = [float(v) for op in tape.operations for v in op.data if np.ndim(v) == 0]
    if sum(len(values) for _, _, values in operations) != len(flat):
        raise UsageError("a tape with composite gates has no parameters of its own to train; convert its function")
    for _, _, values in operations:
        row = []
        for value in values:
            row.append(w(trainable.index(position)) if position in trainable else Angle(offset=value))
            position += 1
        angles.append(row)
    return _plan(operations, angles, 0, len(trainable), readout, len(tape.wires), False)


def _plan(operations, angles, inputs: int, weights: int, readout: Readout, qubits: int, loaded: bool) -> Plan:
    steps: list[gates.Step] = []
    for (name, wires, _), values in zip(operations, angles, strict=True):
        if name == "StatePrep":
            continue
        if name.startswith("PauliRot "):
            letters = [(q, c) for q, c in zip(wires, name.partition(" ")[2], strict=True) if c != "I"]
            if letters:
                steps.append(Rotation(Pauli.of(letters), values[0]))
        else:
            steps += gates.steps(name, wires, values)
    touched = {wire for _, wires, _ in operations for wire in wires}
    return Plan(qubits or max(touched, default=0) + 1, inputs, weights, tuple(steps), readout, loaded)


def _operations(operations: Sequence[Any]) -> list[tuple[str, tuple[int, ...], list[float]]]:
    """(name in our vocabulary, wires, angles) of every gate, composites decomposed."""
    found: list[tuple[str, tuple[int, ...], list[float]]] = []
    for operation in operations:
        kind, wires = type(operation), tuple(operation.wires)
        if kind in SILENT:
            continue
        if any(not isinstance(wire, Integral) or wire < 0 for wire in wires):
            raise UsageError(f"wires must be numbered from 0, got {sorted(map(str, wires))}")
        wires = tuple(map(int, wires))                      # they may be integers of NumPy
        values = [_real(v, operation) for v in operation.data if np.ndim(v) == 0]
        if name := _gate_name(operation):
            found.append((name, wires, values))
        elif kind is qml.Rot:
            found.append(("u", wires, [values[1], values[2], values[0]]))
        elif kind is qml.SingleExcitation:
            found.append(("rbs", wires, [values[0] / 2]))
        elif kind is qml.MultiRZ:
            found.append(("PauliRot " + "Z" * len(wires), wires, values))
        elif kind is qml.PauliRot:
            found.append(("PauliRot " + operation.hyperparameters["pauli_word"], wires, values))
        elif kind in LOADING:
            found.append(("StatePrep", wires, []))
        else:
            found += _operations(_decomposed(operation))
    return found


def _gate_name(operation: Any) -> str:
    """The name in our vocabulary of one of PennyLane's own gates, "" for every other: a class of somebody else may be
    called Hadamard and turn."""
    if isinstance(operation, qml.ops.op_math.Adjoint):
        return ADJOINT.get(type(operation.base), "")
    return GATES.get(type(operation), "")


def _real(value: Any, operation: Any) -> float:
    if value is None or np.imag(value):
        raise UsageError(f"gate {operation.name!r} cannot be converted: its parameter {value} is not real")
    return float(np.real(value))


def _decomposed(operation: Any) -> Sequence[Any]:
    """The gates that an operation consists of. Raises UsageError where it has none, or they cannot be told."""
    if not operation.has_decomposition:
        raise UsageError(f"gate {operation.name!r} cannot be converted: it is not in the vocabulary and has no "
                         "decomposition")
    try:
        return operation.decomposition()
    except Exception as error:
        raise UsageError(f"gate {operation.name!r} cannot be converted: its decomposition fails "
                         f"({' '.join(str(error).split())})") from error


def _evaluate(angle: Angle, inputs: np.ndarray, weights: np.ndarray) -> float:
    return angle.offset + sum(c * (inputs if s == "input" else weights)[i] for s, i, c in angle.terms)
