"""What quality costs: bits per byte against parameters, bytes seen, floating-point operations and time. (no torch)

Rungs of a ladder are points here: the lines through the best of them are frontiers, in the section of the ladders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import log2
from statistics import fmean

from ...rungs import rung_extent
from ..drawing.grids import dots
from ..drawing.lines import chart
from ..drawing.points import Label, Point
from ..format import format_value
from ..tables.pivot import Pivot
from .citation import CitedRow, cited_pivot
from .document import Figure
from .figures import Styles, axis_words, cite, name_of, named_places, point_of, swept_figures

SCORE, CURVE, IN_WINDOW = "bits_per_byte", "learning_curve", "bits_per_byte_in_window"
SPREAD = 1.25                               # costs that differ by less are one cost: there is nothing to plot against

Cost = Callable[[CitedRow], float | None]


class Costs:
    """What training had taken when a row was measured, from the rows beside it."""

    def __init__(self, rows: Sequence[CitedRow]):
        self.rows = {(row.run, row.cell_id, row.metric): row for row in rows if row.status == "ok"}
        self.axes: tuple[tuple[str, Label, Cost], ...] = (
            ("parameters", Label("parameters outside the vocabulary tables"), lambda row: row.params),
            ("bytes", Label("bytes of text seen", "B"), lambda row: row.bytes_seen),
            ("FLOPs", Label("floating-point operations of training", "FLOP"), self.flops),
            ("time", Label("seconds of training", "s"), self.seconds),
            ("energy", Label("energy of training", "J"), lambda row: self.beside(row, "train_energy_j")),
            ("state", Label("bytes of state of a sequence", "B"),
             lambda row: self.beside(row, "state_bytes_per_sequence")),
        )

    def beside(self, row: CitedRow, metric: str) -> float | None:
        found = self.rows.get((row.run, row.cell_id, metric))
        return found.value if found else None

    def flops(self, row: CitedRow) -> float | None:
        whole = self.rows.get((row.run, row.cell_id, "train_flops"))
        if whole is None or not (whole.value and whole.bytes_seen and row.bytes_seen):
            return None
        return whole.value * row.bytes_seen / whole.bytes_seen

    def seconds(self, row: CitedRow) -> float | None:
        """As measured, else bytes over the rate of training; how many bytes a token stands for shows in the two
        perplexities."""
        if measured := self.beside(row, "train_seconds"):
            return measured
        rate, token = self.beside(row, "train_tokens_per_s"), self.beside(row, "perplexity_per_token")
        byte = self.beside(row, "perplexity_per_byte")
        if not (rate and row.bytes_seen and token and byte and token > 1 < byte):
            return None
        return row.bytes_seen * log2(byte) / log2(token) / rate


def quality_figures(rows: Sequence[CitedRow], styles: Styles) -> Iterator[Figure]:
    """The score beside every cost that differs, in windows of other lengths, and the curves that led to it."""
    costs = Costs(rows)
    yield from score_figures([row for row in rows if row.metric == SCORE], costs, styles)
    yield from swept_figures(cited_pivot(largest_rungs(rows, IN_WINDOW), (IN_WINDOW,)), styles)
    yield from curve_figures(rows, costs, styles)


def largest_rungs(rows: Sequence[CitedRow], metric: str) -> list[CitedRow]:
    """The rows of a metric; of each plugin's ladder on a corpus only those of the largest rung."""
    own = [row for row in rows if row.metric == metric]
    largest: dict[tuple[str, str, str], int] = {}
    for row in own:
        place = (row.run, row.label, row.corpus)
        largest[place] = max(rung_extent(row.rung), largest.get(place, 0))
    return [row for row in own if rung_extent(row.rung) == largest[row.run, row.label, row.corpus]]


def entropy(rows: Sequence[CitedRow]) -> list[tuple[float, str]]:
    """The floors of known sources among rows, as levels of a plot."""
    floors = dict.fromkeys(row.limit for row in rows if row.limit is not None and row.limit_kind == "entropy")
    return [(floor, f"entropy {format_value(floor)}") for floor in floors]


def score_figures(rows: Sequence[CitedRow], costs: Costs, styles: Styles) -> Iterator[Figure]:
    """Scores against costs; where all models cost the same, the scores alone side by side."""
    pivot, lines = cited_pivot(rows, (SCORE,)), not any(row.rung for row in rows)
    places = {(key, length): place for (key, length, column), place in pivot.places.items() if column[0] == SCORE}
    lone = [(name, styles.of(name), point_of(place, 0.0)) for column in pivot.columns if column[0] == SCORE
            for name, place in named_places(pivot, column)]
    if any(point.y is not None for _, _, point in lone):
        yield Figure("scores", dots(lone, title="bits per byte of held-out text",
                                    label=Label(axis_words("bits/byte", rows), log=False)))
    for name, across, cost in costs.axes:
        series: dict[str, list[Point]] = {}
        for (key, length), place in places.items():
            found = [cost(row) for row in place.measured if isinstance(row, CitedRow)]
            known = [value for value in found if value]
            if known and len(known) == len(found):
                series.setdefault(_without_setting(pivot, key), []).append(
                    point_of(place, fmean(known), f"{format_value(fmean(known), across.unit)}, T={length}"))
        at = [point.x for points in series.values() for point in points]
        if len(at) > 1 and max(at) > SPREAD * min(at):
            yield Figure(f"scores-{name}", chart(
                [styles.series(label, points, lines and len(points) > 1) for label, points in series.items()],
                title=f"bits per byte against {name}", x=across,
                y=Label(axis_words("bits/byte", rows), log=False), levels=entropy(rows)))


def _without_setting(pivot: Pivot, key: tuple[str, ...]) -> str:
    """The name of a table row, sizes and budgets left out: these are what it is plotted against."""
    context = zip(pivot.varying, key[2:], strict=False)
    return name_of((*key[:2], *(value for name, value in context if name not in ("setting", "rung"))))


def curve_figures(rows: Sequence[CitedRow], costs: Costs, styles: Styles) -> Iterator[Figure]:
    """Learning curves over bytes, operations and time: means over seeds, their range as a band."""
    failed = {(row.run, row.cell_id) for row in rows if row.status == "audit_failed"}
    own = [row for row in rows if row.metric == CURVE and row.value is not None and row.bytes_seen]
    pivot = cited_pivot(own, (CURVE,))
    for name, across, cost in costs.axes[1:]:
        series, leaky = [], []
        for key in pivot.keys:
            places = [place for (k, _, _), place in pivot.places.items() if k == key]
            members = [row for place in places for row in place.measured if isinstance(row, CitedRow)]
            points = list(_mean_curve(members, cost, across.unit))
            if any((row.run, row.cell_id) in failed for row in members):
                leaky.append(name_of(key))
            elif len(points) > 1:
                series.append(styles.series(name_of(key), points))
        caption = "Means over seeds; a band is their range." + "".join(
            f" {name} failed its audit and has no curve." for name in leaky)
        if series:
            yield Figure(f"curves-{name}", chart(
                series, title=f"learning curves over {name}", x=across, levels=entropy(rows),
                y=Label("bits/byte of some held-out text, lower is better", log=False)), caption)


def _mean_curve(rows: Sequence[CitedRow], cost: Cost, unit: str) -> Iterator[Point]:
    """The curves of several cells as one, step by step; every cell is validated at the same shares of its budget."""
    cells: dict[tuple[str, str], list[CitedRow]] = {}
    for row in sorted(rows, key=lambda row: row.bytes_seen or 0):
        cells.setdefault((row.run, row.cell_id), []).append(row)
    for step in zip(*cells.values(), strict=False):
        at = [value for value in map(cost, step) if value]
        values = [row.value for row in step if row.value is not None]
        if len(at) == len(step) == len(values):
            href, where = cite(step)
            title = f"{format_value(fmean(at), unit)}: {fmean(values):.6g} bits/byte\n{where}"
            low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
            yield Point(fmean(at), fmean(values), low, high, title=title, href=href)
