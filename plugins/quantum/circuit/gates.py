"""Named gates as rotations and monomial gates: the whole vocabulary of a conversion. (no torch)

Names are Qiskit's; PennyLane's are mapped to them. Equalities hold up to a global phase. Gates with a control turn by
halves: CRX(a) = exp(-i a X/4) exp(+i a ZX/4), two commuting rotations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from harness import UsageError

from .plan import Angle, Monomial, Pauli, Rotation

Step = Rotation | Monomial
PI = math.pi


def rotation(letters: str, qubits: Sequence[int], angle: Angle | float) -> Rotation:
    """About the string with one letter for each qubit."""
    return Rotation(Pauli.of(zip(qubits, letters, strict=True)), Angle.of(angle))


def _turn(letters: str, scale: float = 1.0) -> Callable[..., list[Step]]:
    return lambda qubits, angle: [rotation(letters, qubits, angle * scale)]


def _fixed(*parts: tuple[str, float] | str) -> Callable[..., list[Step]]:
    """Rotations by fixed angles, and monomial gates by name, all on all the gate's qubits."""
    return lambda qubits: [
        Monomial(part, tuple(qubits)) if isinstance(part, str) else rotation(part[0], qubits, part[1])
        for part in parts]


def _controlled(letter: str) -> Callable[..., list[Step]]:
    return lambda qubits, angle: [
        rotation(letter, qubits[1:], angle * 0.5), rotation("Z" + letter, qubits, angle * -0.5)]


def _phase(qubits: Sequence[int], angle: Angle) -> list[Step]:
    return [rotation("Z", qubits, angle)]


def _controlled_phase(qubits: Sequence[int], angle: Angle) -> list[Step]:
    half = angle * 0.5
    return [*(rotation("Z", [q], half) for q in qubits), rotation("ZZ", qubits, -half)]


def _u(qubits: Sequence[int], theta: Angle, phi: Angle, lam: Angle) -> list[Step]:
    return [rotation("Z", qubits, lam), rotation("Y", qubits, theta), rotation("Z", qubits, phi)]


def _swap(qubits: Sequence[int]) -> list[Step]:
    a, b = qubits
    return [Monomial("cx", pair) for pair in ((a, b), (b, a), (a, b))]


def _cy(qubits: Sequence[int]) -> list[Step]:
    target = (qubits[1],)
    return [Monomial("z", target), Monomial("s", target), Monomial("cx", tuple(qubits)), Monomial("s", target)]


def _rbs(qubits: Sequence[int], angle: Angle) -> list[Step]:
    """The Givens rotation (reconfigurable beam splitter) that takes |01> to cos|01> + sin|10>, first qubit first."""
    return [rotation("YX", qubits, angle), rotation("XY", qubits, -angle)]


def _xx_plus_yy(qubits: Sequence[int], theta: Angle, beta: Angle) -> list[Step]:
    """exp(-i theta (XX + YY) / 4) with its first qubit turned about Z by beta: for ±pi/2 a Givens rotation."""
    if not beta.terms and abs(abs(beta.offset) - PI / 2) < 1e-12:
        return _rbs(qubits, theta * -math.copysign(0.5, beta.offset))
    turned, half = qubits[:1], theta * 0.5
    return [rotation("Z", turned, beta), rotation("XX", qubits, half), rotation("YY", qubits, half),
            rotation("Z", turned, -beta)]


GATES: dict[str, tuple[int, int, Callable[..., list[Step]]]] = {     # name -> qubits, angles, steps
    "id": (1, 0, lambda qubits: []),
    "x": (1, 0, _fixed("x")), "y": (1, 0, _fixed("z", "x")), "z": (1, 0, _fixed("z")),
    "s": (1, 0, _fixed("s")), "sdg": (1, 0, _fixed("s", "z")),
    "t": (1, 0, _fixed(("Z", PI / 4))), "tdg": (1, 0, _fixed(("Z", -PI / 4))),
    "h": (1, 0, _fixed("z", ("Y", PI / 2))),
    "sx": (1, 0, _fixed(("X", PI / 2))), "sxdg": (1, 0, _fixed(("X", -PI / 2))),
    "rx": (1, 1, _turn("X")), "ry": (1, 1, _turn("Y")), "rz": (1, 1, _turn("Z")), "p": (1, 1, _phase),
    "u": (1, 3, _u),
    "cx": (2, 0, _fixed("cx")), "cz": (2, 0, _fixed("cz")), "cy": (2, 0, _cy), "swap": (2, 0, _swap),
    "iswap": (2, 0, _fixed(("XX", -PI / 2), ("YY", -PI / 2))),
    "rxx": (2, 1, _turn("XX")), "ryy": (2, 1, _turn("YY")), "rzz": (2, 1, _turn("ZZ")), "rzx": (2, 1, _turn("ZX")),
    "crx": (2, 1, _controlled("X")), "cry": (2, 1, _controlled("Y")), "crz": (2, 1, _controlled("Z")),
    "cp": (2, 1, _controlled_phase),
    "rbs": (2, 1, _rbs), "xx_plus_yy": (2, 2, _xx_plus_yy),
}


def steps(name: str, qubits: Sequence[int], angles: Sequence[Angle | float] = ()) -> list[Step]:
    """The steps of a named gate. Raises UsageError for a gate that is not in the vocabulary."""
    if name not in GATES:
        raise UsageError(f"gate {name!r} cannot be converted; known gates: {', '.join(sorted(GATES))}")
    width, parameters, make = GATES[name]
    if (len(qubits), len(angles)) != (width, parameters):
        raise UsageError(f"gate {name!r} takes {width} qubits and {parameters} angles, "
                         f"got {len(qubits)} and {len(angles)}")
    return make(list(qubits), *(Angle.of(angle) for angle in angles))
