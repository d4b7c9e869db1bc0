"""What the unitaries of tokens act on: a register of qubits, and the classical twin in its place.

Both hold vectors of complex numbers, start in the first basis vector, turn it by the same angles in the same order and
read 3 n numbers from it. The register has 2^n amplitudes; the twin n, one a mode, as light in n waveguides has: RY on a
qubit mixes its mode with the next, a controlled RX those of control and target, and in the place of X, Y and Z of a
qubit stand those of a mode and the next.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..quantum.circuit.ansatz import Gate
from ..quantum.simulate import statevector
from .ansatz import STATE, everywhere, layered, plan_of


class Qubits:
    """The register, on the statevector kernels: angles (…, A) in radians, vectors (…, 2^n) complex."""

    def __init__(self, qubits: int, layers: int, entangler: bool):
        statevector.fit_qubits(qubits)
        self.size = 1 << qubits
        self.token = plan_of(layered(qubits, layers, "input", entangler), qubits, STATE)
        self.reader = plan_of(layered(qubits, 1, "weight", entangler), qubits, everywhere(qubits))

    def turn(self, angles: Tensor, psi: Tensor) -> Tensor:
        """U(angles) psi, one by one: (R, A), (R, N) -> (R, N)."""
        return torch.complex(*statevector.run(self.token, angles, angles.new_zeros(0), _planes(psi)).unbind(1))

    def transposed(self, angles: Tensor) -> Tensor:
        """Matrices whose rows are U applied to the basis: (K, A) -> (K, N, N), so that psi @ it is U psi."""
        basis = torch.eye(self.size, dtype=angles.dtype.to_complex(), device=angles.device)
        return self.turn(angles.repeat_interleave(self.size, 0), basis.repeat(len(angles), 1)).unflatten(
            0, (-1, self.size))

    def read(self, angles: Tensor, psi: Tensor) -> Tensor:
        """One more layer with shared angles (4 n,), then the expectation values: (P, N) -> (P, 3 n)."""
        return statevector.run(self.reader, angles.new_zeros(len(psi), 0), angles, _planes(psi))


class Modes:
    """The classical twin, in plain operations: angles (…, A), vectors (…, n) complex."""

    def __init__(self, modes: int, layers: int):
        self.size = modes
        self.token, self.reader = (layered(modes, number, "input") for number in (layers, 1))

    def turn(self, angles: Tensor, psi: Tensor) -> Tensor:
        return self._turned(self.token, angles, psi)

    def _turned(self, gates: list[Gate], angles: Tensor, psi: Tensor) -> Tensor:
        parts = list(psi.unbind(-1))
        cos, sin = ((angles / 2).cos().unbind(-1), (angles / 2).sin().unbind(-1))
        for gate, c, s in zip(gates, cos, sin, strict=True):
            a, b = gate.qubits if gate.name == "crx" else (gate.qubits[0], (gate.qubits[0] + 1) % self.size)
            there, here = (-1j * s, -1j * s) if gate.name == "crx" else (-s, s)
            parts[a], parts[b] = c * parts[a] + there * parts[b], c * parts[b] + here * parts[a]
        return torch.stack(parts, -1)

    def transposed(self, angles: Tensor) -> Tensor:
        return self.turn(angles[:, None], torch.eye(self.size, dtype=angles.dtype.to_complex(), device=angles.device))

    def read(self, angles: Tensor, psi: Tensor) -> Tensor:
        psi = self._turned(self.reader, angles, psi)
        following = psi.roll(-1, -1)
        product = 2 * psi.conj() * following
        return torch.cat([product.real, product.imag, psi.abs().square() - following.abs().square()], -1)


def _planes(psi: Tensor) -> Tensor:
    return torch.stack([psi.real, psi.imag], dim=1)
