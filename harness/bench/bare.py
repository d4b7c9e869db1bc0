"""The training step as a bare PyTorch loop writes it: what the harness's own step is measured against."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model import LanguageModel
from .train import Recipe, make_optimizer


def bare_step(model: LanguageModel, device: str, dtype: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A step on inputs and targets, (B, T) each, with the harness's optimiser. It returns the cross entropy in nats."""
    optimizer = make_optimizer(model.train(), 1e-4, Recipe())
    parameters = list(model.parameters())

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
            logits, _ = model(inputs)
        cross_entropy = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
        loss = cross_entropy
        for term in model.auxiliary_losses().values():
            loss = loss + term
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return cross_entropy.detach()

    return step
