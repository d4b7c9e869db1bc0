"""The robust fit of a log-sum-exp of linear forms, for many starts and many resamplings at once. (no torch, no SciPy)

A sum of powers such as E + A / N^alpha + B / D^beta is, on the log scale, log sum_k exp(z_k . theta): every parameter
is linear within its term. The residuals are those of the log loss, their Huber losses are summed (a mean makes a
gradient so small that a quasi-Newton method stops early: Besiroglu et al. 2024). The step solves
(H + damping M) s = -g with the exact Hessian H and the positive M of iteratively reweighted least squares, so that it
is Newton's near the optimum and a descent far from it (Levenberg 1944, Marquardt 1963).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray

DELTA = 1e-3                                # where Huber's loss becomes linear, of Hoffmann et al. 2022
TOLERANCE = 1e-9                            # the decrease still promised, as a part of the objective
ITERATIONS = 300
BLOCK = 2_000_000                           # numbers of one array: fits are solved in blocks of as many


@dataclass(frozen=True)
class Optima:
    """theta (R, P), the objective of each (R,), and whether it converged (R,)."""

    theta: ndarray
    objective: ndarray
    converged: ndarray


def minimise(terms: ndarray, logs: ndarray, weights: ndarray, start: ndarray, lower: ndarray, upper: ndarray,
             delta: float = DELTA, tolerance: float = TOLERANCE) -> Optima:
    """The minimum of sum_i w_i Huber(log sum_k exp(z_ki . theta) - log L_i) within bounds, from every start.

    `terms` (K, n, P); `logs` and `weights` (R, n), or (1, n) where all share them; `start` (R, P); bounds (P,).
    Converged is where the next step promises less than `tolerance` of the objective.
    """
    import numpy as np

    count, (_, n, width) = len(start), terms.shape
    size = max(1, BLOCK // (n * width))
    blocks = [np.arange(at, min(at + size, count)) for at in range(0, count, size)]
    parts = [_minimise(terms, _rows(logs, block), _rows(weights, block), start[block], lower, upper, delta,
                       tolerance) for block in blocks]
    return Optima(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def predict(terms: ndarray, theta: ndarray) -> tuple[ndarray, ndarray]:
    """log sum_k exp(z_k . theta) (R, n), and the share of each term in it (K, R, n)."""
    import numpy as np

    forms = theta @ terms.transpose(0, 2, 1)                                    # (K, R, n)
    top = forms.max(0)
    shares = np.exp(forms - top)
    total = shares.sum(0)
    return top + np.log(total), shares / total


def _minimise(terms: ndarray, logs: ndarray, weights: ndarray, start: ndarray, lower: ndarray, upper: ndarray,
              delta: float, tolerance: float) -> tuple[ndarray, ndarray, ndarray]:
    import numpy as np

    theta = np.clip(start, lower, upper)
    objective = _objective(terms, logs, weights, theta, delta)
    damping, active = np.ones(len(theta)), np.arange(len(theta))
    still = np.ones(len(theta), bool)
    for _ in range(ITERATIONS):
        own, weighed = _rows(logs, active), _rows(weights, active)
        here, before = theta[active], objective[active]
        step, promised = _step(terms, own, weighed, here, damping[active], lower, upper, delta)
        there = np.clip(here + step, lower, upper)
        after = _objective(terms, own, weighed, there, delta)
        better = after < before
        chosen = active[better]
        theta[chosen], objective[chosen] = there[better], after[better]
        damping[active] = np.where(better, damping[active] / 5, damping[active] * 4).clip(1e-10, 1e12)
        done = np.abs(promised) <= tolerance * before + 1e-20
        still[active[done]] = False
        active = active[~done & (damping[active] < 1e12)]
        if not len(active):
            break
    return theta, objective, ~still


def _rows(values: ndarray, chosen: ndarray) -> ndarray:
    """Those rows, or the one that all share."""
    return values if len(values) == 1 else values[chosen]


def _objective(terms: ndarray, logs: ndarray, weights: ndarray, theta: ndarray, delta: float) -> ndarray:
    import numpy as np

    size = np.abs(predict(terms, theta)[0] - logs)
    loss: ndarray = (weights * np.where(size <= delta, size * size / 2, delta * (size - delta / 2))).sum(1)
    return loss


def _step(terms: ndarray, logs: ndarray, weights: ndarray, theta: ndarray, damping: ndarray, lower: ndarray,
          upper: ndarray, delta: float) -> tuple[ndarray, ndarray]:
    """The damped step (R, P), and the decrease that it promises (R,). Parameters pressed against a bound stay."""
    import numpy as np

    (_, n, width), count = terms.shape, len(theta)
    fitted, shares = predict(terms, theta)
    residual = fitted - logs
    size = np.abs(residual)
    jacobian = sum(share[..., None] * term for share, term in zip(shares, terms, strict=True))
    pull = weights * np.clip(residual, -delta, delta)                           # of the objective, by residual
    gradient = (pull[:, None] @ jacobian)[:, 0]
    majorant = weights * np.minimum(1, delta / np.maximum(size, delta))
    curved = weights * (size <= delta) - pull           # the log-sum-exp bends: sum_k p_k z_k z_k' - J J'
    across = jacobian.transpose(0, 2, 1)
    hessian, positive = ((across * kind[:, None]) @ jacobian for kind in (curved, majorant))
    squares = (terms[..., None] * terms[..., None, :]).reshape(len(terms), n, width * width)
    hessian += sum(pull * share @ square for share, square in zip(shares, squares, strict=True)).reshape(
        count, width, width)
    free = ~(((theta <= lower) & (gradient > 0)) | ((theta >= upper) & (gradient < 0)))
    eye = np.eye(width)
    scale = np.einsum("rpp->rp", positive)
    positive = positive + eye * (1e-9 * scale + 1e-12 * scale.max(1, keepdims=True) + 1e-300)[:, None]
    matrix = hessian + damping[:, None, None] * positive
    both = free[:, :, None] & free[:, None]
    matrix = np.where(both, matrix, eye * scale.max(1)[:, None, None])
    slope = np.where(free, gradient, 0.0)
    step = _solve(matrix, -slope)
    return step, (slope * step).sum(1)


def _solve(matrix: ndarray, right: ndarray) -> ndarray:
    """The solution of every system, scaled to a unit diagonal. (R, P, P), (R, P)"""
    import numpy as np

    scale = 1 / np.sqrt(np.maximum(np.abs(np.einsum("rpp->rp", matrix)), 1e-300))
    scaled = matrix * scale[:, :, None] * scale[:, None]
    try:
        solved = np.linalg.solve(scaled, (right * scale)[..., None])[..., 0]
    except np.linalg.LinAlgError:                   # one of them is singular: the shortest of its solutions
        solved = (np.linalg.pinv(scaled) @ (right * scale)[..., None])[..., 0]
    step: ndarray = solved * scale
    return step
