"""The gate plan: a circuit as rotations about Pauli strings, monomial Clifford gates and a read-out. (no torch)

Every circuit of Qiskit or PennyLane that we run is converted once into this form, whatever its gates are called:
exp(-i angle P / 2) for a Pauli string P, and gates that only permute basis states and change their signs (CX, CZ, X, Z,
S). Both are closed under everything that an execution wants to do: rotations have a two-term shift rule and an adjoint,
monomial gates need never be executed. A global phase is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Source = Literal["input", "weight"]
MONOMIAL = {"cx": 2, "cz": 2, "x": 1, "z": 1, "s": 1}         # name -> qubits


@dataclass(frozen=True)
class Angle:
    """offset + sum of coefficient * source[index], in radians: what a gate turns by."""

    terms: tuple[tuple[Source, int, float], ...] = ()
    offset: float = 0.0

    @classmethod
    def of(cls, value: Angle | float) -> Angle:
        return value if isinstance(value, Angle) else cls(offset=float(value))

    def __add__(self, other: Angle | float) -> Angle:
        other = Angle.of(other)
        total: dict[tuple[Source, int], float] = {}
        for source, index, coefficient in (*self.terms, *other.terms):
            total[source, index] = total.get((source, index), 0.0) + coefficient
        terms = tuple((source, index, c) for (source, index), c in sorted(total.items()) if c)
        return Angle(terms, self.offset + other.offset)

    def __mul__(self, factor: float) -> Angle:
        return Angle(tuple((s, i, factor * c) for s, i, c in self.terms if factor), factor * self.offset)

    def __neg__(self) -> Angle:
        return self * -1.0

    def __sub__(self, other: Angle | float) -> Angle:
        return self + -Angle.of(other)

    @property
    def shared(self) -> bool:
        """The same for every sample of a batch: no input enters."""
        return all(source == "weight" for source, _, _ in self.terms)


def x(index: int) -> Angle:
    """The input of that index as an angle."""
    return Angle((("input", index, 1.0),))


def w(index: int) -> Angle:
    """The weight of that index as an angle."""
    return Angle((("weight", index, 1.0),))


@dataclass(frozen=True)
class Pauli:
    """The Hermitian string with X on the bits of `x`, Z on those of `z`, Y where both are, and a sign.

    Qubit q is bit q, of masks and of basis states alike (the order of Qiskit).
    """

    x: int
    z: int
    negative: bool = False

    @classmethod
    def of(cls, letters: Iterable[tuple[int, str]]) -> Pauli:
        """From (qubit, "X" | "Y" | "Z") pairs of distinct qubits."""
        letters = list(letters)
        x, z = (sum(1 << q for q, name in letters if name in kinds) for kinds in ("XY", "YZ"))
        return cls(x, z)

    @property
    def support(self) -> int:
        return self.x | self.z

    def commutes(self, other: Pauli) -> bool:
        return ((self.x & other.z).bit_count() + (self.z & other.x).bit_count()) % 2 == 0


@dataclass(frozen=True)
class Rotation:
    """exp(-i angle P / 2)."""

    pauli: Pauli
    angle: Angle


@dataclass(frozen=True)
class Monomial:
    """A gate of `MONOMIAL`, on its qubits (control first)."""

    name: str
    qubits: tuple[int, ...]


@dataclass(frozen=True)
class Readout:
    """What is measured: `z` on every qubit, all basis `probabilities`, Pauli strings, or the `state` itself.

    A string is written as in Qiskit, qubit 0 last: "XZI" is Z on qubit 1 and X on qubit 2.
    """

    kind: Literal["z", "probabilities", "paulis", "state"] = "z"
    paulis: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind == "paulis") != bool(self.paulis):
            raise ValueError("a read-out of kind paulis, and no other, names its Pauli strings")

    def strings(self, qubits: int) -> list[Pauli]:
        """The observables of the kinds that are expectation values."""
        if self.kind == "z":
            return [Pauli(0, 1 << q) for q in range(qubits)]
        for text in self.paulis:
            if len(text) != qubits or set(text) - set("IXYZ"):
                raise ValueError(f"{text!r} is no Pauli string of {qubits} qubits")
        return [Pauli.of((q, c) for q, c in enumerate(reversed(text)) if c != "I") for text in self.paulis]

    def size(self, qubits: int) -> int:
        """Numbers a sample (complex ones for `state`)."""
        return {"z": qubits, "paulis": len(self.paulis)}.get(self.kind, 1 << qubits)


@dataclass(frozen=True)
class Plan:
    """A circuit of `qubits` qubits with `inputs` inputs a sample and `weights` trainable angles.

    It starts in |0…0>, or with `loaded` in a state that is given with every sample (amplitude encoding).
    """

    qubits: int
    inputs: int
    weights: int
    steps: tuple[Rotation | Monomial, ...]
    readout: Readout = Readout()
    loaded: bool = False

    def __post_init__(self) -> None:
        if self.qubits < 1:
            raise ValueError(f"a circuit needs at least one qubit, got {self.qubits}")

    @property
    def outputs(self) -> int:
        return self.readout.size(self.qubits)


def freed(plan: Plan) -> tuple[Plan, tuple[Angle, ...]]:
    """The plan in which every angle that is not constant is an input of its own, and the list of these angles."""
    angles: list[Angle] = []
    steps: list[Rotation | Monomial] = []
    for step in plan.steps:
        if isinstance(step, Rotation) and step.angle.terms:
            angles.append(step.angle)
            step = Rotation(step.pauli, x(len(angles) - 1))
        steps.append(step)
    return replace(plan, inputs=len(angles), weights=0, steps=tuple(steps)), tuple(angles)
