"""The figures of a suite, from whatever its rows hold: growth, limits, ratios, memory, heat maps. (no torch)

Metrics decide what is drawn, never the name of a suite, so that what others measure is drawn as well:

    several lengths (n_qubits, depth)    a line per plugin on logarithmic axes, with limits, noise and failures
    name@number                          an accuracy becomes a heat map, anything else a line over the number
    name:case                            dots on one axis, a row per case
    ..._bytes that add up                stacked bars
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...store import Row
from ..drawing.grids import Segment, bars, dots, heat_map
from ..drawing.lines import chart
from ..drawing.points import Label, Point, Series
from ..format import DEVIATION, format_value
from ..statistics.intervals import Estimate
from ..tables.formatter import Formatter
from ..tables.pivot import Column, Pivot, Place, RowKey
from .citation import CitedRow, cited_pivot
from .document import Figure

JOINT = " · "                               # between a plugin and what else a series is of
UNITS = {"s": "seconds", "B": "bytes", "": ""}
PARTS = {                                   # metric -> what it is of the memory
    "weights_bytes": "weights", "gradients_optimizer_bytes": "gradients + optimiser",
    "activations_bytes": "activations", "state_bytes": "state",
}
TRAINING, DECODING = (0, 1, 2), (0, 3)
NUMBERED = re.compile(r"[^@]+@\d+(\.\d+)?(e[+-]?\d+)?")
CIRCUIT_COLUMNS = {"n_qubits": "qubits", "depth": "layers"}
NUMBERS = {                                 # first word of a metric name@number -> what the number is
    "trial": "learning rate", "shot": "shots", "noisy": "noise, as a multiple of the model's",
}


@dataclass
class Styles:
    """Which colour a plugin has, wherever it stands in a report; what else a name tells changes dash and marker.

    `aliases`: labels that a suite made by options of its own -> the plugin that was asked for.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    variants: dict[int, dict[str, int]] = field(default_factory=dict)

    def of(self, name: str) -> int:
        """The number of the colour of a name, which begins with its plugin."""
        label = name.partition(JOINT)[0]
        return self.numbers.setdefault(self.aliases.get(label, label), len(self.numbers))

    def known(self, name: str) -> int | None:
        """As `of`, None for what is no plugin of the report."""
        label = name.partition(JOINT)[0]
        return self.numbers.get(self.aliases.get(label, label))

    def series(self, name: str, points: Sequence[Point], line: bool = True) -> Series:
        number = self.of(name)
        names = self.variants.setdefault(number, {})
        return Series(name, points, number, line, names.setdefault(name, len(names)))


def name_of(key: RowKey) -> str:
    """A table row in one line."""
    return JOINT.join(part for part in key if part)


def named_places(pivot: Pivot, column: Column) -> Iterator[tuple[str, Place]]:
    """What stands in a column under its name, each length apart where there are several."""
    found = [(key, length, place) for (key, length, c), place in pivot.places.items() if c == column]
    several = len({length for _, length, _ in found}) > 1
    yield from ((name_of((*key, f"{pivot.across}={length}" * several)), place) for key, length, place in found)


def cite(rows: Sequence[Row]) -> tuple[str | None, str]:
    """The link to the first of some rows, and where they all stand."""
    cited = [row for row in rows if isinstance(row, CitedRow)]
    if not cited:
        return None, ""
    numbers = ", ".join(str(row.number) for row in cited[:6]) + " …" * (len(cited) > 6)
    return f"#{cited[0].anchor}" if cited[0].shown else None, f"row {numbers} · cell {cited[0].cell_id}"


def exactly(estimate: Estimate, unit: str) -> str:
    """A value with its interval, all digits that matter."""
    interval = f" [{estimate.low:.6g}, {estimate.high:.6g}]" if None not in (estimate.low, estimate.high) else ""
    return f"{estimate.value:.6g}{interval}" + f" {unit}" * bool(unit)


def point_of(place: Place, x: float, at: str = "") -> Point:
    """What stands in a place, as a point: the value, or the word for its failure."""
    before = f"{at}: " if at else ""
    if place.estimate is None:
        rows = place.failed or place.rows
        word = rows[0].status if place.failed else "no number"
        href, where = cite(rows)
        return Point(x, None, title=f"{before}{word}: {rows[0].reason}\n{where}", href=href, word=word)
    row = place.measured[0]
    href, where = cite(place.measured)
    limit = row.limit if row.limit_kind else None
    title = f"{before}{exactly(place.estimate, row.unit)}"
    title += f"\n{row.limit_kind} limit {format_value(limit, row.unit)}" if limit is not None else ""
    return Point(x, place.estimate.value, place.estimate.low, place.estimate.high, limit, f"{title}\n{where}", href)


def direction(rows: Sequence[Row]) -> str:
    better = {row.better for row in rows} - {""}
    return f"{better.pop()} is better" if len(better) == 1 else ""


def axis_words(unit: str, rows: Sequence[Row]) -> str:
    shown = "ratio" if unit.startswith("x") else UNITS.get(unit, unit)
    return ", ".join(filter(None, [shown, direction(rows)]))


def swept_figures(pivot: Pivot, styles: Styles) -> Iterator[Figure]:
    """A metric against length: limits dotted, the noise of the A/A control shaded, failures in their lanes."""
    formatter = Formatter(pivot)
    for column in pivot.columns:
        if column not in pivot.swept or column[0] in PARTS or pivot.units.get(column) == {DEVIATION}:
            continue
        measured = [row for (_, _, c), place in pivot.places.items() if c == column for row in place.measured]
        derived = not any(row.started_at for row in measured)       # of several cells: no failure is its own
        series = []
        for key in pivot.keys:
            places = {length: pivot.at(key, length, column) for length in pivot.lengths}
            points = [point_of(place, length, f"T={length}") for length, place in places.items()
                      if place.measured or (place.rows and not derived)]
            if points:
                series.append(styles.series(name_of(key), points))
        if len({row.seq_len for row in measured}) > 1:
            yield growth_figure(formatter.heading(column), column, series, measured, "length in tokens")


def growth_figure(title: str, column: Column, series: list[Series], rows: list[Row], across: str) -> Figure:
    units = {row.unit for row in rows}
    unit = units.pop() if len(units) == 1 else ""
    ratio = unit.startswith("x")
    kinds = dict.fromkeys(row.limit_kind for row in rows if row.limit_kind)
    floors = {row.seq_len: row.limit for row in rows if ratio and row.limit and row.seq_len}
    noise = [(float(length), 1 / floor, floor) for length, floor in sorted(floors.items())]
    drawing = chart(
        series, title=title, x=Label(across), y=Label(axis_words(unit, rows), unit), noise=noise,
        levels=[(1.0, unit.removeprefix("x").strip())] if ratio else (),
        limit=" and ".join(kinds) + " limit" if kinds else "")
    return Figure("-".join(filter(None, column)), drawing)


def circuit_figures(rows: Sequence[Row], primary: Sequence[str], styles: Styles) -> Iterator[Figure]:
    """A metric of circuits against their qubits and their depth, where rows have such columns."""
    for attribute, across in CIRCUIT_COLUMNS.items():
        own = [row for row in rows if getattr(row, attribute, None) and row.metric in primary]
        for column in dict.fromkeys((row.metric, row.phase) for row in own):
            lines: dict[str, list[Point]] = {}
            chosen = [row for row in own if (row.metric, row.phase) == column]
            for value in sorted({float(getattr(row, attribute)) for row in chosen}):
                members = [row for row in chosen if getattr(row, attribute) == value]
                for name, place in named_places(cited_pivot(members, primary), column):
                    lines.setdefault(name, []).append(point_of(place, value, f"{value:g} {across}"))
            series = [styles.series(name, points) for name, points in lines.items()]
            measured = [row for row in chosen if row.status == "ok" and row.value is not None]
            if len({getattr(row, attribute) for row in measured}) > 1:
                title = f"{column[0].removesuffix('_s').replace('_', ' ')} {column[1]}".strip()
                figure = growth_figure(title, column, series, measured, across)
                yield Figure(f"{figure.name}-{attribute}", figure.drawing)


def memory_figures(rows: Sequence[Row], styles: Styles) -> Iterator[Figure]:
    """What training and decoding hold, a bar each, stacked from their parts; a figure for every length."""
    pivot = cited_pivot([row for row in rows if row.metric in PARTS and row.status == "ok"], tuple(PARTS))
    phases = dict(pivot.columns)
    if len(phases) < len(PARTS):
        return
    lengths = sorted({length for _, length, _ in pivot.places})
    groups = {length: list(_memory_bars(pivot, length, phases)) for length in lengths}
    longest = max(sum(part.value for part in parts) for bar in groups.values() for _, parts in bar)
    for length, found in groups.items():
        yield Figure(f"memory-{length}", bars(
            found, tuple(PARTS.values()), title=f"memory at T={length}", unit="B", longest=longest,
            styles=[styles.of(name.rpartition(", ")[0]) for name, _ in found]))


def _memory_bars(pivot: Pivot, length: int, phases: dict[str, str]) -> Iterator[tuple[str, list[Segment]]]:
    for key in pivot.keys:
        places = {kind: pivot.at(key, length, (metric, phases[metric])) for kind, metric in enumerate(PARTS)}
        for phase, kinds in (("train", TRAINING), ("decode", DECODING)):
            segments = []
            for kind in kinds:
                if (estimate := places[kind].estimate) is not None:
                    href, where = cite(places[kind].measured)
                    segments.append(Segment(kind, estimate.value, f"{exactly(estimate, 'B')}\n{where}", href))
            if len(segments) == len(kinds):
                yield f"{name_of(key)}, {phase}", segments


def numbered_figures(rows: Sequence[Row], styles: Styles) -> Iterator[Figure]:
    """Metrics `name@number`: accuracies as a heat map for every plugin and length, others as lines."""
    numbered = [row for row in rows if NUMBERED.fullmatch(row.metric)]
    shares = [row for row in numbered if "accuracy@" in row.metric]
    pivot = cited_pivot(shares, tuple(dict.fromkeys(row.metric for row in shares)))
    chances = dict.fromkeys(f"{row.metric.removesuffix('_chance')} {row.value:.2g}" for row in rows
                            if row.metric.endswith("_chance") and row.value is not None)
    by_chance = "By chance: " + ", ".join(chances) if chances else ""
    for key in pivot.keys:
        for length in sorted({length for k, length, _ in pivot.places if k == key}):
            cells = {}
            for column in pivot.columns:
                task, _, size = column[0].partition("@")
                if (place := pivot.at(key, length, column)).rows:
                    cells[task.removesuffix("_accuracy"), size] = point_of(place, 0.0)
            names = sorted({size for _, size in cells}, key=float)
            ordered = {(task, size): cells[task, size] for size in names for task in dict.fromkeys(t for t, _ in cells)
                       if (task, size) in cells}
            title = name_of(key) + (f", T={length}" if length else "")
            drawing = heat_map(ordered, title=title, across="load, or distance in tokens · share of right answers",
                               style=styles.of(key[0]))
            yield Figure(f"accuracy-{title}", drawing, by_chance)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in numbered:
        if "accuracy@" not in row.metric:
            groups.setdefault((row.metric.partition("@")[0], row.phase), []).append(row)
    for (name, _), own in groups.items():
        yield from _number_lines(name, own, styles)


def _number_lines(name: str, rows: Sequence[Row], styles: Styles) -> Iterator[Figure]:
    """A metric over the number in its name, a line per plugin."""
    pivot = cited_pivot(rows, tuple(dict.fromkeys(row.metric for row in rows)))
    lines: dict[str, list[Point]] = {}
    for column in pivot.columns:
        x = float(column[0].partition("@")[2])
        for label, place in named_places(pivot, column):
            lines.setdefault(label, []).append(point_of(place, x, f"{name}@{x:g}"))
    across = NUMBERS.get(name.partition("_")[0], "the number in the name of the metric")
    if len(pivot.columns) > 1 and any(point.y is not None for points in lines.values() for point in points):
        series = [styles.series(label, points) for label, points in lines.items()]
        y, kinds = Label(axis_words(rows[0].unit, rows), rows[0].unit), dict.fromkeys(r.limit_kind for r in rows)
        limit = " and ".join(filter(None, kinds))
        yield Figure(f"{name}-at", chart(
            series, title=name.replace("_", " "), x=Label(across), y=y, limit=limit and f"{limit} limit"))


def case_figures(pivot: Pivot, styles: Styles) -> Iterator[Figure]:
    """Metrics `name:case` in seconds: dots on one axis, those of a plugin together."""
    for column in pivot.columns:
        keys = [key for key in sorted(pivot.keys) if key[1] and pivot.at(key, None, column).rows]
        if pivot.units.get(column) == {"s"} and keys and column not in pivot.swept:
            places = [(name_of((key[1], key[0], *key[2:])), styles.of(key[0]),
                       point_of(pivot.at(key, None, column), 0.0)) for key in keys]
            yield Figure("-".join(filter(None, column)), dots(
                places, title=Formatter(pivot).heading(column), label=Label("seconds, lower is better", "s")))

