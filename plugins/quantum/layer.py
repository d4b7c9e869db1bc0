"""A circuit as a layer: trainable angles, inputs as angles or amplitudes, read-outs as features.

The circuit is built in its library, Qiskit or PennyLane, and converted once to the gate plan that `compiled` runs.
`native` is the library's own simulator. `shots` and `noise` are our kernels with the finite shots, or the errors, of a
device: an unbiased estimate that is a fixed function of the position in the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import precise
from .circuit.ansatz import Description
from .circuit.plan import Plan
from .libraries.backends import noise_model
from .simulate import noise, sampling, statevector
from .simulate.draws import uniforms
from .simulate.shift import Gradient

Library = Literal["qiskit", "pennylane"]
Mode = Literal["compiled", "native", "shots", "noise"]
SMALLEST_NORM = 1e-6                # of loaded amplitudes


@dataclass(frozen=True)
class Execution:
    """How circuits are run. `device` is PennyLane's; `gradient` is of sampled runs; `draws` are sets of errors of a
    `noise` model, over which a noisy read-out is averaged."""

    mode: Mode = "compiled"
    library: Library = "qiskit"
    shots: int = 1024
    gradient: Gradient = "spsa"
    noise: str = "depolarizing"
    draws: int = 4
    device: str = "default.qubit"


class CircuitLayer(nn.Module):
    """`description` with its own angles: (…, in) -> (…, outputs).

    in is `description.features`: angles in radians, or amplitudes, which are normalised. With the read-out `state` the
    result is (…, 2, 2^n). `stream` numbers the layer among those that sample. Angles start uniform in ±pi; `frozen`
    ones are a buffer. Raises UsageError, or Unsupported where the register does not fit into memory.
    """

    weight: Tensor

    def __init__(self, description: Description, execution: Execution = Execution(), *,
                 frozen: bool = False, stream: int = 0):
        super().__init__()
        self.description, self.execution = description, execution
        statevector.fit_qubits(description.qubits)
        if execution.mode == "shots":
            sampling.check_shots(execution.shots)
        self.errors = noise_model(execution.noise, description.qubits) if execution.mode == "noise" else None
        self.stream = stream
        weight = torch.empty(description.weights).uniform_(-math.pi, math.pi)
        if frozen:
            self.register_buffer("weight", weight)
        else:
            self.weight = nn.Parameter(weight)

    @cached_property
    def circuit(self) -> Any:
        """The circuit as its library has it: a QuantumCircuit, or a quantum function of (inputs, weights)."""
        return _builder(self.execution.library)(self.description)

    @cached_property
    def plan(self) -> Plan:
        d = self.description
        if self.execution.library == "qiskit":
            from .libraries.qiskit_circuit import from_qiskit

            return from_qiskit(self.circuit, d.readout, loaded=d.encoding == "amplitude")
        from .libraries.pennylane_circuit import from_pennylane

        amplitudes = d.features if d.encoding == "amplitude" else 0
        return from_pennylane(self.circuit, d.inputs, d.weights, d.readout, qubits=d.qubits, amplitudes=amplitudes)

    @cached_property
    def native(self) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
        """The library's simulator."""
        if self.execution.library == "qiskit":
            from .libraries.qiskit_native import AerCircuit

            return AerCircuit(self.circuit, self.description.readout)
        from .libraries.pennylane_native import DeviceCircuit

        return DeviceCircuit(
            self.circuit, self.description.qubits, self.description.readout, device=self.execution.device)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """x (B, T, in), whose first token is at position `start` -> (B, T, outputs)."""
        flat, e = precise(x.flatten(0, -2)), self.execution
        angles, loaded = flat, None
        if self.description.encoding == "amplitude":
            angles, loaded = flat[:, :0], self.load(flat)
        if e.mode == "compiled":
            out = statevector.run(self.plan, angles, self.weight, loaded)
        elif e.mode == "native":
            out = self.native(angles, self.weight, loaded)
        elif self.errors is not None:
            seen = self.draw(x, start, e.draws * noise.places(self.plan)).unflatten(-1, (e.draws, -1))
            out = noise.noisy(self.plan, angles, self.weight, loaded, self.errors, seen)
        else:
            seen = self.draw(x, start, e.shots)
            out = sampling.sampled(
                self.plan, angles, self.weight, loaded, shots=e.shots, gradient=e.gradient, uniforms=seen)
        return out.unflatten(0, x.shape[:-1])

    def draw(self, x: Tensor, start: int, count: int) -> Tensor:
        """Uniform numbers (T, count) for these positions, the same for every row of the batch."""
        return uniforms(start, x.shape[-2], count, self.stream, x.device)

    def load(self, amplitudes: Tensor) -> Tensor:
        """(B, 2^n) real -> planes (B, 2, 2^n) of a state."""
        state = F.normalize(amplitudes, dim=-1, eps=SMALLEST_NORM)
        return torch.stack([state, torch.zeros_like(state)], dim=1)


def _builder(library: Library) -> Callable[[Description], Any]:
    if library == "qiskit":
        from .libraries.qiskit_circuit import build
    else:
        from .libraries.pennylane_circuit import build
    return build
