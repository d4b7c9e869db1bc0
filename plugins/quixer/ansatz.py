"""Circuit 14 of Sim et al. 1905.10876, by which Quixer turns a token into a unitary. (no torch)

A layer is RY on every qubit, a ring of controlled RX, RY again, a ring in the other direction: 4 n angles.
"""

from __future__ import annotations

from ..quantum.circuit import gates
from ..quantum.circuit.ansatz import Gate
from ..quantum.circuit.plan import Angle, Plan, Readout, Source

STATE = Readout("state")


def rings(qubits: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Controls and targets of the two rings of a layer, in order."""
    last = qubits - 1
    forth = [(q, (q + 1) % qubits) for q in range(last, -1, -1)]
    back = [(q, (q - 1) % qubits) for q in (last, *range(last))]
    return forth, back


def layered(qubits: int, layers: int, source: Source, entangler: bool = True) -> list[Gate]:
    """The gates, whose k-th angle is number k of `source`. Without `entangler` a target turns whatever its control."""
    found: list[Gate] = []

    def add(name: str, on: tuple[int, ...]) -> None:
        found.append(Gate(name, on, (Angle(((source, len(found), 1.0),)),)))

    for _ in range(layers):
        for ring in rings(qubits):
            for q in range(qubits):
                add("ry", (q,))
            for control, target in ring:
                add(*(("crx", (control, target)) if entangler else ("rx", (target,))))
    return found


def everywhere(qubits: int) -> Readout:
    """X of every qubit, then Y, then Z."""
    places = [("I" * (qubits - 1 - q), "I" * q) for q in range(qubits)]
    return Readout("paulis", tuple(f"{high}{letter}{low}" for letter in "XYZ" for high, low in places))


def plan_of(found: list[Gate], qubits: int, readout: Readout, loaded: bool = True) -> Plan:
    """Of the gates of `layered`: each has an input, or a weight, of its own."""
    steps = tuple(step for gate in found for step in gates.steps(gate.name, gate.qubits, gate.angles))
    by_input = sum(source == "input" for gate in found for angle in gate.angles for source, _, _ in angle.terms)
    return Plan(qubits, by_input, len(found) - by_input, steps, readout, loaded)
