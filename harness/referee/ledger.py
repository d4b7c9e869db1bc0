"""What the referee remembers of bulk scoring: places drawn in secret, each with the logits that were given there.

Every scored target is as likely to be among them as any other, and the model cannot know which: they are drawn in
another process from the system's own randomness (reservoir sampling, Vitter 1985, algorithm R).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

PLACES = 512
CALLS = 8                               # with a state, of which a whole call is kept


@dataclass(frozen=True)
class Place:
    """Position `at` of the text `tokens` (T,), and the logits (V,) that were given there. `where` is for the reader,
    `target` the token that came next, where there is one."""

    tokens: Tensor
    at: int
    logits: Tensor
    where: str
    target: int | None = None


@dataclass(frozen=True)
class Call:
    """A call that carried a state on, and the logits (B, T, V) it gave."""

    tokens: Tensor
    state: Any
    logits: Tensor


@dataclass
class Ledger:
    """At most `most` places of all that were scored."""

    most: int = PLACES
    places: list[Place] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    seen: int = 0                       # scored targets so far
    carried: int = 0                    # calls with a state so far
    secret: np.random.Generator = field(default_factory=lambda: np.random.default_rng(secrets.randbits(128)))

    def note(
        self, tokens: Tensor, logits: Tensor, scored: Tensor, names: Sequence[str], targets: Tensor | None = None,
    ) -> None:
        """Tokens (B, T) and their logits (B, T, V); `scored` (B, T) tells which count, `names` (B,) what a row is of,
        `targets` (B, T) what came next."""
        positions = scored.nonzero()                                                # (n, 2)
        total = self.seen + 1 + np.arange(len(positions))
        seats = self.secret.integers(0, total)
        self.seen += len(positions)
        for index in np.flatnonzero((seats < self.most) | (total <= self.most)):
            row, at = positions[index].tolist()
            target = None if targets is None else int(targets[row, at])
            place = Place(tokens[row].clone(), at, logits[row, at].clone(), names[row], target)
            if total[index] <= self.most:
                self.places.append(place)
            else:
                self.places[seats[index]] = place

    def note_call(self, tokens: Tensor, state: Any, logits: Tensor) -> None:
        """A call with a state."""
        self.carried += 1
        seat = len(self.calls) if self.carried <= CALLS else int(self.secret.integers(self.carried))
        if seat < CALLS:
            self.calls[seat:seat + 1] = [Call(tokens.clone(), state, logits.clone())]


def unseen_share(places: int) -> float:
    """The largest share of leaking targets of which `places` drawn ones would show none once in a hundred times."""
    return 1.0 if places < 1 else 1 - 0.01 ** (1 / places)


def everywhere(tokens: Tensor) -> Tensor:
    return torch.ones_like(tokens, dtype=torch.bool)
