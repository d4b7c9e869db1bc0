"""Finite shots from our own statevector: the law of a noiseless device, without a simulator of one.

Outcomes are drawn from the basis probabilities, so that the read-outs of one circuit share its shots and are correlated
as they would be. Pauli strings that are not Z strings are measured one by one.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from harness import UsageError

from ..circuit.plan import Plan, Readout, freed
from . import statevector
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
        drawn = torch.rand(len(exact), shots, device=exact.device) if uniforms is None else uniforms
        return signs(exact, drawn) if strings else read(plan, frequencies(exact, drawn))

    return estimated(estimate, angle_values(angles, x, w), loaded, [TWO_TERMS] * len(angles), gradient)


def frequencies(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Relative frequencies (N, 2^n) of outcomes drawn with uniforms (T, shots): row i sees those of i mod T.

    Outcome k is drawn by what lies in [F(k-1), F(k)), F the distribution function. Counted from the sorted uniforms,
    which rows share, this looks 2^n edges up instead of every shot.
    """
    shots = uniforms.shape[1]
    ordered = uniforms.to(probabilities.dtype).sort(-1).values
    edges = probabilities.cumsum(-1)
    rows = (edges / edges[:, -1:]).unflatten(0, (-1, len(ordered))).transpose(0, 1)             # (T, N / T, 2^n)
    below = torch.searchsorted(ordered, rows.flatten(1)).view_as(rows).transpose(0, 1).flatten(0, 1)
    below[:, -1] = shots
    return below.diff(dim=-1, prepend=below.new_zeros(len(below), 1)).to(probabilities.dtype) / shots


def read(plan: Plan, observed: Tensor) -> Tensor:
    """The plan's read-out, z or probabilities, from frequencies of basis states."""
    if plan.readout.kind == "probabilities":
        return observed
    states = torch.arange(1 << plan.qubits, device=observed.device)
    bits = states[:, None] >> torch.arange(plan.qubits, device=observed.device) & 1
    return observed @ (1 - 2 * bits).to(observed.dtype)


def signs(expectations: Tensor, uniforms: Tensor) -> Tensor:
    """Means of outcomes ±1 of every observable, each measured on its own (here with the same uniforms, as above)."""
    rows = expectations.unflatten(0, (-1, len(uniforms)))                              # (N / T, T, observables)
    hits = uniforms[:, None, :] < (1 + rows[..., None]) / 2
    return 2 * hits.to(expectations.dtype).mean(-1).flatten(0, 1) - 1
