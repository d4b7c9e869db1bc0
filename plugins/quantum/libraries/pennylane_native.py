"""PennyLane's own executions: QNodes over a batch, `default.qubit` by backpropagation, `lightning.qubit` by adjoint.

`default.qubit` simulates a broadcast batch in complex128 whatever it is given; `lightning.qubit` takes its samples one
by one and returns float32. Results are cast back to the dtype of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pennylane as qml
import torch
from torch import Tensor

from harness import UsageError

from ..circuit.plan import Readout
from .pennylane_circuit import measurements

METHODS = {"default.qubit": "backprop", "lightning.qubit": "adjoint"}


class DeviceCircuit:
    """A quantum function of (inputs, weights) on a device. `shots=0` is exact, else shots with parameter shift.

    Raises UsageError for a device that does not exist.
    """

    def __init__(
        self, circuit: Callable[[Any, Any], None], qubits: int, readout: Readout, *, device: str = "default.qubit",
        shots: int = 0,
    ):
        if device not in METHODS:
            raise UsageError(f"unknown device {device!r}; known: {', '.join(METHODS)}")
        if METHODS[device] == "adjoint" and readout.kind not in ("z", "paulis"):
            raise UsageError(f"{device} differentiates expectation values only, not {readout.kind}: use default.qubit")
        self.qubits, self.readout = qubits, readout
        method = "parameter-shift" if shots else METHODS[device]

        def function(inputs: Tensor, weights: Tensor):
            circuit(inputs, weights)
            return measurements(readout, qubits)

        node = qml.QNode(function, qml.device(device, wires=qubits), interface="torch", diff_method=method)
        self.node = qml.set_shots(node, shots=shots) if shots else node

    def __call__(self, x: Tensor, w: Tensor, loaded: Tensor | None = None) -> Tensor:
        """x (B, inputs), w (weights,), or loaded (B, 2, 2^n) in place of x -> (B, outputs); the gradient is the
        device's."""
        inputs = x if loaded is None else torch.complex(loaded[:, 0], loaded[:, 1])
        found = self.node(inputs, w)
        if self.readout.kind in ("probabilities", "state"):
            out, = found
            if self.readout.kind == "state":
                out = self._little_endian(out)
                return torch.stack([out.real, out.imag], dim=1).to(x.dtype)
            return out.reshape(len(x), -1).to(x.dtype)
        return torch.stack([value.expand(len(x)) for value in found], dim=-1).to(x.dtype)

    def _little_endian(self, states: Tensor) -> Tensor:
        """PennyLane's first wire is the highest bit, ours the lowest."""
        grid = states.reshape(-1, *[2] * self.qubits)
        return grid.permute(0, *range(self.qubits, 0, -1)).reshape(len(grid), -1)
