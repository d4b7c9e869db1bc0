"""One search for all: the learning rate, and the options of its own, that a model is trained with. (no torch)

Every model gets the same number of trials, whatever it makes of them. An arm is a choice of options at a rate; its k-th
trial has the seed k, so that arms are compared on the same text in the same order. The next trial is the first of these
that there is:

1. a rate of the grid, with the first choice;
2. a rate an octave beside the best one, so that this lies between two others: at an edge the grid grows;
3. every other choice, at the best rate;
4. as 2., with the choice that is best;
5. successive halving (Jamieson & Talwalkar 2016) over arms and seeds: the better half of all arms, and three at least,
   has a second trial, the better half of these a third, …; the best comes first.

The criterion is the mean training loss over the last fifth of a trial. Within one pass over the data that is a loss on
text not yet seen, the same text for each arm; the scored text takes no part. Beyond one pass it is a loss on text that
was read before, which favours what learns by heart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .train import TrainResult

FEWEST = 3                              # arms that halving leaves: the best one and its neighbours


@dataclass(frozen=True)
class Trial:
    """One training: its mean loss over the last fifth, infinite where it diverged."""

    choice: str                         # options, as they are written after a plugin's name; "" is its defaults
    lr: float
    seed: int
    loss: float
    bytes: int
    seconds: float

    @property
    def arm(self) -> Arm:
        return self.choice, self.lr


Arm = tuple[str, float]
Run = Callable[[str, float, int], "TrainResult"]


def search(run: Run, grid: Sequence[float], count: int, choices: Sequence[str] = ("",)) -> list[Trial]:
    """`count` trials in the order in which they were made. `run(choice, lr, seed)` trains a fresh model with the whole
    schedule on the budget of a trial; `grid` are rates an octave apart, tried in this order."""
    trials: list[Trial] = []
    while len(trials) < count:
        (choice, lr), seed = _following(trials, grid, choices)
        found = run(choice, lr, seed)
        trials.append(Trial(choice, lr, seed, found.tail_bits_per_byte, found.bytes_seen, found.seconds))
    return trials


def _following(trials: Sequence[Trial], grid: Sequence[float], choices: Sequence[str]) -> tuple[Arm, int]:
    """The arm and the seed of the next trial."""
    tried = {trial.arm for trial in trials}
    for lr in grid:
        if (choices[0], lr) not in tried:
            return (choices[0], lr), 0
    choice, lr = ranked(trials)[0]
    known = {own for own, _ in tried}
    beside, new = [(choice, lr / 2), (choice, 2 * lr)], [(other, lr) for other in choices if other not in known]
    for arm in [*beside, *new] if len(known) == 1 else [*new, *beside]:
        if arm not in tried:
            return arm, 0
    diverged = {trial.arm for trial in trials if math.isinf(trial.loss)}
    sound = [arm for arm in ranked(trials) if arm not in diverged]
    counts = {arm: sum(trial.arm == arm for trial in trials) for arm in sound}
    seed, kept = 1, len(tried)
    while True:
        kept = max(FEWEST, math.ceil(kept / 2))
        for arm in sound[:kept]:
            if counts[arm] <= seed:
                return arm, counts[arm]
        seed += 1


def ranked(trials: Sequence[Trial]) -> list[Arm]:
    """Every arm, the one with the lowest loss first, the smallest rate among equals; an arm that diverged comes last.

    What the k-th seed adds to a loss is taken out: it is the mean difference to the seed before, over the arms with
    both.
    """
    losses: dict[Arm, list[float]] = {}
    for trial in sorted(trials, key=lambda trial: trial.seed):
        losses.setdefault(trial.arm, []).append(trial.loss)
    offsets, finite = [0.0], [own for own in losses.values() if math.isfinite(sum(own))]
    for seed in range(1, max(map(len, finite), default=0)):
        steps = [own[seed] - own[seed - 1] for own in finite if len(own) > seed]
        offsets.append(offsets[-1] + sum(steps) / len(steps))

    def standing(arm: Arm) -> tuple[float, float]:
        own = losses[arm]
        if not math.isfinite(sum(own)):
            return math.inf, arm[1]
        return sum(loss - offset for loss, offset in zip(own, offsets, strict=False)) / len(own), arm[1]

    return sorted(losses, key=standing)
