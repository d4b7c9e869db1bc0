"""Statevectors in PyTorch alone: any device, float32 or float64, the fallback where no kernel is.

Notable:
- what comes before a qubit is entangled acts on a product state, never on the register;
- an entangling layer is one permutation, and the last one is folded into the read-out;
- a layer of rotations by weights is two GEMMs of half the register: (A ⊗ B) psi = A Psi Bᵀ;
- gates are undone in the backward pass, not remembered: memory is that of one state, whatever the depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..circuit.plan import Monomial, Pauli, Plan, Rotation
from .program import act

PAULI = {
    (1, 0): ((0, 1), (1, 0)), (1, 1): ((0, -1j), (1j, 0)), (0, 1): ((1, 0), (0, -1)),     # by (x, z)
}


@dataclass
class Relabel:
    """Monomial gates: amplitude i goes to target[i] with a factor i^power[i]."""

    target: np.ndarray
    power: np.ndarray


@dataclass
class Layer:
    """Rotations of single qubits, by weights alone."""

    rotations: list[Rotation]


@dataclass
class Script:
    """A plan in segments."""

    prefix: list[Rotation] = field(default_factory=list)
    segments: list[Relabel | Layer | Rotation] = field(default_factory=list)


@lru_cache(maxsize=256)
def segment(plan: Plan) -> Script:
    script, touched = Script(), (1 << plan.qubits) - 1 if plan.loaded else 0
    for step in plan.steps:
        last = script.segments[-1] if script.segments else None
        if isinstance(step, Monomial):
            if not isinstance(last, Relabel):
                last = Relabel(np.arange(1 << plan.qubits), np.zeros(1 << plan.qubits, dtype=np.int64))
                script.segments.append(last)
            act(step, last.target, last.power)
            touched |= sum(1 << q for q in step.qubits)
            continue
        support = step.pauli.support
        if support.bit_count() == 1 and not support & touched:
            script.prefix.append(step)
            continue
        touched |= support
        if support.bit_count() == 1 and step.angle.shared:
            if not isinstance(last, Layer):
                last = Layer([])
                script.segments.append(last)
            last.rotations.append(step)
        else:
            script.segments.append(step)
    return script


def run(plan: Plan, x: Tensor, w: Tensor, loaded: Tensor) -> Tensor:
    """x (B, inputs), w (weights,), loaded (B or 0, 2, 2^n) of one dtype -> (B, outputs), a state as planes."""
    script = segment(plan)
    psi = torch.complex(loaded[:, 0], loaded[:, 1]) if plan.loaded else _product(plan.qubits, script.prefix, x, w)
    last = script.segments[-1] if script.segments else None
    folded = last if isinstance(last, Relabel) and plan.readout.kind in ("z", "probabilities") else None
    evolved = script.segments[:-1] if folded else script.segments
    if evolved:
        psi = _Evolution.apply(plan.qubits, evolved, psi, x, w)
    return _read(plan, psi, folded)


def _turned(rotation: Rotation, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of the half angle, (B,) or () where shared."""
    angle = w.new_tensor(rotation.angle.offset)
    for source, index, coefficient in rotation.angle.terms:
        angle = angle + coefficient * (x[:, index] if source == "input" else w[index])
    return (angle / 2).cos(), (angle / 2).sin()


def _matrix(rotation: Rotation, x: Tensor, w: Tensor) -> Tensor:
    """The rotation of its one qubit, (B, 2, 2) or (2, 2)."""
    cos, sin = _turned(rotation, x, w)
    p, kind = rotation.pauli, torch.complex64 if w.dtype == torch.float32 else torch.complex128
    pauli = torch.tensor(PAULI[bool(p.x), bool(p.z)], dtype=kind, device=w.device) * (-1 if p.negative else 1)
    one = torch.eye(2, dtype=kind, device=w.device)
    return cos[..., None, None] * one - 1j * sin[..., None, None] * pauli


def _matrices(qubits: int, rotations: Sequence[Rotation], x: Tensor, w: Tensor) -> list[Tensor | None]:
    """The product of the rotations of each qubit, None where it has none."""
    found: list[Tensor | None] = [None] * qubits
    for rotation in rotations:
        q, turn = rotation.pauli.support.bit_length() - 1, _matrix(rotation, x, w)
        before = found[q]
        found[q] = turn if before is None else turn @ before
    return found


def _product(qubits: int, prefix: Sequence[Rotation], x: Tensor, w: Tensor) -> Tensor:
    """The product state (B, 2^n) that the prefix makes of |0…0>."""
    psi = torch.ones(x.shape[0], 1, dtype=torch.complex64 if w.dtype == torch.float32 else torch.complex128,
                     device=w.device)
    for matrix in _matrices(qubits, prefix, x, w):
        column = psi.new_tensor([1, 0]) if matrix is None else matrix[..., 0]
        column = column.expand(x.shape[0], 2)
        psi = (column[:, :, None] * psi[:, None, :]).flatten(1)                      # the later qubit is the higher bit
    return psi


def _halves(qubits: int, layer: Layer, x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """The Kronecker products over the higher and over the lower half of the register."""
    one = torch.eye(2, dtype=torch.complex64 if w.dtype == torch.float32 else torch.complex128, device=w.device)
    matrices = [one if m is None else m for m in _matrices(qubits, layer.rotations, x, w)]
    low = qubits // 2
    return (reduce(torch.kron, reversed(matrices[low:])),
            reduce(torch.kron, reversed(matrices[:low])) if low else one.new_ones(1, 1))


def _apply(qubits: int, part: Relabel | Layer | Rotation, psi: Tensor, x: Tensor, w: Tensor, back: bool) -> Tensor:
    """One segment, or with `back` its inverse, of psi (B, 2^n)."""
    if isinstance(part, Relabel):
        factor = torch.from_numpy(1j ** part.power).to(psi)
        target = torch.from_numpy(part.target).to(psi.device)
        if back:
            return psi[:, target] * factor.conj()
        source = torch.empty_like(target)
        source[target] = torch.arange(len(target), device=psi.device)
        return (psi * factor)[:, source]
    if isinstance(part, Layer):
        high, low = _halves(qubits, part, x, w)
        if back:
            high, low = high.mH, low.mH
        square = psi.unflatten(1, (high.shape[0], low.shape[0]))
        return (high @ (square @ low.mT)).flatten(1)
    cos, sin = _turned(part, x, w)
    return cos[..., None] * psi - (-1j if back else 1j) * sin[..., None] * string(part.pauli, psi)


def string(pauli: Pauli, psi: Tensor) -> Tensor:
    """P psi, for psi (B, 2^n)."""
    partner = np.arange(psi.shape[1]) ^ pauli.x
    signs = 1 - 2 * (np.bitwise_count(partner & pauli.z) & 1).astype(np.int64)
    factor = 1j ** ((pauli.x & pauli.z).bit_count() % 4) * (-1 if pauli.negative else 1) * signs
    return psi[:, torch.from_numpy(partner).to(psi.device)] * torch.from_numpy(factor).to(psi)


class _Evolution(Function):
    """The segments in turn; the backward pass undoes each, then differentiates it alone."""

    @staticmethod
    def forward(ctx, qubits: int, parts: Sequence[Relabel | Layer | Rotation], psi: Tensor, x: Tensor, w: Tensor):
        for part in parts:
            psi = _apply(qubits, part, psi, x, w, back=False)
        ctx.save_for_backward(psi, x, w)
        ctx.qubits, ctx.parts = qubits, parts
        return psi

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        psi, x, w = (tensor.detach() for tensor in ctx.saved_tensors)
        x, w = x.requires_grad_(), w.requires_grad_()
        d_x, d_w = torch.zeros_like(x), torch.zeros_like(w)
        for part in reversed(ctx.parts):
            if isinstance(part, Relabel):
                psi, grad = (_apply(ctx.qubits, part, t, x, w, back=True) for t in (psi, grad))
                continue
            with torch.no_grad():
                psi = _apply(ctx.qubits, part, psi, x, w, back=True)
            psi.requires_grad_()
            with torch.enable_grad():
                after = _apply(ctx.qubits, part, psi, x, w, back=False)
            grad, by_x, by_w = torch.autograd.grad(after, (psi, x, w), grad, allow_unused=True)
            psi = psi.detach()
            d_x, d_w = (d if by is None else d + by for d, by in ((d_x, by_x), (d_w, by_w)))
        return None, None, grad, d_x, d_w


def _read(plan: Plan, psi: Tensor, folded: Relabel | None) -> Tensor:
    kind, states = plan.readout.kind, np.arange(1 << plan.qubits)
    if kind == "state":
        return torch.cat([psi.real, psi.imag], dim=1)
    if kind == "paulis":
        strings = plan.readout.strings(plan.qubits)
        return torch.stack([(psi.conj() * string(p, psi)).real.sum(1) for p in strings], dim=1)
    probabilities = psi.real.square() + psi.imag.square()
    target = states if folded is None else folded.target
    if kind == "probabilities":
        return probabilities[:, torch.from_numpy(np.argsort(target)).to(psi.device)]
    signs = 1 - 2 * (target[:, None] >> np.arange(plan.qubits) & 1)
    return probabilities @ torch.from_numpy(signs).to(probabilities)
