"""How tokens meet in a circuit transformer: four forms of attention, one interface.

Each takes x (B, T, D), what it kept of the text before, and the position of the first token, and returns (B, T, D) and
what to keep. The three that have scores add -slope_h · distance to them: their circuits know no positions.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..blocks import precise
from .circuit.ansatz import Description
from .circuit.plan import Plan, Readout
from .classical import ClassicalMap
from .config import CircuitConfig
from .layer import CircuitLayer, Execution
from .simulate import statevector

Past = tuple[Tensor, ...] | None

SPREAD = 0.5                # radians, of the angles that a normed token brings


class Circuits(nn.Module):
    """A linear map to angles and one circuit for each of `heads` heads: (B, T, D) -> (B, T, heads, outputs)."""

    def __init__(self, config: CircuitConfig, execution: Execution, heads: int, readout: Readout | None = None,
                 stream: int = 0):
        super().__init__()
        self.description = config.description(readout)
        statevector.fit_qubits(config.qubits)
        self.angles = nn.Linear(config.dim, heads * self.description.features)
        self.circuits = nn.ModuleList(
            ClassicalMap(self.description) if config.circuit == "classical"
            else CircuitLayer(self.description, execution, frozen=config.circuit == "frozen", stream=stream + head)
            for head in range(heads))

    def forward(self, x: Tensor, start: int) -> Tensor:
        angles = precise(self.angles(x)).unflatten(-1, (len(self.circuits), -1))
        found = [circuit(part, start) for circuit, part in zip(self.circuits, angles.unbind(2), strict=True)]
        return torch.stack([y.to(x.dtype) for y in found], dim=2)


def _joined(past: Past, *new: Tensor) -> tuple[Tensor, ...]:
    """A cache of (B, S, …) tensors with `new` ones behind."""
    return new if past is None else tuple(torch.cat(pair, dim=1) for pair in zip(past, new, strict=True))


class Scored(nn.Module):
    """softmax(score - slope · distance) v: what the three forms with scores share. A subclass gives queries, keys and
    the scores (B, H, T, S) of them."""

    queries: Circuits
    keys: Circuits

    def __init__(self, config: CircuitConfig, execution: Execution, values: int, stream: int):
        super().__init__()
        heads = config.head_count
        self.values = Circuits(config, execution, heads, stream=stream)
        self.out = nn.Linear(heads * values, config.dim)
        self.sharpness = nn.Parameter(torch.ones(heads, 1, 1))                       # of the scores
        self.slope = nn.Parameter(torch.linspace(-6, 0, heads + 2)[1:-1, None, None].clone())     # its logarithm

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, past: Past, start: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        q, (k, v) = self.queries(x, start), (self.keys(x, start), self.values(x, start))
        k, v = past = _joined(past, k, v)                                            # (B, S, H, ·)
        score = self.sharpness * self.score(q.transpose(1, 2), k.transpose(1, 2))
        first = start + x.shape[1] - k.shape[1]
        distance = (torch.arange(start, start + x.shape[1], device=x.device)[:, None]
                    - torch.arange(first, start + x.shape[1], device=x.device))      # (T, S)
        score = (score - self.slope.exp() * distance).masked_fill(distance < 0, -math.inf)
        y = torch.softmax(precise(score), dim=-1).to(v.dtype) @ v.transpose(1, 2)
        return self.out(y.transpose(1, 2).flatten(2)), past


class Projection(Scored):
    """Queries, keys and values are read-outs of circuits, the score their product (Di Sipio et al. 2110.06510)."""

    def __init__(self, config: CircuitConfig, execution: Execution, stream: int):
        super().__init__(config, execution, config.description().readout.size(config.qubits), stream)
        heads = config.head_count
        self.queries = Circuits(config, execution, heads, stream=stream + heads)
        self.keys = Circuits(config, execution, heads, stream=stream + 2 * heads)

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        return q @ k.mT


class Gaussian(Scored):
    """Queries and keys are one expectation value each, the score -(q - k)² (QSANN, Li et al. 2205.05625)."""

    def __init__(self, config: CircuitConfig, execution: Execution, stream: int):
        super().__init__(config, execution, config.description().readout.size(config.qubits), stream)
        heads = config.head_count
        readout = None if config.circuit == "classical" else Readout("paulis", ("I" * (config.qubits - 1) + "Z",))
        if config.execution == "noise":
            readout = Readout()
        self.queries = Circuits(config, execution, heads, readout, stream + heads)
        self.keys = Circuits(config, execution, heads, readout, stream + 2 * heads)

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        return -(q[..., :1] - k[..., :1].mT).square()


class Overlap(Scored):
    """The score is |<q|k>|², of states made by two circuits (Smaldone et al. 2502.19214).

    One circuit for both would cancel: <Uq|Uk> = <q|k>.
    """

    def __init__(self, config: CircuitConfig, execution: Execution, stream: int):
        super().__init__(config, execution, config.description().readout.size(config.qubits), stream)
        self.queries = Circuits(config, execution, config.head_count, Readout("state"))
        self.keys = Circuits(config, execution, config.head_count, Readout("state"))

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        """q (B, H, T, 2, 2^n), k (B, H, S, 2, 2^n)."""
        planes = k.flatten(-2).mT
        turned = torch.stack([-q[..., 1, :], q[..., 0, :]], dim=-2)                  # i q
        return (q.flatten(-2) @ planes).square() + (turned.flatten(-2) @ planes).square()


class Mixer(nn.Module):
    """Quixer (Khatri et al. 2406.04305), made causal: tokens are unitaries U_s, and what is read out at t is

        W (c_0 + c_1 M_t + c_2 M_t²) |0…0>,  M_t = sum over the last `window` tokens s of b_(t-s) U_s,

    with |b| and |c| summing to one each, as a linear combination of unitaries and a singular-value transformation need.
    The squared norm of the vector is the probability that a device's post-selection succeeds.
    """

    def __init__(self, config: CircuitConfig, execution: Execution, stream: int):
        super().__init__()
        d, heads, window = config.description(), config.head_count, config.window
        self.heads, self.window, self.qubits = heads, window, config.qubits
        self.circuits = Circuits(config, execution, heads, Readout("state"))
        self.mix = nn.Parameter(torch.randn(heads, window, 2) / window)              # b, as planes
        self.polynomial = nn.Parameter(torch.ones(heads, 3))                         # c
        self.readers = nn.ModuleList(CircuitLayer(_loaded(d), execution, frozen=config.circuit == "frozen")
                                     for _ in range(heads))
        self.out = nn.Linear(heads * d.readout.size(config.qubits), config.dim)
        self.probability = 0.0

    def forward(self, x: Tensor, past: Past, start: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        angles = precise(self.circuits.angles(x)).unflatten(-1, (self.heads, -1))     # (B, T, H, I)
        angles, = _joined(past, angles)
        kept = angles[:, max(0, angles.shape[1] - self.window + 1):]
        length, probability, found = x.shape[1], x.new_zeros(()), []
        for head, circuit in enumerate(self.circuits.circuits):
            psi, chance = self.evolve(head, circuit, angles[:, :, head], length)
            probability = probability + chance / self.heads
            found.append(self.read(head, psi))
        self.probability = float(probability.detach())
        return self.out(torch.cat(found, dim=-1).to(x.dtype)), (kept.clone(),)

    def evolve(self, head: int, circuit: nn.Module, angles: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """The vectors (B, T, 2, 2^n) of unit norm, and the mean of their squared norms before."""
        assert isinstance(circuit, CircuitLayer)
        batch, size, n = angles.shape[0], 1 << self.qubits, angles.shape[1]
        ages = torch.arange(self.window, device=angles.device)
        index = torch.arange(n - length, n, device=angles.device)[:, None] - ages
        there = index >= 0                                                           # (T, W): token t - j, where one is
        b = torch.view_as_complex(self.mix[head]) * there
        b = b / b.abs().sum(-1, keepdim=True).clamp(min=1e-6)                        # (T, W)
        c = self.polynomial[head] / self.polynomial[head].abs().sum().clamp(min=1e-6)
        windows = angles[:, index.clamp(min=0)]                                      # (B, T, W, I)
        zero = torch.zeros(batch, length, size, dtype=torch.complex64, device=angles.device)
        zero[..., 0] = 1

        def mixed(psi: Tensor) -> Tensor:
            """M psi, (B, T, 2^n)."""
            states = torch.view_as_real(psi)[:, :, None].expand(-1, -1, self.window, -1, -1)
            turned = statevector.run(
                self.unitary(circuit.plan), windows.flatten(0, 2), circuit.weight,
                states.flatten(0, 2).mT.contiguous())
            turned = torch.complex(*turned.unbind(1)).unflatten(0, (batch, length, self.window))
            return (turned * b[..., None]).sum(2)

        first = mixed(zero)
        psi = c[0] * zero + c[1] * first + c[2] * mixed(first)
        square = psi.abs().square().sum(-1, keepdim=True)
        psi = psi / square.clamp(min=1e-12).sqrt()
        return torch.stack([psi.real, psi.imag], dim=2), square.mean()

    @staticmethod
    def unitary(plan: Plan) -> Plan:
        """The circuit as an operator on given states."""
        return Plan(plan.qubits, plan.inputs, plan.weights, plan.steps, Readout("state"), loaded=True)

    def read(self, head: int, psi: Tensor) -> Tensor:
        reader = self.readers[head]
        assert isinstance(reader, CircuitLayer)
        none = psi.new_zeros(psi.shape[0] * psi.shape[1], 0)
        return statevector.run(reader.plan, none, reader.weight, psi.flatten(0, 1)).unflatten(0, psi.shape[:2])


def _loaded(d: Description) -> Description:
    """The trainable layers alone, on a given state."""
    return Description(d.qubits, d.layers, "amplitude", d.ansatz, d.entangler, d.readout)


FORMS: dict[str, Any] = {"projection": Projection, "gaussian": Gaussian, "overlap": Overlap, "mixer": Mixer}
