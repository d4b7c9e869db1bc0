"""Circuits of Qiskit: built from a description, and converted to gate plans.

The circuit that a `qiskit` model runs, counts and transpiles is a real `QuantumCircuit`; the gate plan is made from it,
not beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import (
    Barrier,
    Delay,
    Measure,
    Operation,
    Parameter,
    ParameterExpression,
    ParameterVector,
    Reset,
)
from qiskit.circuit.library import GlobalPhaseGate, IGate, Initialize, XXPlusYYGate, get_standard_gate_name_mapping

from harness import UsageError

from ..circuit import gates
from ..circuit.ansatz import Description
from ..circuit.plan import Angle, Plan, Readout, w, x

ALIASES = {"u1": "p", "u3": "u", "cu1": "cp"}
STANDARD = {name: getattr(gate, "base_class", type(gate)) for name, gate in get_standard_gate_name_mapping().items()}
FOUR_TERM_GATES = ("crx", "cry", "crz", "xx_plus_yy")       # their generators have the eigenvalues -1/2, 0, 1/2
SILENT = (Barrier, Delay, IGate, GlobalPhaseGate)
OPAQUE = (Measure, Reset, Initialize)


def build(description: Description) -> QuantumCircuit:
    """The circuit, with parameter vectors "x" (inputs) and "w" (weights). Amplitudes are loaded in front of it."""
    circuit = QuantumCircuit(description.qubits)
    vectors = {"input": ParameterVector("x", description.inputs), "weight": ParameterVector("w", description.weights)}
    for gate in description.gates():
        angles = [sum((c * vectors[s][i] for s, i, c in angle.terms), angle.offset) for angle in gate.angles]
        if gate.name == "rbs":
            circuit.append(XXPlusYYGate(2 * angles[0], -math.pi / 2), gate.qubits)
        else:
            getattr(circuit, gate.name)(*angles, *gate.qubits)
    return circuit


def vectors(circuit: QuantumCircuit, name: str) -> list[Parameter]:
    """The elements of the circuit's parameter vector of that name, in order."""
    found = [p for p in circuit.parameters if p.name.partition("[")[0] == name]
    return sorted(found, key=lambda p: getattr(p, "index", 0))


def from_qiskit(
    circuit: QuantumCircuit, readout: Readout = Readout(), *,  # noqa: B008
    inputs: Sequence[Parameter] | None = None, weights: Sequence[Parameter] | None = None, loaded: bool = False,
) -> Plan:
    """The gate plan of a circuit whose angles are linear in its parameters.

    `inputs` are by default the elements of the vector "x", `weights` all other parameters in the circuit's own order.
    Gates outside the vocabulary are converted by their definition. Raises UsageError, naming the gate or the angle.
    """
    inputs, weights = _sources(circuit, inputs, weights)
    table = {p: x(i) for i, p in enumerate(inputs)} | {p: w(i) for i, p in enumerate(weights)}
    steps: list[gates.Step] = []
    _convert(circuit, list(range(circuit.num_qubits)), table, steps)
    return Plan(circuit.num_qubits, len(inputs), len(weights), tuple(steps), readout, loaded)


def parameter_angles(circuit: QuantumCircuit) -> Callable[[ParameterExpression | float, str], Angle]:
    """A function from a gate's parameter, and the gate's name, to its angle; sources as in `from_qiskit`."""
    inputs, weights = _sources(circuit, None, None)
    table = {p: x(i) for i, p in enumerate(inputs)} | {p: w(i) for i, p in enumerate(weights)}
    return lambda value, name: _angle(value, table, name)


def _sources(
    circuit: QuantumCircuit, inputs: Sequence[Parameter] | None, weights: Sequence[Parameter] | None,
) -> tuple[list[Parameter], list[Parameter]]:
    inputs = vectors(circuit, "x") if inputs is None else list(inputs)
    if weights is None:
        weights = vectors(circuit, "w")
        taken = {*inputs, *weights}
        weights += [p for p in circuit.parameters if p not in taken]
    return inputs, list(weights)


def _convert(circuit: QuantumCircuit, where: Sequence[int], table: dict[Parameter, Angle], steps: list) -> None:
    """Append the steps of `circuit`, whose qubit k is `where[k]` of the whole."""
    for instruction in circuit.data:
        operation = instruction.operation
        qubits = [where[circuit.find_bit(q).index] for q in instruction.qubits]
        if isinstance(operation, SILENT):
            continue
        name = _standard_name(operation)
        if name in gates.GATES:
            steps += gates.steps(name, qubits, [_angle(p, table, name) for p in operation.params])
        elif getattr(operation, "definition", None) is not None and not isinstance(operation, OPAQUE):
            _convert(operation.definition, qubits, table, steps)
        else:
            raise UsageError(f"gate {operation.name!r} cannot be converted: "
                             "it is not in the vocabulary and has no definition")


def _standard_name(operation: Operation) -> str:
    """The name in our vocabulary of one of Qiskit's own gates, "" for every other: a gate is what it does, and a gate
    of somebody else may be called "h" and turn."""
    kind = getattr(operation, "base_class", type(operation))
    usual = 2 ** getattr(operation, "num_ctrl_qubits", 1) - 1                # all controls act on |1>
    if kind is not STANDARD.get(operation.name) or getattr(operation, "ctrl_state", 1) != usual:
        return ""
    return ALIASES.get(operation.name, operation.name)


def _angle(value: ParameterExpression | float, table: dict[Parameter, Angle], name: str) -> Angle:
    if not isinstance(value, ParameterExpression):
        return Angle(offset=float(value))
    total = Angle(offset=float(value.bind(dict.fromkeys(value.parameters, 0.0)).numeric()))
    for parameter in value.parameters:
        slope = value.gradient(parameter)
        if isinstance(slope, ParameterExpression) and slope.parameters:
            raise UsageError(f"the angle {value} of gate {name!r} is not linear in {parameter.name}")
        if parameter not in table:
            raise UsageError(f"parameter {parameter.name} of gate {name!r} is neither an input nor a weight")
        total = total + table[parameter] * float(slope.numeric() if isinstance(slope, ParameterExpression) else slope)
    return total
