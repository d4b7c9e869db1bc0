"""A gate plan made ready to run: monomial gates pushed to the end, where they cost nothing. (no torch)

Notable:
- a monomial gate C followed by a rotation about P is a rotation about C† P C followed by C: an entangling layer becomes
  longer Pauli strings in the rotations behind it, and in the end a relabelling of what is read out;
- rotations that come before anything entangles their qubit act on a product state, two numbers a qubit;
- diagonal rotations by weights alone commute, and become one table of phases shared by the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..circuit.plan import Angle, Monomial, Pauli, Plan, Rotation

REAL, IMAGINARY, DIAGONAL, TABLE = range(4)         # kinds of an operation


@dataclass(frozen=True)
class Program:
    """Arrays that kernels run over.

    `prefix` rows (kind, qubit, negative, angle): rotations on a product state. `ops` rows (kind, x, z, negative,
    angle): rotations on the register, in which `negative` has taken in the powers of i, so that <i|-iP|j> is
    ±(-1)^parity(j & z) for REAL and -i times that for IMAGINARY; of a TABLE `angle` is its number. `tables` are lists
    of (z, negative, angle). Angles are rows of `angles`, those that depend on inputs first, `lanes` of them.
    """

    plan: Plan
    prefix: np.ndarray
    ops: np.ndarray
    tables: tuple[np.ndarray, ...]
    angles: tuple[Angle, ...]
    lanes: int
    observables: np.ndarray             # rows (x, z, negative) of the read-out's strings
    target: np.ndarray                  # (2^n,) the basis state that each amplitude belongs to in the end
    power: np.ndarray                   # (2^n,) of i: the phase that goes with it


@dataclass
class _Frame:
    """Images C† X_q C and C† Z_q C of the generators under the gates so far, as (power of i, x, z) of i^k X^x Z^z."""

    xs: list[tuple[int, int, int]]
    zs: list[tuple[int, int, int]]

    @classmethod
    def identity(cls, qubits: int) -> _Frame:
        return cls([(0, 1 << q, 0) for q in range(qubits)], [(0, 0, 1 << q) for q in range(qubits)])

    def append(self, gate: Monomial) -> None:
        xs, zs, (q, *rest) = self.xs, self.zs, gate.qubits
        if gate.name == "cx":
            xs[q], zs[rest[0]] = _product(xs[q], xs[rest[0]]), _product(zs[q], zs[rest[0]])
        elif gate.name == "cz":
            xs[q], xs[rest[0]] = _product(xs[q], zs[rest[0]]), _product(zs[q], xs[rest[0]])
        elif gate.name == "x":
            zs[q] = _product((2, 0, 0), zs[q])
        elif gate.name == "z":
            xs[q] = _product((2, 0, 0), xs[q])
        else:                                                       # S† X S = -Y = -i X Z
            xs[q] = _product((3, 0, 0), _product(xs[q], zs[q]))

    def image(self, pauli: Pauli) -> Pauli:
        """C† P C."""
        total = ((pauli.x & pauli.z).bit_count() + 2 * pauli.negative, 0, 0)
        for mask, images in ((pauli.x, self.xs), (pauli.z, self.zs)):
            for q, image in enumerate(images):
                if mask >> q & 1:
                    total = _product(total, image)
        power, x, z = total
        return Pauli(x, z, (power - (x & z).bit_count()) % 4 == 2)


def _product(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    return (a[0] + b[0] + 2 * (a[2] & b[1]).bit_count()) % 4, a[1] ^ b[1], a[2] ^ b[2]


@dataclass
class _Lowering:
    plan: Plan
    prefix: list[Rotation] = field(default_factory=list)
    main: list[Rotation | list[Rotation]] = field(default_factory=list)        # a list is a table

    def add(self, rotation: Rotation, entangled: int) -> int:
        """Place one rotation, and return the mask of qubits that are no longer in a product state."""
        support = rotation.pauli.support
        if support.bit_count() == 1 and not support & entangled:
            self._merge(self.prefix, rotation)
        elif rotation.pauli.x == 0 and rotation.angle.shared:
            self._tabulate(rotation)
        else:
            self._merge(self.main, rotation)
        return entangled | (0 if support.bit_count() == 1 and not support & entangled else support)

    def _merge(self, rotations: list, new: Rotation) -> None:
        """Append a rotation, or add its angle to an equal one that it can be moved to."""
        for index in range(len(rotations) - 1, -1, -1):
            old = rotations[index]
            if isinstance(old, list):
                break
            if old.pauli == new.pauli:
                rotations[index] = Rotation(old.pauli, old.angle + new.angle)
                return
            if not old.pauli.commutes(new.pauli):
                break
        rotations.append(new)

    def _tabulate(self, rotation: Rotation) -> None:
        """Put a diagonal rotation into the last table that it can be moved to, else into a new one."""
        for entry in reversed(self.main):
            if isinstance(entry, list):
                entry.append(rotation)
                return
            if not entry.pauli.commutes(rotation.pauli):
                break
        self.main.append([rotation])


@lru_cache(maxsize=256)
def lower(plan: Plan) -> Program:
    """The program of a plan. Raises ValueError for a qubit that the plan does not have."""
    lowering, frame = _Lowering(plan), _Frame.identity(plan.qubits)
    entangled = (1 << plan.qubits) - 1 if plan.loaded else 0
    target, power = np.arange(1 << plan.qubits), np.zeros(1 << plan.qubits, dtype=np.int64)
    for step in plan.steps:
        if isinstance(step, Monomial):
            frame.append(step)
            act(step, target, power)
        else:
            if step.pauli.support >> plan.qubits:
                raise ValueError(f"the plan has {plan.qubits} qubits and a gate on qubit "
                                 f"{step.pauli.support.bit_length() - 1}")
            entangled = lowering.add(Rotation(frame.image(step.pauli), step.angle), entangled)
    angles = _Angles()
    for entry in (*lowering.prefix, *lowering.main):
        angles.collect(entry)
    tables: list[np.ndarray] = []
    ops: list[tuple[int, ...]] = []
    for entry in lowering.main:
        if isinstance(entry, list):
            ops.append((TABLE, 0, 0, 0, len(tables)))
            tables.append(np.array([(r.pauli.z, r.pauli.negative, angles.row(r)) for r in entry], dtype=np.int64))
        else:
            kind, negative = _kind(entry.pauli)
            ops.append((kind, entry.pauli.x, entry.pauli.z, negative, angles.row(entry)))
    prefix = []
    for entry in lowering.prefix:
        kind, negative = _kind(entry.pauli)
        prefix.append((kind, entry.pauli.support.bit_length() - 1, negative, angles.row(entry)))
    observables = [frame.image(pauli) for pauli in plan.readout.strings(plan.qubits)]
    return Program(
        plan, np.array(prefix, dtype=np.int64).reshape(-1, 4), np.array(ops, dtype=np.int64).reshape(-1, 5),
        tuple(tables), tuple(angles.ordered()), len(angles.lanes),
        np.array([(p.x, p.z, p.negative) for p in observables], dtype=np.int64).reshape(-1, 3), target, power % 4)


@dataclass
class _Angles:
    lanes: dict[int, Angle] = field(default_factory=dict)
    shared: dict[int, Angle] = field(default_factory=dict)

    def collect(self, entry: Rotation | list[Rotation]) -> None:
        for rotation in entry if isinstance(entry, list) else [entry]:
            (self.shared if rotation.angle.shared else self.lanes)[id(rotation)] = rotation.angle

    def row(self, rotation: Rotation) -> int:
        return [*self.lanes, *self.shared].index(id(rotation))

    def ordered(self) -> list[Angle]:
        return [*self.lanes.values(), *self.shared.values()]


def _kind(pauli: Pauli) -> tuple[int, bool]:
    """The kind of a rotation, and its sign with the powers of i of its Ys taken in."""
    ys = (pauli.x & pauli.z).bit_count()
    if pauli.x == 0:
        return DIAGONAL, pauli.negative
    return (REAL if ys % 2 else IMAGINARY), pauli.negative ^ (ys % 4 >= 2)


def act(gate: Monomial, target: np.ndarray, power: np.ndarray) -> None:
    """Apply a monomial gate, in place, to basis states and their phases."""
    q, *rest = gate.qubits
    bit = target >> q & 1
    if gate.name == "cx":
        target ^= bit << rest[0]
    elif gate.name == "cz":
        power += 2 * (bit & target >> rest[0] & 1)
    elif gate.name == "x":
        target ^= 1 << q
    else:
        power += {"z": 2, "s": 1}[gate.name] * bit
