"""Recall at the workbench: texts to practise on, right answers counted.

The loss falls on answers alone: all else in these texts is drawn at random, and noise that nobody can predict would be
most of the gradient.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..data.abilities.stream import IGNORED
from ..data.tasks import Case, Draws, cases, practice, practice_length
from .exercises import shares_right
from .state_probes import Forward, Probes
from .train import Batch

ROWS = 4                                # texts of one case in a batch of practice


class Recall:
    """The recall tasks at one length. What it draws depends on the length and a seed alone, not on the model."""

    def __init__(self, seq_len: int, batch_size: int, bos: int, device: str = "cpu"):
        self.seq_len, self.batch_size, self.bos, self.device = seq_len, batch_size, bos, device

    @cached_property
    def cases(self) -> list[Case]:
        """Every load and distance that the length holds. Raises UsageError where it is too short."""
        return cases(self.seq_len)

    def practice(self, seed: int, budget_bytes: int) -> Iterator[Batch]:
        """Batches without end, (inputs, targets, n_bytes), (B, T) int64 each: a mixture of all tasks to train on.

        Texts grow from short ones to the scored length in the course of the budget; a batch holds as many tokens
        throughout.
        """
        generator, seen = random.Random(f"practice {seed}"), 0
        while True:
            length = practice_length(seen / budget_bytes, self.seq_len)
            mixture, rows, parts = practice(length), self.batch_size * self.seq_len // length, []
            for first in range(0, rows, ROWS):
                case = mixture[generator.randrange(len(mixture))]
                parts.append(tensors(case.draws(min(ROWS, rows - first), length, self.bos, generator)))
            inputs, targets = (torch.cat(part) for part in zip(*parts, strict=True))
            seen += targets.numel()
            yield inputs, targets, targets.numel()

    def right_answers(self, forward: Forward, case: Case, texts: int, seed: int) -> np.ndarray:
        """The share of right answers in each of `texts` held-out texts, the likeliest token being the answer."""
        generator, shares = random.Random(f"held out {case} {seed}"), []
        for first in range(0, texts, self.batch_size):
            rows = min(self.batch_size, texts - first)
            inputs, targets = tensors(case.draws(rows, self.seq_len, self.bos, generator))
            shares.append(shares_right(forward(inputs.to(self.device), None)[0], targets))
        return torch.cat(shares).numpy()

    def sample(self, texts: int, seed: int) -> Tensor:
        """Texts of every case one after the other, (N,) int64, BOS first."""
        generator = random.Random(f"sample {seed}")
        drawn = [case.draws(texts, self.seq_len, self.bos, generator).tokens.ravel() for case in self.cases]
        return torch.from_numpy(np.concatenate(drawn))

    def probes(self, forward: Forward, seed: int) -> Probes:
        return Probes(forward, self.bos, seed=seed, device=self.device)


def tensors(draws: Draws) -> tuple[Tensor, Tensor]:
    """Inputs and targets (N, T) int64; what is not asked is IGNORED."""
    targets = np.where(draws.asked, draws.tokens, IGNORED)
    return torch.from_numpy(draws.tokens[:, :-1].copy()), torch.from_numpy(targets[:, 1:].copy())
