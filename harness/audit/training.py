"""The model as it trains: called from the same weights, buffers and random state each time, noise and all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .probe import Difference, Probe, Snapshot, spread
from .randomness import Silence, Sources, without_dropout
from .shapes import OTHER_SHAPE

DRAWS, MOST = 32, 256               # of noise: as many at least, and as many where rare noise has not shown itself yet
ERRORS = 5                          # standard errors that a mean of draws is allowed


class Training(Probe):
    """Calls the model in training mode, from the weights and buffers of `start` and the random state of `draw`.

    `drew` says whether the last call drew random numbers, `hidden` whether silencing needs rates of zero in the model's
    attributes. What a call moved stays until the next.
    """

    def __init__(self, probe: Probe):
        super().__init__(probe.model, probe.device, probe.dtype)
        self.sources = Sources(self.model, self.device)
        self.start = Snapshot(c for m in self.model.modules() for c in (m._parameters, m._buffers))
        self.draw, self.drew, self.hidden = 0, False, False

    def reset(self) -> None:
        """Back to evaluation, with the weights and buffers of the start."""
        self.start.restore()
        self.model.eval()
        self.draw = 0

    def __call__(self, tokens: Tensor, state: Any = None, *, dtype: str = "") -> tuple[Tensor, Any]:
        self.start.restore()
        self.sources.seed(self.draw)
        before = self.sources.state()
        self.model.train()
        with torch.enable_grad():                   # as a training step has it
            output = super().__call__(tokens, state, dtype=dtype)
        self.drew = before != self.sources.state()
        return output

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Within, calls have no noise, as far as it can be silenced."""
        with Silence(self.sources):
            if not self.hidden:
                yield
                return
            with without_dropout(self.model):
                yield

    def quiet(self, tokens: Tensor, dtype: str) -> Tensor:
        """The logits (B, T, V) without noise; `drew` is False where all of it was silenced."""
        with self.silenced():
            logits = self.logits(tokens, dtype=dtype)
        if self.drew and not self.hidden:
            self.hidden = True
            return self.quiet(tokens, dtype)
        return logits

    def logits(self, tokens: Tensor, *, dtype: str = "") -> Tensor:
        return self(tokens, dtype=dtype)[0].detach()


def off_its_mean(training: Training, tokens: Tensor, dtype: str, expected: Tensor) -> Difference:
    """How far the mean of training over draws is from `expected` (B, T, V), beyond what its noise explains, in std.

    At every position the root mean square of the mean's distance over the vocabulary may be that of the noise's
    standard deviation: what follows noise bends it, so that an honest mean moves, but within the spread. `ERRORS`
    standard errors of a mean of n draws are allowed on top. n doubles while that fails: rare noise shows itself late.
    """
    unit = spread(expected)
    mean, squares = torch.zeros_like(expected, dtype=torch.float32), torch.zeros_like(expected, dtype=torch.float32)
    for n in range(1, MOST + 1):
        training.draw = n
        logits = training.logits(tokens, dtype=dtype).float()
        before = logits - mean
        mean += before / n
        squares += before * (logits - mean)
        if n < DRAWS or n & (n - 1):
            continue
        off = (mean - expected).square().mean(-1).sqrt()                            # (B, T)
        own = (squares / (n - 1)).mean(-1).sqrt()
        beyond = ((off - own * (1 + ERRORS / n**0.5)) / unit).amax(0).clamp(min=0)  # (T,)
        places = (beyond > OTHER_SHAPE[dtype]).nonzero()
        if not len(places):
            break
    return Difference(float(beyond.max()), int(places[0]) if len(places) else None)
