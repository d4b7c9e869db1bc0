"""M x, M² x, … of many matrices at once, with a backward pass that never copies them.

Autograd would conjugate the matrices anew for every power, and add up an outer product of their size for each.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class Powers(Function):
    """matrices (P, N, N), transposed: x @ them is M x; start (P, N), a constant -> (P, degree, N)."""

    @staticmethod
    def forward(ctx, matrices: Tensor, start: Tensor, degree: int) -> Tensor:
        terms = [start]
        for _ in range(degree):
            terms.append((terms[-1][:, None] @ matrices)[:, 0])
        found = torch.stack(terms, 1)
        ctx.save_for_backward(matrices, found[:, :-1])
        return found[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        matrices, before = ctx.saved_tensors
        adjoint = [grad[:, -1]]
        for term in reversed(grad[:, :-1].unbind(1)):
            adjoint.append(term + (adjoint[-1].conj()[:, None] @ matrices.mT)[:, 0].conj())
        return before.mH @ torch.stack(adjoint[::-1], 1), None, None
