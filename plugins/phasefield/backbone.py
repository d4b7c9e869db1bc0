"""The oscillatory backbone: layers of damped oscillators h_t = a_t R h_{t-1} + sqrt(1 - a_t^2) B x_t, linear in T."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..scan import complex_scan, gated_complex_scan
from .config import PhaseFieldConfig
from .phase import ComplexLinear, GatedMLP, cayley, convolve, drop_channels, phase_norm

SLOWEST = 0.9999                # the largest retention a token, a half-life of 6931 tokens
BRANCHES = 2.0                  # size of what all branches together add to an embedding of size 1, at the start


class OscillatorLayer(nn.Module):
    """S damped oscillators driven by the token, read through an output gate.

    a_t = delta (1 - sigmoid(G x_t + b)) is real, so phases turn only by the fixed rotation R; sqrt(1 - a^2) keeps the
    state at unit variance whatever the retention. `sharing` neighbours share a row of G, that is what of the text opens
    them, with a half-life and a period of their own, which start log-uniform over 1..`longest` and 2.2..512 tokens.
    State: h (B, 2S), and the window of the short convolution.
    """

    def __init__(self, config: PhaseFieldConfig, gain: float):
        super().__init__()
        dim, size = config.dim, config.oscillators
        self.gated = config.output_gate
        decays = torch.arange(size) // config.sharing                                # the row of G of an oscillator
        groups = -(-size // config.sharing)
        reads = groups + torch.arange(size * self.gated)
        self.input = ComplexLinear(dim, size, rows=groups + len(reads), order=torch.cat([decays, reads]))   # gates; B
        self.output = ComplexLinear(size, dim, gain)
        self.skip = ComplexLinear(dim, dim, gain) if config.skip else None
        self.taps = nn.Parameter(F.pad(torch.ones(dim, 1), (config.conv - 1, 0))) if config.conv else None
        half_life = config.longest ** torch.rand(size)
        self.log_floor = nn.Parameter(torch.full((size,), 6.0))
        self.gate_bias = nn.Parameter(-torch.logit(0.5 ** (1 / half_life) / self.delta().detach()))
        angle = (2 * math.pi / 512) * (512 / 2.2) ** torch.rand(size) * torch.sign(torch.rand(size) - 0.5)
        self.half_tangent = nn.Parameter(torch.tan(angle / 2))

    def delta(self) -> Tensor:
        """Retention of a closed gate, in (0.5, SLOWEST)."""
        return 0.5 + (SLOWEST - 0.5) * torch.sigmoid(self.log_floor)

    def forward(self, x: Tensor, state: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        carried = {}
        if self.taps is not None:
            x, carried["window"] = convolve(x, self.taps, None if state is None else state["window"])
        packed = self.input(x)                                                       # (B, T, [gates | Bx])
        initial = None if state is None else state["h"]
        if self.gated:
            read, carried["h"] = gated_complex_scan(
                packed, self.delta(), *cayley(self.half_tangent), initial, bias=self.gate_bias)
        else:
            read = self.swing(packed, initial)                                       # (B, T, 2S)
            carried["h"] = read[:, -1].clone()
        y = self.output(read)
        return (y if self.skip is None else y + self.skip(x)), carried

    def swing(self, packed: Tensor, initial: Tensor | None) -> Tensor:
        size = self.gate_bias.shape[0]
        decay = torch.sigmoid(-packed[..., :size] - self.gate_bias) * self.delta()
        return complex_scan(
            decay, *cayley(self.half_tangent), packed[..., -2 * size:], initial, normalise=True)

    def oscillators(self, x: Tensor) -> Tensor:
        """h after every token of a text from its start, (B, T, 2d) -> (B, T, 2S): to look at."""
        return self.swing(self.input(x if self.taps is None else convolve(x, self.taps, None)[0]), None)


class Backbone(nn.Module):
    """Pre-norm residual layers, each an oscillator layer and a gated MLP; what enters the sum is scaled by depth."""

    def __init__(self, config: PhaseFieldConfig):
        super().__init__()
        gain = BRANCHES * (config.layers * (1 + config.mlp)) ** -0.5
        self.layers = nn.ModuleList(OscillatorLayer(config, gain) for _ in range(config.layers))
        self.mlps = nn.ModuleList(GatedMLP(config.dim, config.mlp_hidden, gain) for _ in self.layers if config.mlp)
        self.dropout = config.dropout_rate

    def forward(self, z: Tensor, state: list[Any] | None = None) -> tuple[Tensor, list[Any]]:
        carried = []
        for index, layer in enumerate(self.layers):
            y, after = layer(phase_norm(z), state and state[index])
            z = z + drop_channels(y, self.dropout, self.training)
            if self.mlps:
                z = z + drop_channels(self.mlps[index](phase_norm(z)), self.dropout, self.training)
            carried.append(after)
        return z, carried
