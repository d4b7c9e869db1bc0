"""The circuits of the language models: one description, from which each library's circuit is built. (no torch)

Notable:
- in a hardware-efficient layer RZ comes before RY: the other way round, the last RZ of every qubit commutes with what
  is measured, and its weight is dead;
- orthogonal layers are Givens rotations (RBS gates) in a pyramid, n(n-1)/2 of them, or a butterfly, n/2 log2 n
  (Kerenidis, Landman & Mathur 2209.08167);
- inputs turn RY and RZ of every qubit, once or before every layer (re-uploading), or are the amplitudes themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from . import gates
from .plan import Angle, Plan, Readout, w, x

Encoding = Literal["angle", "reupload", "amplitude"]
Ansatz = Literal["rotations", "pyramid", "butterfly"]
Entangler = Literal["ring", "chain", "none"]
Z_EACH = Readout()


@dataclass(frozen=True)
class Gate:
    """A named gate of `gates.GATES` on its qubits."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()


@dataclass(frozen=True)
class Description:
    """A circuit of `layers` trainable layers on `qubits` qubits. Raises ValueError for what cannot be built."""

    qubits: int = 6
    layers: int = 2
    encoding: Encoding = "angle"
    ansatz: Ansatz = "rotations"
    entangler: Entangler = "ring"
    readout: Readout = Z_EACH

    def __post_init__(self) -> None:
        if self.qubits < 1 or self.layers < 1:
            raise ValueError("qubits and layers must be at least 1")
        if self.ansatz != "rotations" and self.entangler == "none":
            raise ValueError(f"the Givens rotations of ansatz={self.ansatz} are what entangles: "
                             "without an entangler use ansatz=rotations")
        if self.ansatz != "rotations" and self.qubits < 2:
            raise ValueError(f"ansatz={self.ansatz} needs at least 2 qubits")
        if self.ansatz == "butterfly" and self.qubits & (self.qubits - 1):
            raise ValueError(f"ansatz=butterfly needs a power of two of qubits, not {self.qubits}")

    @property
    def inputs(self) -> int:
        """Angles a sample brings; none where it brings the amplitudes."""
        return 0 if self.encoding == "amplitude" else 2 * self.qubits

    @property
    def features(self) -> int:
        """Numbers a sample brings, amplitudes included."""
        return 1 << self.qubits if self.encoding == "amplitude" else self.inputs

    @property
    def weights(self) -> int:
        return self.layers * (len(self.pairs) if self.pairs else 2 * self.qubits)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Where the Givens rotations of a layer are, in order."""
        n = self.qubits
        if self.ansatz == "pyramid":
            return [(j, j + 1) for i in range(1, n) for j in range(i - 1, -1, -1)]
        if self.ansatz == "butterfly":
            strides = [1 << k for k in range(n.bit_length() - 1)]
            return [(i, i + s) for s in strides for i in range(n) if not i & s]
        return []

    @property
    def links(self) -> list[tuple[int, int]]:
        """Control and target of the CX gates of a layer, in order."""
        n = self.qubits
        if self.entangler == "none" or n == 1 or self.pairs:
            return []
        chain = [(q, q + 1) for q in range(n - 1)]
        return [*chain, (n - 1, 0)] if self.entangler == "ring" else chain

    def gates(self) -> list[Gate]:
        found, qubits = [], range(self.qubits)
        for layer in range(self.layers):
            if self.encoding == "reupload" or (self.encoding == "angle" and layer == 0):
                found += [Gate("ry", (q,), (x(q),)) for q in qubits]
                found += [Gate("rz", (q,), (x(self.qubits + q),)) for q in qubits]
            first = layer * self.weights // self.layers
            if self.pairs:
                found += [Gate("rbs", pair, (w(first + k),)) for k, pair in enumerate(self.pairs)]
            else:
                found += [Gate("rz", (q,), (w(first + q),)) for q in qubits]
                found += [Gate("ry", (q,), (w(first + self.qubits + q),)) for q in qubits]
                found += [Gate("cx", link) for link in self.links]
        return found

    def plan(self) -> Plan:
        """The gate plan, without the detour over a library."""
        steps = tuple(step for gate in self.gates() for step in gates.steps(gate.name, gate.qubits, gate.angles))
        return Plan(self.qubits, self.inputs, self.weights, steps, self.readout, loaded=self.encoding == "amplitude")
