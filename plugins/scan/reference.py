"""The recurrences as they are written down: a sequential loop, and the published per-token form.

Both are slow on purpose. The first, in float64, is what every backend is tested against; the second is the baseline of
`--suite kernels`: operations on (B, N, 2) pairs with in-loop slices of the inputs under autograd, where the backward of
every slice zero-fills a tensor of the whole input's size.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sequential_real(decay: Tensor, x: Tensor, initial: Tensor | None = None, normalise: bool = False) -> Tensor:
    """decay, x (B, T, N) -> h (B, T, N), in the dtype of the inputs, differentiable."""
    h = torch.zeros_like(x[:, 0]) if initial is None else initial
    states = []
    for t in range(x.shape[1]):
        scale = torch.sqrt(1 - decay[:, t] ** 2) if normalise else 1.0
        h = decay[:, t] * h + scale * x[:, t]
        states.append(h)
    return torch.stack(states, dim=1)


def sequential_complex(
    decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor, initial: Tensor | None = None, normalise: bool = False,
) -> Tensor:
    """decay (B, T, N), cos, sin (N,), x (B, T, 2N) as planes -> h (B, T, 2N)."""
    n = decay.shape[-1]
    rotation = torch.complex(cos, sin)
    h = torch.complex(*(torch.zeros_like(x[:, 0]) if initial is None else initial).split(n, dim=-1))
    states = []
    for t in range(x.shape[1]):
        scale = torch.sqrt(1 - decay[:, t] ** 2) if normalise else 1.0
        h = decay[:, t] * rotation * h + scale * torch.complex(*x[:, t].split(n, dim=-1))
        states.append(torch.cat([h.real, h.imag], dim=-1))
    return torch.stack(states, dim=1)


def published_complex(decay: Tensor, cos: Tensor, sin: Tensor, x: Tensor) -> Tensor:
    """h_t = a_t R h_{t-1} + x_t token by token on pairs: decay (B, T, N), cos, sin (N,), x (B, T, N, 2) -> h, as x."""
    h = torch.zeros_like(x[:, 0])
    states = []
    for t in range(x.shape[1]):
        rotated = torch.stack([h[..., 0] * cos - h[..., 1] * sin, h[..., 0] * sin + h[..., 1] * cos], dim=-1)
        h = x[:, t] + decay[:, t].unsqueeze(-1) * rotated
        states.append(h)
    return torch.stack(states, dim=1)
