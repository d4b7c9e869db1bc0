"""Tasks by name, metrics `accuracy:TASK` and `accuracy@SIZE:TASK`: a table and maps of tasks and plugins, accuracy
against state, and a line per plugin on what it cannot do. (no torch)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..drawing.grids import heat_map
from ..tables.formatter import Formatter
from ..tables.pivot import Pivot, RowKey, metric_name
from .citation import CitedRow
from .document import Block, Figure, Table, TableCell, TextSpan, plain
from .figures import Styles, cite, growth_figure, name_of, point_of
from .tables import cell_of

SHARE, STATE, SOLVED, REACH = "accuracy", "state_bytes", "solved", "effective_length"
BESIDE = ("setting", "run")
KINDS = {"cannot": "does not solve", "solves": "solves", "without": "no number", "above": "above what theory allows"}


def task_blocks(rows: Sequence[CitedRow], styles: Styles) -> Iterator[Block]:
    """Of a suite whose accuracies are of tasks by name, from all its rows; of another nothing."""
    own = [row for row in rows if ":" in row.metric]
    shares = [row for row in own if metric_name(row) == SHARE]
    if not any(row.value is not None for row in shares):
        return
    yield _map(shares)
    yield from _length_maps([row for row in own if metric_name(row).startswith(f"{SHARE}@")], styles)
    yield from _state_figures(own, styles)
    yield _crossed(shares)
    if reached := [row for row in own if metric_name(row) == REACH]:
        yield _crossed(reached)
    if any(metric_name(row) == SOLVED for row in own):
        yield _limits_table(own)


def _pivot(rows: Sequence[CitedRow], metric: str) -> Pivot:
    return Pivot(rows, (metric,), BESIDE)


def _system(key: RowKey) -> str:
    """A plugin with what sets it apart, without the task."""
    return name_of((key[0], *key[2:]))


def _map(shares: Sequence[CitedRow]) -> Figure:
    pivot = _pivot(shares, SHARE)
    cells = {(key[1], _system(key)): point_of(pivot.at(key, None, column), 0.0)
             for column in pivot.columns for key in pivot.keys}
    systems = list(dict.fromkeys(system for _, system in cells))
    ordered = {(task, system): cells[task, system] for system in systems for task in dict.fromkeys(t for t, _ in cells)
               if (task, system) in cells}
    return Figure("accuracy-tasks", heat_map(
        ordered, title="accuracy of every task", across="share of right answers", intervals=True))


def _length_maps(rows: Sequence[CitedRow], styles: Styles) -> Iterator[Figure]:
    """A map per plugin: tasks down, the number after the @ across."""
    pivot = Pivot(rows, tuple(dict.fromkeys(metric_name(row) for row in rows)), BESIDE)
    for system in dict.fromkeys(_system(key) for key in pivot.keys):
        cells = {}
        for column in sorted(pivot.columns, key=lambda column: _number(column[0].partition("@")[2])):
            for key in pivot.keys:
                if _system(key) == system and (place := pivot.at(key, None, column)).rows:
                    cells[key[1], column[0].partition("@")[2]] = point_of(place, 0.0)
        if cells:
            drawing = heat_map(cells, title=system, across="length in tokens · share of right answers",
                               style=styles.of(system))
            yield Figure(f"accuracy-lengths-{system}", drawing)


def _number(text: str) -> tuple[int, ...]:
    """64x16 as (64, 16)."""
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("x"))


def _state_figures(rows: Sequence[CitedRow], styles: Styles) -> Iterator[Figure]:
    """Accuracy against the bytes of the state, a figure for tasks of one family, FAMILY:LOAD, and a dot for each."""
    families: dict[str, list[CitedRow]] = {}
    for row in rows:
        _, _, task = row.metric.partition(":")
        if ":" in task and row.state_bytes and metric_name(row) == SHARE and row.value is not None:
            families.setdefault(task.partition(":")[0], []).append(row)
    for family, own in families.items():
        pivot, series = _pivot(own, SHARE), []
        for system in dict.fromkeys(_system(key) for key in pivot.keys):
            places = [pivot.at(key, None, column) for key in pivot.keys if _system(key) == system
                      for column in pivot.columns]
            points = [point_of(place, float(place.rows[0].state_bytes or 0), place.rows[0].metric) for place in places]
            series.append(styles.series(system, sorted(points, key=lambda point: point.x), line=False))
        title = f"{family}: accuracy against the state of a sequence"
        yield growth_figure(title, (SHARE, f"{family}-state"), series, list(own), "bytes of state")


def _crossed(rows: Sequence[CitedRow]) -> Table:
    """Tasks down, plugins across: one metric with its intervals."""
    metric = metric_name(rows[0])
    pivot = _pivot(rows, metric)
    formatter, (column, *_) = Formatter(pivot), pivot.columns
    best, systems = pivot.best(None, column), list(dict.fromkeys(_system(key) for key in pivot.keys))
    lines = []
    for task in dict.fromkeys(key[1] for key in pivot.keys):
        found: dict[str, TableCell] = {}
        for key in pivot.keys:
            if key[1] == task and (place := pivot.at(key, None, column)).rows:
                found[_system(key)] = cell_of(formatter.parts(place, key in best), place)
        lines.append([plain(task), *(found.get(system, plain("–", "empty")) for system in systems)])
    return Table(f"{metric.replace('_', ' ')} by task", ["task", *systems], lines,
                 frozenset(range(1, 1 + len(systems))), notes=formatter.below())


def _limits_table(rows: Sequence[CitedRow]) -> Table:
    """A line per plugin: what it solves, what it does not, what no text tells, and what is above theory."""
    systems: dict[str, dict[str, list[CitedRow]]] = {}
    for row in rows:
        found = systems.setdefault(name_of((row.label, row.setting, row.run)), {})
        if metric_name(row) == SOLVED and row.value is not None:
            found.setdefault("solves" if row.value else "cannot", []).append(row)
        elif row.limit_kind == "theory" and row.value is not None and (row.ci_low or 0.0) > (row.limit or 1.0):
            found.setdefault("above", []).append(row)
        elif row.status != "ok" and metric_name(row) == SHARE:
            found.setdefault("without", []).append(row)
    kinds = {kind: words for kind, words in KINDS.items() if any(kind in found for found in systems.values())}
    lines = [[plain(system), *(_named(found.get(kind, ())) for kind in kinds)] for system, found in systems.items()]
    silent = dict.fromkeys(f"{row.metric.partition(':')[2]}: {row.reason}" for row in rows
                           if metric_name(row) == SOLVED and row.reason)
    return Table("what each cannot do", ["plugin", *kinds.values()], lines, notes=list(silent))


def _named(rows: Sequence[CitedRow]) -> TableCell:
    """The tasks of some rows, each a link to its row."""
    named = {row.metric.partition(":")[2]: row for row in rows}
    spans = [TextSpan(("" if not number else ", ") + task, "", *cite([row]))
             for number, (task, row) in enumerate(named.items())]
    return TableCell(tuple(spans) or (TextSpan("–", "empty"),))
