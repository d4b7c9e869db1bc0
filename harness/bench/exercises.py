"""A synthetic task at the workbench: texts to practise on, right answers counted, known chances held against.

A training set is read again and again, in a new order each time; its texts are made again when they are due. The loss
falls on what is asked alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.abilities.sizes import Task
from ..data.abilities.stream import IGNORED, Stream, Text
from ..data.abilities.table import Setting
from .state_probes import Forward
from .train import Batch

KEPT_TOKENS = 1_000_000                 # of a seed, 16 bytes each


class Distances(NamedTuple):
    """How far a model is from the known chances, a mean over what is asked in each text, (N,) float64 each."""

    excess_bits: np.ndarray             # the Kullback-Leibler divergence of the model from them
    total_variation: np.ndarray
    allowed: np.ndarray                 # the share of likeliest tokens that can come at all


class Exercises:
    """One task in one size. What is drawn depends on the task, the size and a seed alone, not on the model.

    `batch_size` is that of texts to train on; longer ones are asked in smaller batches.
    """

    def __init__(self, task: Task, batch_size: int, device: str = "cpu"):
        self.task, self.ability, self.size = task, task.ability, task.size
        self.batch_size, self.device = batch_size, device
        self._kept: dict[int, list[Batch]] = {}             # by seed

    def practice(self, seed: int) -> Iterator[Batch]:
        """Batches without end, (inputs, targets, n_tokens), (B, T) int64 each, every one of texts of one setting.

        The first are kept: the trials of a search practise on the same.
        """
        kept = self._kept.setdefault(seed, [])
        for inputs, targets, tokens in kept:
            yield inputs.clone(), targets.clone(), tokens   # a model may write into what it is given
        first = len(kept)
        for number, batch in enumerate(itertools.islice(self._drawn(seed), first, None), first):
            if number == len(kept) and (number + 1) * batch[2] <= KEPT_TOKENS:
                kept.append((batch[0].clone(), batch[1].clone(), batch[2]))
            yield batch

    def _drawn(self, seed: int) -> Iterator[Batch]:
        for epoch in itertools.count():
            stream, batches = Stream(self.ability.name, "order", seed, epoch), list[tuple[Setting, np.ndarray]]()
            first = 0                                       # no two settings share an index
            for texts, setting in self.size.train:
                order = first + stream.distinct(texts, texts)
                batches += [(setting, order[at:at + self.batch_size]) for at in range(0, texts, self.batch_size)]
                first += texts
            for number in stream.distinct(len(batches), len(batches)):
                setting, indices = batches[number]
                inputs, targets = self._stacked(setting, "train", seed, indices)
                yield inputs, targets, targets.numel()

    def right_answers(self, forward: Forward, setting: Setting, texts: int, seed: int) -> np.ndarray:
        """The share of right answers in each of `texts` texts to test on, the likeliest token being the answer."""
        shares = []
        for indices in self._batches(texts, setting):
            inputs, targets = self._stacked(setting, "test", seed, indices)
            shares.append(shares_right(forward(inputs.to(self.device), None)[0], targets))
        return torch.cat(shares).numpy()

    def distances(self, forward: Forward, setting: Setting, texts: int, seed: int) -> Distances:
        """Of a task whose chances are known; tokens beyond its vocabulary never come."""
        found = []
        for indices in self._batches(texts, setting):
            inputs, targets = self._stacked(setting, "test", seed, indices)
            logs = forward(inputs.to(self.device), None)[0].cpu().double().log_softmax(-1)
            for row, index in enumerate(indices.tolist()):
                asked = targets[row] != IGNORED
                known = torch.from_numpy(self.ability.chances(setting, "test", seed, index, inputs[row].numpy()))[asked]
                own, beyond = logs[row, asked].tensor_split([known.shape[1]], -1)
                lost = torch.where(known > 0, -known * own, 0.0)        # what never comes may have no chance at all
                excess = (torch.special.xlogy(known, known) + lost).sum(-1) / np.log(2)
                variation = ((known - own.exp()).abs().sum(-1) + beyond.exp().sum(-1)) / 2
                likeliest = logs[row, asked].argmax(-1)
                allowed = torch.nn.functional.pad(known, (0, beyond.shape[1])).gather(-1, likeliest[:, None]) > 0
                found.append([float(part.double().mean()) for part in (excess, variation, allowed)])
        return Distances(*np.array(found).T)

    def sample(self, texts: int, seed: int) -> Tensor:
        """Test texts of every setting one after the other, (N,) int64."""
        drawn = [self._stacked(setting, "test", seed, np.arange(texts))[0] for _, setting in self.size.test]
        return torch.cat([inputs.flatten() for inputs in drawn])

    def _batches(self, texts: int, setting: Setting) -> Iterator[np.ndarray]:
        rows = max(1, self.batch_size * self.task.length // max(1, self.task.inputs(setting, "test")))
        for first in range(0, texts, rows):
            yield np.arange(first, min(first + rows, texts))

    def _stacked(self, setting: Setting, part: str, seed: int, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        return stacked(self.ability.text(setting, part, seed, index) for index in indices.tolist())


def stacked(texts: Iterable[Text]) -> tuple[Tensor, Tensor]:
    """Inputs and targets of texts of one length, (B, T) int64 each."""
    inputs, targets = zip(*texts, strict=True)
    return torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(targets))


def shares_right(logits: Tensor, targets: Tensor) -> Tensor:
    """(B, T, V), (B, T) -> of what each text asks the share whose likeliest token is the answer, (B,) float64."""
    asked, answers = targets != IGNORED, logits.argmax(-1).cpu()
    return ((answers == targets) & asked).sum(1).double() / asked.sum(1)
