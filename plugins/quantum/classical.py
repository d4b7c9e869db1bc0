"""What stands in a circuit's place in the classical twin: as many trainable angles, inputs and outputs, no register.

For rotations a ring of sines, h_q <- sin(cos(a_q) h_q + sin(a_q) h_(q+1) + b_q); for Givens rotations the same
rotations of a vector of n numbers, which is what an orthogonal circuit does to one excitation. Both cost O(n) a layer,
not O(2^n), and both answer to their inputs as gently as a circuit: a free factor a_q made a chaotic map of the sines,
in which a rounding error grew to a tenth of the logits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .circuit.ansatz import Description


class ClassicalMap(nn.Module):
    """(…, features) -> (…, n), for a description read out by Z on every qubit."""

    def __init__(self, description: Description):
        super().__init__()
        self.description = description
        self.weight = nn.Parameter(torch.empty(description.weights).uniform_(-math.pi, math.pi))

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        d = self.description
        if d.encoding == "amplitude":
            x = x.unflatten(-1, (d.qubits, -1)) if x.shape[-1] % d.qubits == 0 else x[..., :d.qubits, None]
            h = x.mean(-1)
        else:
            h = x[..., :d.qubits] + x[..., d.qubits:]
        layers = self.weight.view(d.layers, -1)
        return self.givens(h.sin(), layers) if d.pairs else self.sines(h, layers)

    def sines(self, h: Tensor, layers: Tensor) -> Tensor:
        mixed = self.description.entangler != "none"
        for turn, shift in layers.view(len(layers), 2, -1):
            h = torch.sin(turn.cos() * h + (turn.sin() * h.roll(-1, -1) if mixed else 0) + shift)
        return h

    def givens(self, h: Tensor, layers: Tensor) -> Tensor:
        columns = list(h.unbind(-1))
        for angles in layers:
            for (a, b), angle in zip(self.description.pairs, angles, strict=True):
                cos, sin = angle.cos(), angle.sin()
                columns[a], columns[b] = cos * columns[a] + sin * columns[b], cos * columns[b] - sin * columns[a]
        return torch.stack(columns, -1)
