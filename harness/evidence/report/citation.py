"""Rows as a report cites them: of several runs, numbered, each telling what sets it apart. (no torch)

A directory may hold measurements of one plugin under several budgets, sizes or editions of its source. What differs
between rows that would otherwise be taken for repetitions of each other becomes their `setting`, and they stay apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ...errors import FileError
from ...labels import ShortLabels
from ...quantities import format_count
from ...reading import Run, read_run
from ...registry import Registry
from ...store import Row
from ..contents import EDITION, Contents
from ..tables.pivot import CONTEXT, Pivot

IDENTITY = ("run", "suite", "label", "metric", "phase", "seq_len", "seed", *CONTEXT)
DIFFERENCES = ("preset", "params", "threads", *EDITION)
MOST_ROWS = 2_000                           # that a report shows
CITED_CONTEXT = (*CONTEXT, "setting", "run")


@dataclass
class CitedRow(Row):
    """A row with its number in the report, its run (where there are several), its setting and a short label.

    `shown`: it stands in the table of rows, so that it can be linked to.
    """

    number: int = 0
    run: str = ""
    setting: str = ""
    shown: bool = True
    short: str = ""

    @property
    def label(self) -> str:
        """What is read in its place where that is shorter."""
        return self.short or self.selector

    @property
    def selector(self) -> str:
        """How the plugin is written on the command line."""
        return super().label

    @property
    def anchor(self) -> str:
        return f"row-{self.number}"


def read_runs(directories: Sequence[Path], registry: Registry) -> list[Run]:
    """The runs of a report, under names that differ. Raises FileError where a directory holds no results."""
    runs = []
    for name, directory in zip(run_names(directories), directories, strict=True):
        run = read_run(directory, registry, name)
        if not run.manifest and not run.results:
            raise FileError(f"no results at {directory}; `harness run --out {directory}` makes them")
        runs.append(run)
    return runs


def labels_of(runs: Sequence[Run]) -> ShortLabels:
    """Of all that the runs have rows of."""
    return ShortLabels(row.label for run in runs for row in run.rows)


def cited_rows(runs: Sequence[Run], labels: ShortLabels | None = None) -> list[CitedRow]:
    """Every row of the runs, numbered in one sequence, each with its setting."""
    rows: list[CitedRow] = []
    labels = labels or labels_of(runs)
    for run in runs:
        name, following = run.name if len(runs) > 1 else "", len(rows) + 1
        own = [CitedRow(**_finite_fields(row), number=number, run=name, short=labels.of(row.label))
               for number, row in enumerate(run.rows, following)]
        fill_in_phases(own)
        give_settings(own, {result.id: result.cell for result in run.results})
        rows += own
    contents = Contents(rows)
    for row, name in zip(rows, list(map(contents.corpus, rows)), strict=True):
        row.corpus = name
        if row.setting and contents.edition(row):
            row.setting += " (older)"
    return rows


def _finite_fields(row: Row) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and not isfinite(value) else value
            for name, value in vars(row).items()}


def cited_pivot(rows: Iterable[Row], primary: Sequence[str], context: Sequence[str] = CITED_CONTEXT) -> Pivot:
    """The table of cited rows, whose labels are as short as they are to be: the same in every part of a report."""
    return Pivot(rows, primary, context, ShortLabels(()))


def choose_shown(rows: Sequence[CitedRow], cells: Collection[str] = ()) -> list[CitedRow]:
    """At most MOST_ROWS rows, the only ones to be shown: of these cells, the first of each kind, failed, any others."""
    kinds: set[tuple[Any, ...]] = set()
    ranks: list[tuple[int, CitedRow]] = []
    for row in rows:
        kind = (row.run, row.suite, row.label, row.setting, row.metric, row.phase, row.seq_len, row.n_qubits, row.depth)
        ranks.append((0 if row.cell_id in cells else 1 if kind not in kinds else 2 if row.status != "ok" else 3, row))
        kinds.add(kind)
    for _, row in sorted(ranks, key=lambda one: one[0])[MOST_ROWS:]:
        row.shown = False
    return [row for row in rows if row.shown]


def run_names(directories: Sequence[Path]) -> list[str]:
    """The names of folders where they differ, whole paths otherwise."""
    short = [directory.resolve().name for directory in directories]
    return short if len(set(short)) == len(short) else [str(directory) for directory in directories]


def fill_in_phases(rows: Sequence[CitedRow]) -> None:
    """A failure that tells no phase belongs to the one its metric has elsewhere."""
    phases: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        phases.setdefault((row.suite, row.metric), set()).add(row.phase)
    for row in rows:
        if row.status != "ok" and not row.phase and len(found := phases[row.suite, row.metric] - {""}) == 1:
            row.phase = next(iter(found))


def give_settings(rows: Iterable[CitedRow], cells: dict[str, dict[str, Any]]) -> None:
    """Give every row its setting: what its cell has of the fields in which rows of its suite collide."""
    groups: dict[tuple[Any, ...], list[CitedRow]] = {}
    for row in rows:
        if row.metric and row.cell_id in cells:
            role = cells[row.cell_id]["protocol"].get("role")
            groups.setdefault((role, *(getattr(row, name) for name in IDENTITY)), []).append(row)
    differing: dict[str, set[str]] = {}
    for group in groups.values():
        ids = dict.fromkeys(row.cell_id for row in group)
        if len(ids) > 1:
            facts = [_distinctions(cells[cell_id]) for cell_id in ids]
            every_name = {name for fact in facts for name in fact}
            differing.setdefault(group[0].suite, set()).update(
                name for name in every_name if len({str(fact.get(name)) for fact in facts}) > 1)
    settings: dict[tuple[str, str], str] = {}
    for row in rows:
        place = row.suite, row.cell_id
        if place not in settings:
            own = _distinctions(cells[row.cell_id]) if row.cell_id in cells else {}
            names = [name for name in sorted(differing.get(row.suite, ())) if own.get(name) not in (None, "", 0)]
            settings[place] = " ".join(f"{name}={_setting_text(name, own[name])}" for name in names)
        row.setting = settings[place]


def _distinctions(cell: dict[str, Any]) -> dict[str, Any]:
    """What may set a cell apart from another that measures the same thing."""
    protocol = {name: value for name, value in cell["protocol"].items() if name != "role"}
    if rung := protocol.get("rung"):                        # which tells size and budget; a budget needs another trunk
        return {name: cell.get(name) for name in ("preset", "threads", *EDITION)} | {"rung": rung}
    return {name: cell.get(name) for name in DIFFERENCES} | protocol


def _setting_text(name: str, value: Any) -> str:
    if name in ("params", "budget_bytes"):
        return format_count(value)
    return str(value)[:8] if name in ("code", "weights") else str(value)
