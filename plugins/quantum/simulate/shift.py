"""Gradients of circuits that can only be run: the parameter-shift rule, and SPSA as its cheap alternative.

An estimator gives read-outs (N, outputs) of angles (N, K) and, where amplitudes are loaded, of states (N, 2, 2^n). The
shift rule is exact in expectation and takes two runs an angle (four for controlled rotations); so is the rule for
loaded amplitudes, in which a read-out is quadratic: two runs an amplitude. SPSA takes two runs in all, its noise grows
with their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..circuit.plan import Angle

Rule = tuple[tuple[float, float], ...]              # (coefficient, shift) of each run
Estimate = Callable[[Tensor, Tensor | None], Tensor]
Gradient = Literal["shift", "spsa"]

TWO_TERMS: Rule = ((0.5, math.pi / 2), (-0.5, -math.pi / 2))
# For generators with eigenvalues -1/2, 0, 1/2 (Anselmetti et al. 2104.05695)
NEAR, FAR = (math.sqrt(2) + 1) / (4 * math.sqrt(2)), (math.sqrt(2) - 1) / (4 * math.sqrt(2))
FOUR_TERMS: Rule = ((NEAR, math.pi / 2), (-NEAR, -math.pi / 2), (-FAR, 3 * math.pi / 2), (FAR, -3 * math.pi / 2))
SPSA_STEP = 0.3                     # radians
SMALLEST_NORM = 1e-12               # squared, of a state that was moved
RUNS_AT_ONCE = 1 << 16              # rows of angles given to an estimator in one call


def angle_values(angles: Sequence[Angle], x: Tensor, w: Tensor) -> Tensor:
    """The angles (B, K) of inputs x (B, I) and weights w (P,)."""
    by_input, by_weight = x.new_zeros(x.shape[1], len(angles)), x.new_zeros(w.shape[0], len(angles))
    for column, angle in enumerate(angles):
        for source, index, coefficient in angle.terms:
            (by_input if source == "input" else by_weight)[index, column] = coefficient
    return x @ by_input + w @ by_weight + x.new_tensor([angle.offset for angle in angles])


def estimated(
    estimate: Estimate, theta: Tensor, loaded: Tensor | None, rules: Sequence[Rule], gradient: Gradient = "shift",
) -> Tensor:
    """`estimate(theta, loaded)`, differentiable by further runs. Loaded states are real: their second plane is zero."""
    return _Estimated.apply(estimate, tuple(rules), gradient, theta, loaded)


def runs(rules: Sequence[Rule], amplitudes: int = 0, gradient: Gradient = "shift") -> int:
    """Runs of a circuit that one gradient takes, the forward one included."""
    return 1 + (2 if gradient == "spsa" else sum(map(len, rules)) + 2 * amplitudes)


class _Estimated(Function):
    @staticmethod
    def forward(
        ctx, estimate: Estimate, rules: tuple[Rule, ...], gradient: Gradient, theta: Tensor, loaded: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(theta, loaded)
        ctx.estimate, ctx.rules, ctx.gradient = estimate, rules, gradient
        return estimate(theta.detach(), None if loaded is None else loaded.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        theta, loaded = ctx.saved_tensors
        if ctx.gradient == "spsa":
            return None, None, None, *_spsa(ctx.estimate, theta, loaded, grad)
        d_loaded = _polarise(ctx.estimate, theta, loaded, grad) if ctx.needs_input_grad[4] else None
        return None, None, None, _shift(ctx.estimate, ctx.rules, theta, loaded, grad), d_loaded


def _shift(
    estimate: Estimate, rules: Sequence[Rule], theta: Tensor, loaded: Tensor | None, grad: Tensor,
) -> Tensor:
    samples = theta.shape[0]
    terms = [(k, c, s) for k, rule in enumerate(rules) for c, s in rule]
    d_theta, each = torch.zeros_like(theta), max(1, RUNS_AT_ONCE // max(1, samples))
    for start in range(0, len(terms), each):
        part = terms[start:start + each]
        moved = theta.repeat(len(part), 1, 1)                                    # (terms, N, K)
        for row, (k, _, shift) in enumerate(part):
            moved[row, :, k] += shift
        states = None if loaded is None else loaded.repeat(len(part), 1, 1)
        out = estimate(moved.flatten(0, 1), states).unflatten(0, (len(part), samples))
        along = (out * grad).sum(-1)                                             # (terms, N)
        for row, (k, coefficient, _) in enumerate(part):
            d_theta[:, k] += coefficient * along[row]
    return d_theta


def _polarise(estimate: Estimate, theta: Tensor, loaded: Tensor, grad: Tensor) -> Tensor:
    """f is a quadratic form of the state: its slope along amplitude j is (f(psi + e_j) - f(psi - e_j)) / 2."""
    d_loaded = torch.zeros_like(loaded)
    for j in range(loaded.shape[-1]):
        step = torch.zeros_like(loaded)
        step[:, 0, j] = 1
        d_loaded[:, 0, j] = _difference(estimate, theta, loaded, step, grad) / 2
    return d_loaded


def _difference(estimate: Estimate, theta: Tensor, loaded: Tensor, step: Tensor, grad: Tensor) -> Tensor:
    """<grad, f(psi + step) - f(psi - step)> (N,), f continued to states of any norm."""
    moved = torch.cat([loaded + step, loaded - step])
    square = moved.square().sum((1, 2)).clamp(min=SMALLEST_NORM)
    out = estimate(theta.repeat(2, 1), moved / square.sqrt()[:, None, None]) * square[:, None]
    ahead, behind = out.chunk(2)
    return ((ahead - behind) * grad).sum(-1)


def _spsa(
    estimate: Estimate, theta: Tensor, loaded: Tensor | None, grad: Tensor,
) -> tuple[Tensor, Tensor | None]:
    """Spall 1992: one random direction for every row, whose derivative stands for all."""
    direction = torch.randint_like(theta, 2) * 2 - 1
    moved = torch.cat([theta + SPSA_STEP * direction, theta - SPSA_STEP * direction])
    ahead, behind = estimate(moved, None if loaded is None else loaded.repeat(2, 1, 1)).chunk(2)
    d_theta = ((ahead - behind) * grad).sum(-1, keepdim=True) / (2 * SPSA_STEP) * direction
    if loaded is None:
        return d_theta, None
    step = torch.zeros_like(loaded)
    step[:, 0] = torch.randint_like(loaded[:, 0], 2) * 2 - 1
    return d_theta, _difference(estimate, theta, loaded, step, grad)[:, None, None] / 2 * step
