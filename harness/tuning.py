"""The search for a learning rate as suites use it: its size, the rows it leaves, what scoring cells take over.
(no torch)

A suite plans one cell that searches, `tell`s what was found there, and lets the cells that need it `adopt` that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .workbench import Workbench

if TYPE_CHECKING:
    from .bench.search import Trial

GRID = (4e-3, 8e-3, 1.6e-2)             # where a search begins; it goes on an octave at a time
TRIALS = 10                             # of every search, whatever is found
SHARE = 4                               # a trial is a quarter of the budget
SMALL = 64_000                          # bytes; a trial has so many at least, or the whole budget
TUNED = "tuned: "                       # before the options that were chosen, in the reason of a row


def trial_bytes(budget: int) -> int:
    """The bytes of a trial for a budget in bytes."""
    return max(math.ceil(budget / SHARE), min(budget, SMALL))


def tell(bench: Workbench, trials: Sequence[Trial], unit: str = "bits/byte", text_bytes: int = 0) -> None:
    """Rows of every trial and of what was found, and the raw values that `adopt` takes over. `text_bytes` are those of
    one pass over the text, 0 where none is read twice."""
    from .evidence.statistics.optimum import optimum  # it imports NumPy, which planning can do without

    found = optimum((trial.choice, trial.lr, trial.seed, trial.loss) for trial in trials)
    passes = max(trial.bytes for trial in trials) / text_bytes if text_bytes else 0.0
    again = f"tuned on {passes:.1f} passes over the text, by the loss on text seen before" if passes > 1 else ""
    note = "; ".join(filter(None, [found.note, again]))
    for number, trial in enumerate(trials):
        diverged = math.isinf(trial.loss)
        how = [trial.choice, f"seed {trial.seed}", "diverged" if diverged else ""]
        bench.row(f"trial_{unit.replace('/', '_per_')}@{trial.lr:.3g}", None if diverged else trial.loss, unit, "lower",
                  phase="train", repeat=number, bytes_seen=trial.bytes, reason="; ".join(filter(None, how)))
    bench.row("learning_rate", found.lr, phase="train", ci_low=found.low, ci_high=found.high,
              reason=_with_choice(found.choice, note))
    bench.row("lr_window_octaves", found.window, "octaves", "higher", phase="train",
              reason="at least: it may go on beyond the rates tried" if found.open else "")
    bench.row("tuning_trials", len(trials), "trials", phase="train")
    bench.row("tuning_seconds", sum(trial.seconds for trial in trials), "s", phase="train")
    bench.raw.update(lr=found.lr, choice=found.choice, lr_note=note, trials=[
        [trial.choice, trial.lr, trial.seed, trial.loss, trial.bytes, trial.seconds] for trial in trials])


def adopt(bench: Workbench) -> float:
    """The learning rate that a needed cell has found. The model takes the options that were chosen with it, and later
    rows tell both; before it is built. Raises HarnessError where the search failed."""
    lr: float = bench.need("lr")
    choice = bench.need("choice")
    bench.choose(choice, _with_choice(choice, bench.need("lr_note")))
    return lr


def _with_choice(choice: str, note: str) -> str:
    return "; ".join(filter(None, [TUNED + choice if choice else "", note]))


def choice_in(reason: str) -> str:
    """The options that the reason of a row says were chosen, "" for none."""
    return next((part.removeprefix(TUNED) for part in reason.split("; ") if part.startswith(TUNED)), "")
