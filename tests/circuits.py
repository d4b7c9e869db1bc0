"""What the tests of circuits share: textbook gate matrices, random circuits, and their plain simulation in float64."""

from __future__ import annotations

import math

import torch
from harness.plugins.quantum.circuit import gates
from harness.plugins.quantum.circuit.ansatz import Gate
from harness.plugins.quantum.circuit.plan import Plan, Readout, w, x
from torch import Tensor

INPUTS, WEIGHTS = 4, 5
KIND = torch.complex128
X, Y, Z, ONE = (torch.tensor(m, dtype=KIND) for m in (
    [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]], [[1, 0], [0, 1]]))
FIXED = {
    "id": ONE, "x": X, "y": Y, "z": Z, "h": (X + Z) / math.sqrt(2), "s": torch.diag(torch.tensor([1, 1j], dtype=KIND)),
    "t": torch.diag(torch.tensor([1, (1 + 1j) / math.sqrt(2)], dtype=KIND)),
    "sx": ((1 + 1j) * ONE + (1 - 1j) * X) / 2,
}
FIXED |= {name + "dg": FIXED[name].mH for name in ("s", "t", "sx")}
TURNED = {"rx": X, "ry": Y, "rz": Z, "rxx": (X, X), "ryy": (Y, Y), "rzz": (Z, Z), "rzx": (Z, X)}
SWAP = torch.eye(4, dtype=KIND)[[0, 2, 1, 3]]


def exp(generator: Tensor, angle) -> Tensor:
    """exp(-i angle generator / 2) of a generator whose square is one."""
    return torch.cos(angle / 2) * torch.eye(len(generator), dtype=KIND) - 1j * torch.sin(angle / 2) * generator


def controlled(matrix: Tensor) -> Tensor:
    return torch.block_diag(torch.eye(2, dtype=KIND), matrix)


def matrix(name: str, *angles) -> Tensor:
    """The textbook matrix; of two qubits the first is the higher digit."""
    angles = [torch.as_tensor(a, dtype=torch.float64) for a in angles]
    if name in FIXED:
        return FIXED[name]
    if name in TURNED:
        letters = TURNED[name]
        return exp(torch.kron(*letters) if isinstance(letters, tuple) else letters, angles[0])
    if name in ("p", "cp"):
        phase = torch.exp(1j * angles[0]) * (ONE - Z) / 2 + (ONE + Z) / 2
        return phase if name == "p" else controlled(phase)
    if name == "u":
        theta, phi, lam = angles
        return exp(Z, phi) @ exp(Y, theta) @ exp(Z, lam)
    if name in ("cx", "cy", "cz", "crx", "cry", "crz"):
        return controlled(matrix(("r" if "r" in name else "") + name[-1], *angles))
    if name == "swap":
        return SWAP
    if name == "iswap":
        return SWAP @ torch.diag(torch.tensor([1, 1j, 1j, 1], dtype=KIND))
    if name == "rbs":
        c, s = torch.cos(angles[0]).to(KIND), torch.sin(angles[0]).to(KIND)
        block = torch.stack([torch.stack([c, -s]), torch.stack([s, c])])
        return torch.block_diag(torch.ones(1, 1, dtype=KIND), block, torch.ones(1, 1, dtype=KIND))
    if name == "xx_plus_yy":
        turn = torch.kron(exp(Z, angles[1]), ONE)
        hop = exp(torch.kron(X, X), angles[0] / 2) @ exp(torch.kron(Y, Y), angles[0] / 2)
        return turn.mH @ hop @ turn
    raise KeyError(name)


def act(psi: Tensor, operator: Tensor, qubits: tuple[int, ...], n: int) -> Tensor:
    """A matrix on qubits of psi (B, 2^n); qubit q is bit q, the first of two is the higher digit of the matrix."""
    axes = [n - q for q in qubits]
    grid = psi.reshape(-1, *[2] * n).movedim(axes, list(range(1, 1 + len(axes))))
    turned = (operator @ grid.reshape(len(psi), operator.shape[-1], -1)).reshape(grid.shape)
    return turned.movedim(list(range(1, 1 + len(axes))), axes).reshape(len(psi), -1)


def simulate(
    circuit: list[Gate], n: int, readout: Readout, xs: Tensor, ws: Tensor, psi: Tensor | None = None,
) -> Tensor:
    """Read-outs of named gates, one sample at a time, by matrices."""
    rows = []
    for b, sample in enumerate(xs):
        state = torch.eye(1, 1 << n, dtype=KIND) if psi is None else psi[b : b + 1]
        for gate in circuit:
            angles = [sum((c * (sample if s == "input" else ws)[i] for s, i, c in a.terms), sample.new_tensor(a.offset))
                      for a in gate.angles]
            state = act(state, matrix(gate.name, *angles), gate.qubits, n)
        rows.append(measure(state, n, readout))
    return torch.cat(rows)


def measure(psi: Tensor, n: int, readout: Readout) -> Tensor:
    if readout.kind == "probabilities":
        return psi.abs().square()
    if readout.kind == "state":
        return torch.stack([psi.real, psi.imag], dim=1)
    strings = readout.paulis or ["I" * (n - 1 - q) + "Z" + "I" * q for q in range(n)]
    found = []
    for string in strings:
        turned = psi
        for q, letter in enumerate(reversed(string)):
            turned = act(turned, {"I": ONE, "X": X, "Y": Y, "Z": Z}[letter], (q,), n)
        found.append((psi.conj() * turned).real.sum(1))
    return torch.stack(found, dim=1)


def random_circuit(draw, n: int, length: int) -> list[Gate]:
    """Gates of the whole vocabulary with angles that mix inputs, weights and constants. `draw` is a random.Random."""
    names = [name for name, (width, _, _) in gates.GATES.items() if width <= n]
    found = []
    for _ in range(length):
        name = draw.choice(names)
        width, angles, _ = gates.GATES[name]
        values = [draw.choice([
            x(draw.randrange(INPUTS)), w(draw.randrange(WEIGHTS)) * draw.choice([1.0, -0.5, 2.0]),
            w(draw.randrange(WEIGHTS)) + x(draw.randrange(INPUTS)) + 0.25, x(0) * 0.0 + draw.uniform(-3, 3),
        ]) for _ in range(angles)]
        found.append(Gate(name, tuple(draw.sample(range(n), width)), tuple(values)))
    return found


def plan_of(circuit: list[Gate], n: int, readout: Readout, loaded: bool = False) -> Plan:
    steps = tuple(step for gate in circuit for step in gates.steps(gate.name, gate.qubits, gate.angles))
    return Plan(n, INPUTS, WEIGHTS, steps, readout, loaded)
