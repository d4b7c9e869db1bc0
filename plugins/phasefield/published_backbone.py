"""The published oscillatory backbone: its recurrence in the fused scan or, to measure what it costs, in its own loop.

What differs from backbone.py, beside what all published parts share:
- one gate g both admits the input and forgets, h = g B x + (1 - g) delta R h; rotations start near one degree;
- where a text of more than 128 tokens is no multiple of 128, the returned state is the one after the zero padding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..scan import complex_scan
from .config import PhaseFieldConfig
from .phase import cayley, drop_channels
from .published_phase import BRANCH, BiasedComplexLinear, FlippingNorm, small_linear

CHUNK = 128


class PublishedOscillatorLayer(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        dim, size = config.dim, config.oscillators
        self.input = BiasedComplexLinear(dim, size)
        self.output = BiasedComplexLinear(size, dim)
        self.skip = BiasedComplexLinear(dim, dim)
        self.gate = small_linear(2 * dim, size)
        self.half_tangent = nn.Parameter(torch.randn(size) * 0.01)
        self.floor = nn.Parameter(torch.full((size,), 0.1))
        self.dropout = config.dropout_rate

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        h = self.oscillators(x, state)
        y = self.output(h[:, :x.shape[1]]) + self.skip(x)
        return drop_channels(y, self.dropout, self.training), h[:, -1].clone()

    def oscillators(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        """(B, T, 2d) -> the states after every token, and after the zeros that pad the last chunk."""
        padded = pad_chunk(x)
        gate = torch.sigmoid(self.gate(padded).to(self.floor.dtype))
        drive = (gate.unsqueeze(-2) * self.input(padded).unflatten(-1, (2, -1))).flatten(-2)
        decay = (1 - gate) * (0.5 + 0.5 * torch.sigmoid(self.floor))
        return complex_scan(decay, *cayley(self.half_tangent), drive, state)


class LoopedOscillatorLayer(PublishedOscillatorLayer):
    """The same function as it is published: a loop over tokens, on pairs (..., n, 2), that applies C to every state."""

    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        length, size = x.shape[1], len(self.floor)
        h = x.new_zeros(len(x), size, 2) if state is None else pairs(state)
        outputs = []
        for chunk in pairs(pad_chunk(x)).split(CHUNK, dim=1):
            y, h = self.loop(chunk, h)
            outputs.append(y)
        return torch.cat(outputs, dim=1)[:, :length].mT.flatten(-2), h.mT.flatten(-2)

    def loop(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """A chunk (B, T, d, 2) and the state (B, n, 2) before it -> outputs and the state behind it."""
        drive, skip = map_pairs(self.input, x), map_pairs(self.skip, x)
        gates = torch.sigmoid(self.gate(x.mT.flatten(-2))).unsqueeze(-1)
        cos, sin = cayley(self.half_tangent)
        damping = (0.5 + 0.5 * torch.sigmoid(self.floor)).unsqueeze(-1)
        outputs = []
        for t in range(x.shape[1]):
            turned = torch.stack([h[..., 0] * cos - h[..., 1] * sin, h[..., 0] * sin + h[..., 1] * cos], dim=-1)
            gate = gates[:, t]
            h = gate * drive[:, t] + (1 - gate) * (turned * damping)
            outputs.append(map_pairs(self.output, h) + skip[:, t])
        y = torch.stack(outputs, dim=1)
        if self.training:
            y = y * F.dropout(torch.ones_like(y[..., 0]), self.dropout).unsqueeze(-1)
        return y, h


class PublishedBackbone(nn.Module):
    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        layer = LoopedOscillatorLayer if config.loop else PublishedOscillatorLayer
        self.norms = nn.ModuleList(FlippingNorm(config.dim) for _ in range(config.layers))
        self.layers = nn.ModuleList(layer(config) for _ in range(config.layers))
        self.scales = nn.Parameter(torch.full((config.layers,), BRANCH))
        self.last = FlippingNorm(config.dim)

    def forward(self, z: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        carried = []
        for index, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            y, after = layer(norm(z), state and state[index])
            z = z + self.scales[index] * y
            carried.append(after)
        return self.last(z), carried


def pad_chunk(x: Tensor) -> Tensor:
    """(B, T, 2d) with zeros behind it up to a multiple of the chunk, where it is longer than one."""
    length = x.shape[1]
    return F.pad(x, (0, 0, 0, -length % CHUNK)) if length > CHUNK else x


def pairs(z: Tensor) -> Tensor:
    """Planes (..., 2n) -> (..., n, 2)."""
    return torch.stack(z.chunk(2, dim=-1), dim=-1)


def map_pairs(linear: BiasedComplexLinear, z: Tensor) -> Tensor:
    """A complex map of pairs in four real products."""
    (re, im), (w_re, w_im), (b_re, b_im) = z.unbind(-1), linear.weight, linear.bias.chunk(2)
    return torch.stack([F.linear(re, w_re) - F.linear(im, w_im) + b_re,
                        F.linear(re, w_im) + F.linear(im, w_re) + b_im], dim=-1)
