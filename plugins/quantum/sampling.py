"""Finite shots from our own statevector: the law of a noiseless device, without a simulator of one.

Outcomes are drawn from the basis probabilities, so that the read-outs of one circuit share its shots and are correlated
as they would be. Pauli strings that are not Z strings are measured one by one.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from harness import UsageError

from . import statevector
from .plan import Plan, Readout, freed
from .shift import TWO_TERMS, Gradient, angle_values, estimated


def check_shots(shots: int) -> None:
    if shots < 1:
        raise UsageError(f"shots must be at least 1, got {shots}; without shots use execution=compiled")


def sampled(
    plan: Plan, x: Tensor, w: Tensor, loaded: Tensor | None = None, *, shots: int, gradient: Gradient = "shift",
    uniforms: Tensor | None = None, backend: statevector.Backend = "auto",
) -> Tensor:
    """Read-outs (B, outputs) estimated from `shots` shots each. Shapes as in `statevector.run`.

    `uniforms` (T, shots) in [0, 1) decide the outcomes, where T divides B and sample b sees those of b mod T; fresh
    ones where None. The gradient runs the circuit at shifted angles, with as many shots. Raises UsageError for no
    shots, or a read-out that cannot be measured.
    """
    check_shots(shots)
    if plan.readout.kind == "state":
        raise UsageError("a state cannot be measured: with shots read out z, probabilities or Pauli strings")
    free, angles = freed(plan)
    strings = plan.readout.kind == "paulis"
    measured = free if strings else replace(free, readout=Readout("probabilities"))

    def estimate(theta: Tensor, states: Tensor | None) -> Tensor:
        exact = statevector.run(measured, theta, theta.new_zeros(0), states, backend=backend)
        chosen = uniforms
        if chosen is None:
            chosen = torch.rand(*exact.shape[:1], shots, device=exact.device)
        else:
            chosen = chosen.repeat(len(exact) // len(chosen), 1)
        return signs(exact, chosen) if strings else read(plan, frequencies(exact, chosen))

    return estimated(estimate, angle_values(angles, x, w), loaded, [TWO_TERMS] * len(angles), gradient)


def frequencies(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Relative frequencies (N, 2^n) of outcomes drawn with uniforms (N, shots) or (shots,)."""
    uniforms = uniforms.expand(probabilities.shape[0], -1).to(probabilities.dtype).contiguous()
    edges = probabilities.cumsum(-1)
    outcomes = torch.searchsorted(edges, uniforms * edges[:, -1:], right=True).clamp_(max=probabilities.shape[1] - 1)
    ones = torch.ones_like(uniforms)
    return torch.zeros_like(probabilities).scatter_add_(1, outcomes, ones) / uniforms.shape[1]


def read(plan: Plan, observed: Tensor) -> Tensor:
    """The plan's read-out, z or probabilities, from frequencies of basis states."""
    if plan.readout.kind == "probabilities":
        return observed
    states = torch.arange(1 << plan.qubits, device=observed.device)
    bits = states[:, None] >> torch.arange(plan.qubits, device=observed.device) & 1
    return observed @ (1 - 2 * bits).to(observed.dtype)


def signs(expectations: Tensor, uniforms: Tensor) -> Tensor:
    """Means of outcomes ±1 of every observable, each measured on its own (here with the same uniforms)."""
    uniforms = uniforms.expand(expectations.shape[0], -1)
    hits = (uniforms[:, None, :] < (1 + expectations[..., None]) / 2).to(expectations.dtype)
    return 2 * hits.mean(-1) - 1
