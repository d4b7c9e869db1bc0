"""Leaky integrate-and-fire neurons, their membranes carried from token to token.

Notable:
- v_t = a_t v_{t-1} + sqrt(1 - a_t^2) I_t, the leak a_t set by the token; no reset, so that membranes are a scan (as in
  the parallel spiking neuron, Fang et al. 2023);
- a neuron is silent below its threshold; above, its spike rises from 0 to 1 over `ramp`, graded as neuromorphic chips
  send them, because an all-or-none spike would turn the last bit of a rounding error into another text;
- currents arrive over synaptic delays of up to 3 tokens (a short convolution); a gain set by the token scales what a
  spike passes on;
- the derivative of the spike is replaced by a surrogate that also reaches silent neurons (Neftci et al. 2019);
- the readout is a dense product here: `diagnostics` says what an event-driven one would need.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..blocks import RMSNorm, ShortConv, precise
from ..scan import real_scan
from .branch import MAX_DECAY, Branch, accumulate, leak_bias, outer, silu_slope

THRESHOLD = 0.5                 # at first; membranes have unit variance


def slope(height: Tensor) -> Tensor:
    """The surrogate derivative at `height` above the threshold, in units of the ramp: 1 / (1 + (pi/2 (h - 1/2))^2)."""
    return 1 / (1 + (math.pi / 2 * (height - 0.5)).square())


class Spike(torch.autograd.Function):
    """clamp(height, 0, 1) with the slope of the surrogate."""

    @staticmethod
    def forward(ctx: Any, height: Tensor) -> Tensor:
        ctx.save_for_backward(height)
        return height.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * slope(*ctx.saved_tensors)


class Spiking(Branch):
    """State: membrane potentials (B, N) and the inputs still on their way (B, 3, D)."""

    LOCAL = ("into.weight", "into.bias", "threshold", "out.weight")

    def __init__(self, dim: int, neurons: int, ramp: float, longest: float):
        super().__init__()
        self.norm = RMSNorm(dim)
        self.delays = ShortConv(dim)
        self.into = nn.Linear(dim, 3 * neurons)                 # leak, current, gain
        self.threshold = nn.Parameter(torch.full((neurons,), THRESHOLD))
        self.out = nn.Linear(neurons, dim, bias=False)
        self.ramp, self.longest = ramp, longest
        self.rate: Tensor | None = None

    def initialise(self) -> None:
        neurons = self.out.in_features
        nn.init.zeros_(self.into.bias)
        with torch.no_grad():
            self.into.bias[:neurons] = leak_bias(neurons, self.longest)

    def membranes(self, arrived: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Leak, current, gain and membrane potential of every neuron, each (B, T, N)."""
        gate, current, gain = precise(self.into(arrived)).chunk(3, dim=-1)
        leak = MAX_DECAY * torch.sigmoid(-gate)
        return leak, current, gain, real_scan(leak, current, state, normalise=True)

    def height(self, potential: Tensor) -> Tensor:
        return (potential - self.threshold) / self.ramp

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None):
        last, window = state or (None, None)
        arrived, window = self.delays(self.norm(x), window)
        _, _, gain, potential = self.membranes(arrived, last)
        spikes = Spike.apply(self.height(potential))            # (B, T, N)
        if not self.training:
            self.rate = (spikes > 0).float().mean()
        return self.out(spikes * F.silu(gain)), (potential[:, -1].clone(), window)

    def learn(self, x: Tensor, error: Tensor) -> None:
        """Three factors: presynaptic trace, surrogate slope, error. The delays stay as they are.

        A synapse's trace fades with the membrane, e_t = a_t e_{t-1} + input (Bellec et al. 2020, e-prop). The sum over
        time of signal x trace is taken in the other order, the signals fading back to each input: the same number
        without a trace per synapse.
        """
        arrived, _ = self.delays(self.norm(x))
        leak, current, gain, potential = self.membranes(arrived, None)
        height = self.height(potential)
        spikes, passed = height.clamp(0, 1), F.silu(gain)
        accumulate(self.out.weight, outer(error, spikes * passed))
        felt = error @ self.out.weight                                               # (B, T, N)
        signal = felt * passed * slope(height) / self.ramp
        accumulate(self.threshold, -signal.sum((0, 1)))

        following = F.pad(leak[:, 1:], (0, 0, 0, 1))
        credit = real_scan(following.flip(1), signal.flip(1)).flip(1)                # c_t = signal_t + a_{t+1} c_{t+1}
        admitted = (1 - leak.square()).sqrt()
        before = F.pad(potential[:, :-1], (0, 0, 1, 0))
        on_gate = credit * (before - current * leak / admitted) * -leak * (1 - leak / MAX_DECAY)
        on_inputs = torch.cat([on_gate, credit * admitted, felt * spikes * silu_slope(gain)], -1)
        accumulate(self.into.weight, outer(on_inputs, arrived))
        accumulate(self.into.bias, on_inputs.sum((0, 1)))
