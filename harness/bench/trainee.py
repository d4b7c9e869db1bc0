"""A model in training that can be left and gone on with: batches and their rates in, everything that goes on out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from ..errors import FileError, one_line
from ..model import LanguageModel
from .train import TrainStep
from .weights import RANDOM, model_tensors, optimizer_tensors, restore_model, restore_optimizer

Lesson = tuple[Tensor, Tensor, float]   # inputs (B, T), targets (B, T), the learning rate


class Trained(Protocol):
    """What goes on with a training: here, or in another process."""

    def follow(self, lessons: Iterable[Lesson]) -> float:
        """A step on each. Their mean loss in nats a target, not finite where training diverged."""
        ...

    def kept(self) -> dict[str, Tensor]:
        """Weights, optimiser and random state: who restores them goes on as if it had never stopped."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises FileError for what was kept of another model."""
        ...


class Trainee(Trained):
    """A model at hand."""

    def __init__(self, model: LanguageModel, dtype: str):
        self.model = model
        self.step = TrainStep(model, lr=0.0, dtype=dtype)

    def follow(self, lessons: Iterable[Lesson]) -> float:
        self.model.train()
        losses, device = [], self.step.device
        for inputs, targets, lr in lessons:
            self.step.set_lr(lr)
            losses.append(self.step(inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)))
        return float(torch.stack(losses).double().mean()) if losses else 0.0

    def kept(self) -> dict[str, Tensor]:
        random = {f"{RANDOM}cpu": torch.get_rng_state()}
        if self.step.device.type == "cuda":
            random[f"{RANDOM}cuda"] = torch.cuda.get_rng_state(self.step.device)
        return {**model_tensors(self.model), **optimizer_tensors(self.step.optimizer), **random}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        restore_model(self.model, tensors, "what was kept")
        try:
            restore_optimizer(self.step.optimizer, tensors)
            torch.set_rng_state(tensors[f"{RANDOM}cpu"].clone())        # read from a file it may not be aligned
            if self.step.device.type == "cuda":
                torch.cuda.set_rng_state(tensors[f"{RANDOM}cuda"].clone(), self.step.device)
        except (KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
            raise FileError(f"what was kept does not fit the model: {one_line(error)}") from None
