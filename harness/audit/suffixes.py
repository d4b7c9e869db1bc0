"""Whether the logits before a place move when the tokens from there on are changed, and if so, why.

Rows of a batch are changed at different places at once; only a row that moved is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .probe import Difference, Probe, spread
from .shapes import OTHER_SHAPE
from .texts import Texts, suffix_starts

# In std. Cross entropy changes by at most twice the largest change of a logit, so what is let through cannot flatter a
# score. Calls of one shape differ by 0, but for transforms over time, whose rounding spreads.
SAME_SHAPE = 1e-4


@dataclass(frozen=True)
class Moved:
    """A row of changed tokens (B, T) whose logits moved by `size` std before the place `start` of the change."""

    tokens: Tensor
    row: int = 0
    start: int = 0
    size: float = 0.0


@dataclass(frozen=True)
class Look:
    """What `look` found: the row that moved most, in which dtype, and whether any logit answered to any token."""

    probe: Probe
    tokens: Tensor
    dtype: str
    moved: Moved
    asked: bool
    answers: bool

    def cause(self, length: int) -> tuple[str, int, Difference, float, str]:
        """Check, length, size, tolerance and words: the model does not repeat itself, its own later tokens move it, or
        the other rows do."""
        row, start, dtype = self.moved.row, self.moved.start, self.dtype
        alone = self.tokens.clone()
        alone[row] = self.moved.tokens[row]
        base = self.probe.logits(self.tokens, dtype=dtype)
        unit = spread(base)

        def against(other: Tensor) -> Difference:
            logits = self.probe.logits(other, dtype=dtype)
            return Difference.between(base[row, :start], logits[row, :start], unit, SAME_SHAPE)

        if (found := against(self.tokens)).size > SAME_SHAPE:
            check, cause = "determinism", "calling again"
        elif (found := against(alone)).size > SAME_SHAPE:
            check, cause = "suffix perturbation", f"changing tokens from {start}"
        else:
            found, check, cause = against(self.moved.tokens), "batch independence", f"changing rows other than {row}"
        detail = f"{cause} changes logits at position {found.position} by up to {found.size:.2g} std"
        if found.size <= SAME_SHAPE:
            found, check = Difference(float("inf")), "determinism"
            detail = f"logits before position {start} moved once, then no more"
        return check, length, found, SAME_SHAPE, detail


def places(rows: int, length: int) -> list[list[int]]:
    """For every round, the place of each row from which its tokens are changed. Every row gets every place."""
    starts = suffix_starts(length)
    return [[starts[(index + row * len(starts) // rows) % len(starts)] for row in range(rows)]
            for index in range(len(starts))]


def look(probe: Probe, texts: Texts, tokens: Tensor, rounds: Sequence[Sequence[int]] | None = None) -> Look:
    """Change `tokens` (B, T) in every round at its places, all of them by default.

    What is small under bfloat16 may be rounding: float32 decides.
    """
    rounds = places(*tokens.shape) if rounds is None else rounds
    dtype, drawn = probe.dtype, texts.generator.get_state()
    found = scan(probe, texts, tokens, rounds, dtype)
    if dtype != "float32" and SAME_SHAPE < found.moved.size <= OTHER_SHAPE[dtype]:
        texts.generator.set_state(drawn)
        found = scan(probe, texts, tokens, rounds, "float32")
    return found


def scan(probe: Probe, texts: Texts, tokens: Tensor, rounds: Sequence[Sequence[int]], dtype: str) -> Look:
    worst, answers = Moved(tokens), False
    base = probe.logits(tokens, dtype=dtype)
    unit = spread(base)
    for at in rounds:
        changed = texts.changed(tokens, at)
        logits = probe.logits(changed, dtype=dtype)
        for row, start in enumerate(at):
            found = Difference.between(base[row, :start], logits[row, :start], unit, SAME_SHAPE)
            if found.size > worst.size:
                worst = Moved(changed, row, start, found.size)
            answers = answers or not torch.equal(base[row, start:], logits[row, start:])
    return Look(probe, tokens, dtype, worst, bool(rounds), answers)
