"""Recall at the workbench: a mixture of texts to practise on, right answers counted, the state probed.

The loss falls on answers alone: all else in these texts is drawn at random, and noise that nobody can predict would be
most of the gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..data.abilities.mixture import Case, cases, practice_length, practised
from ..data.abilities.stream import Stream
from .exercises import shares_right, stacked
from .state_probes import Forward, Probes
from .train import Batch

ROWS = 4                                # texts of one case in a batch of practice


class Recall:
    """The recall tasks at one length. What it draws depends on the length and a seed alone, not on the model."""

    def __init__(self, seq_len: int, batch_size: int, device: str = "cpu"):
        self.seq_len, self.batch_size, self.device = seq_len, batch_size, device

    @cached_property
    def cases(self) -> list[Case]:
        """Every load and distance that the length holds. Raises UsageError where it is too short."""
        return cases(self.seq_len)

    def practice(self, seed: int, budget_bytes: int) -> Iterator[Batch]:
        """Batches without end, (inputs, targets, n_bytes), (B, T) int64 each: a mixture of all tasks to train on.

        Texts grow from short ones to the scored length in the course of the budget; a batch holds as many tokens
        throughout.
        """
        seen = texts = 0
        for number in itertools.count():
            length = practice_length(seen / budget_bytes, self.seq_len)
            last = texts + self.batch_size * self.seq_len // length
            stream, parts = Stream("mixture", "order", seed, number), []
            while texts < last:
                case, rows = practised(stream, length), min(ROWS, last - texts)
                parts.append(stacked(case.text(length, "train", seed, texts + row) for row in range(rows)))
                texts += rows
            inputs, targets = (torch.cat(part) for part in zip(*parts, strict=True))
            seen += targets.numel()
            yield inputs, targets, targets.numel()

    def right_answers(self, forward: Forward, case: Case, texts: int, seed: int) -> np.ndarray:
        """The share of right answers in each of `texts` held-out texts, the likeliest token being the answer."""
        shares = []
        for first in range(0, texts, self.batch_size):
            inputs, targets = self._heldout(case, range(first, min(texts, first + self.batch_size)), seed)
            shares.append(shares_right(forward(inputs.to(self.device), None)[0], targets))
        return torch.cat(shares).numpy()

    def sample(self, texts: int, seed: int) -> Tensor:
        """Held-out texts of every case one after the other, (N,) int64."""
        return torch.cat([self._heldout(case, range(texts), seed)[0].flatten() for case in self.cases])

    def probes(self, forward: Forward, seed: int) -> Probes:
        return Probes(forward, seed=seed, device=self.device)

    def _heldout(self, case: Case, indices: range, seed: int) -> tuple[Tensor, Tensor]:
        return stacked(case.text(self.seq_len, "test", seed, index) for index in indices)
