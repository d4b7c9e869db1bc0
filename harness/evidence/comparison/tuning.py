"""What tuning took and found: how many trials, how much text and time each plugin was given, which rate and options
came of it, how wide the window of rates is, and whether the optimum lay inside. (no torch)

A score is of the best of its trials, so a plugin that was tried more often has an advantage that no interval shows.
Budgets are equal where a search had as many trials of as many bytes; the time they took is the plugin's own. Runs of
before protocol 3 gave more trials to a search whose best rate lay at the edge of its grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ...store import Row
from ...tuning import choice_in
from ..contents import Contents
from ..statistics.optimum import BEYOND

SIMILAR = 0.02                              # share of the bytes of a search


@dataclass(frozen=True)
class TuningBudget:
    """What tuning a plugin took at one task: totals over its `searches` (one, or one a seed).

    `bytes` and `seconds` are None where the rows do not tell. No trials: the learning rate was given.
    """

    suite: str
    plugin: str
    corpus: str
    seq_len: int | None
    searches: int
    trials: int
    bytes: int | None
    seconds: float | None
    rates: tuple[float, ...]                # learning rates chosen
    windows: tuple[float, ...]              # of rates within 1 % of the best loss, in octaves; () where no row tells
    choices: tuple[str, ...]                # options chosen beside those of the plugin's label
    beyond: bool                            # whether an optimum may lie beyond the rates tried
    text: str                               # the digest of the corpus, its name where no row tells that

    @property
    def task(self) -> tuple[str, str, int]:
        """What is tuned for: only budgets of one task are comparable."""
        return self.suite, self.text, self.seq_len or 0

    @property
    def each(self) -> tuple[float, float]:
        """Trials and bytes of one search."""
        return self.trials / self.searches, (self.bytes or 0) / self.searches


def tuning_budgets(rows: Iterable[Row]) -> list[TuningBudget]:
    """The budget of every plugin at every task, from the rows that name a learning rate."""
    rows = list(rows)
    contents, cells = Contents(rows), dict[tuple[str, str, str, int], dict[str, list[Row]]]()
    for row in rows:
        place = (row.suite, row.label, contents.digest(row) or row.corpus, row.seq_len or 0)
        cells.setdefault(place, {}).setdefault(row.cell_id, []).append(row)
    found = (_budget(text, list(by_cell.values())) for (_, _, text, _), by_cell in cells.items())
    return [budget for budget in found if budget]


def _budget(text: str, cells: Sequence[Sequence[Row]]) -> TuningBudget | None:
    """What the searches took; of a plugin whose learning rate was given, only that rate. None without a rate."""
    searches = [rows for rows in cells if _has(rows, "tuning_trials")]
    chosen = searches or [rows for rows in cells if _has(rows, "learning_rate")]
    if not chosen:
        return None
    rows = [row for own in chosen for row in own]
    sizes = [row.bytes_seen for row in rows if row.metric.startswith("trial_")]
    last, found = rows[-1], [row for row in rows if row.metric == "learning_rate" and row.value is not None]
    return TuningBudget(
        last.suite, last.label, last.corpus, last.seq_len, searches=len(chosen), text=text,
        trials=round(sum(row.value or 0 for row in rows if row.metric == "tuning_trials")),
        bytes=sum(size or 0 for size in sizes) if all(sizes) else None,
        seconds=_total([row.value for row in rows if row.metric == "tuning_seconds"]),
        rates=tuple(sorted({row.value or 0 for row in found})),
        windows=tuple(row.value for row in rows if row.metric == "lr_window_octaves" and row.value is not None),
        choices=tuple(sorted({choice for row in found if (choice := choice_in(row.reason))})),
        beyond=any(BEYOND in row.reason for row in found))


def unequal(budgets: Iterable[TuningBudget]) -> list[list[TuningBudget]]:
    """The budgets of every task at which plugins, or runs, were not tuned equally."""
    tasks = [list(found) for _, found in groupby(sorted(budgets, key=lambda b: b.task), key=lambda b: b.task)]
    return [found for found in tasks if not all(_alike(found[0], other) for other in found)]


def _alike(a: TuningBudget, b: TuningBudget) -> bool:
    """As many trials, of as many bytes: a batch of another seed has a few document starts more, which count none."""
    (trials, size), (others, theirs) = a.each, b.each
    return trials == others and abs(size - theirs) <= SIMILAR * max(size, theirs)


def _has(rows: Sequence[Row], metric: str) -> bool:
    return any(row.metric == metric for row in rows)


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
