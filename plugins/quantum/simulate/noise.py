"""Depolarising noise and read-out error without a density matrix: Pauli errors pushed to the end of the circuit.

An error behind a gate is a Pauli string. Moved behind the rest of the circuit it flips the angles of the rotations that
anticommute with it, and in the end the outcomes of the qubits on which it has an X. So a noisy run is an exact run at
angles with other signs: the same kernels, and the same exact gradients, for every drawn set of errors. Averaged over
draws it is the density matrix; the read-out error scales or mixes what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness import UsageError

from ..circuit.plan import Monomial, Plan, Rotation
from ..circuit.plan import x as input_angle
from . import statevector
from .shift import angle_values


@dataclass(frozen=True)
class Depolarising:
    """Probabilities: of depolarising behind every gate of one and of two qubits, and of reading a bit wrongly."""

    one_qubit: float = 3e-4
    two_qubits: float = 5e-3
    readout: float = 0.0175

    def times(self, strength: float) -> Depolarising:
        """The same noise, so many times as strong.

        Probabilities end at 1, that of reading a bit wrongly at 1/2: by then the bit says nothing any more.
        """
        return Depolarising(min(1.0, strength * self.one_qubit), min(1.0, strength * self.two_qubits),
                            min(0.5, strength * self.readout))


MODELS = {"depolarizing": Depolarising(), "none": Depolarising(0.0, 0.0, 0.0), "strong": Depolarising(3e-3, 3e-2, 0.05)}


def places(plan: Plan) -> int:
    """Uniform numbers that one draw of errors takes: two for every gate."""
    return 2 * len(plan.steps)


def noisy(plan: Plan, x: Tensor, w: Tensor, loaded: Tensor | None, noise: Depolarising, uniforms: Tensor) -> Tensor:
    """Read-outs (B, outputs), z or probabilities, averaged over D draws of errors: uniforms (T, D, places), where T
    divides B and sample b sees those of b mod T."""
    if plan.readout.kind not in ("z", "probabilities"):
        raise UsageError(f"noise acts on read-outs z and probabilities, not {plan.readout.kind}")
    turns = [step for step in plan.steps if isinstance(step, Rotation)]
    signs, flips = _errors(plan, noise, uniforms.flatten(0, 1))                  # (T D, turns), (T D,)
    draws, repeats = uniforms.shape[1], x.shape[0] // len(uniforms)
    signs, flips = signs.repeat(repeats, 1), flips.repeat(repeats)
    theta = angle_values([turn.angle for turn in turns], x, w).repeat_interleave(draws, 0) * signs.to(x.dtype)
    states = None if loaded is None else loaded.repeat_interleave(draws, 0)
    out = statevector.run(_free(plan), theta, theta.new_zeros(0), states)
    qubits = torch.arange(plan.qubits, device=x.device)
    if plan.readout.kind == "z":
        out = out * (1 - 2 * (flips[:, None] >> qubits & 1)) * (1 - 2 * noise.readout)
    else:
        every = torch.arange(out.shape[1], device=x.device)
        out = _misread(out.gather(1, every ^ flips[:, None]), plan.qubits, noise.readout)
    return out.unflatten(0, (-1, draws)).mean(1)


def _free(plan: Plan) -> Plan:
    """Every rotation's angle an input of its own."""
    steps: list[Rotation | Monomial] = []
    count = 0
    for step in plan.steps:
        if isinstance(step, Rotation):
            step, count = Rotation(step.pauli, input_angle(count)), count + 1
        steps.append(step)
    return replace(plan, inputs=count, weights=0, steps=tuple(steps))


def _errors(plan: Plan, noise: Depolarising, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Signs (N, rotations) of the angles, and masks (N,) of the qubits whose outcomes are flipped."""
    frame_x = torch.zeros(len(uniforms), dtype=torch.int64, device=uniforms.device)
    frame_z, signs = torch.zeros_like(frame_x), []
    for index, step in enumerate(plan.steps):
        if isinstance(step, Rotation):
            signs.append(1 - 2 * _parity(frame_x & step.pauli.z ^ frame_z & step.pauli.x, plan.qubits))
            qubits: Sequence[int] = [q for q in range(plan.qubits) if step.pauli.support >> q & 1]
        else:
            frame_x, frame_z = _pushed(step, frame_x, frame_z)
            qubits = step.qubits
        rate = noise.one_qubit if len(qubits) == 1 else noise.two_qubits
        if _virtual(step) or not rate:
            continue
        hit = uniforms[:, 2 * index] < rate
        letters = (uniforms[:, 2 * index + 1] * 4 ** len(qubits)).long()         # uniform, the identity included
        for place, q in enumerate(qubits):
            frame_x = frame_x ^ ((letters >> 2 * place & 1) * hit << q)
            frame_z = frame_z ^ ((letters >> 2 * place + 1 & 1) * hit << q)
    stacked = torch.stack(signs, 1) if signs else uniforms.new_zeros(len(uniforms), 0)
    return stacked, frame_x


def _virtual(step: Rotation | Monomial) -> bool:
    """RZ, Z and S are changes of a phase reference on today's devices: no pulse, no error."""
    if isinstance(step, Monomial):
        return step.name in ("z", "s")
    return step.pauli.x == 0 and step.pauli.z.bit_count() == 1


def _pushed(gate: Monomial, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """C P C† of the errors so far, up to a sign."""
    a, *rest = gate.qubits
    if gate.name == "cx":
        return x ^ (x >> a & 1) << rest[0], z ^ (z >> rest[0] & 1) << a
    if gate.name == "cz":
        return x, z ^ (x >> a & 1) << rest[0] ^ (x >> rest[0] & 1) << a
    if gate.name == "s":
        return x, z ^ (x >> a & 1) << a
    return x, z


def _parity(bits: Tensor, qubits: int) -> Tensor:
    for fold in range((qubits - 1).bit_length() - 1, -1, -1):
        bits = bits ^ bits >> (1 << fold)
    return bits & 1


def _misread(probabilities: Tensor, qubits: int, rate: float) -> Tensor:
    """Every bit is read wrongly with probability `rate`."""
    grid = probabilities.unflatten(1, [2] * qubits)
    for axis in range(1, qubits + 1):
        grid = (1 - rate) * grid + rate * grid.flip(axis)
    return grid.flatten(1)
