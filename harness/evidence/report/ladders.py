"""The ladders of a report: frontiers, equal amounts, then every plugin's law beside the baseline's. (no torch)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from ...reading import Run
from ..comparison.ladders import reached_text
from ..drawing.lines import chart
from ..drawing.points import Label
from ..drawing.points import Point as Mark
from ..laws.frontier import Reached, equal_amounts, frontier
from ..laws.pace import paced
from ..laws.point import RESOURCES, Point
from ..laws.rungs import rung_points
from ..laws.summary import UNITS, amount_text, ladder_lines
from .document import Block, Figure, Paragraph, Section, Table, TableCell, TextSpan, plain
from .figures import Styles
from .tables import LAST
from .versus import Versus

FRONTIERS = RESOURCES | {"params": "parameters", "state_bytes": "state"}
INTRO = ("Rungs of several sizes and budgets together. A frontier leaves out what less of the same reaches; equal "
         "amounts lie inside what all were measured with; a law is told with intervals over runs, holds its largest "
         "rung out, and says nothing beyond ten times it.")


def ladder_section(runs: Sequence[Run], pairs: Sequence[Versus], styles: Styles,
                   short: Callable[[str], str] = str) -> Section | None:
    """None where no run has rungs. `short` gives the label that a plugin has in figures."""
    section = Section("ladders", "Ladders", INTRO)
    for run in runs:
        before = f"{run.name}, " * (len(runs) > 1)
        points = paced(rung_points(run.results), run.results)
        section.blocks += _frontiers([replace(point, plugin=short(point.plugin)) for point in points], before, styles)
        section.blocks += _equal_tables(points, before)
        for base, found in groupby((pair for pair in pairs if pair.run == run.name), lambda pair: pair.base):
            for other in (pair.plugin for pair in found):
                if {base, other} <= {point.plugin for point in points}:
                    section.blocks.append(Paragraph((TextSpan(f"{before}{other} beside {base}"), *(
                        TextSpan(line, line=True) for line in ladder_lines(points, base, other)))))
    return section if section.blocks else None


def _frontiers(points: Sequence[Point], before: str, styles: Styles) -> Iterator[Block]:
    """A plot for each resource on each corpus, a line per plugin, or a dot where it has one rung."""
    for corpus in dict.fromkeys(point.corpus for point in points):
        own = [point for point in points if point.corpus == corpus]
        for resource, what in FRONTIERS.items():
            series = []
            for plugin in dict.fromkeys(point.plugin for point in own):
                marks = [Mark(one.amount, one.bits.value, one.bits.low, one.bits.high,
                              title=f"{plugin}, {amount_text(one.amount, resource)}: {reached_text(one)}")
                         for one in frontier([point for point in own if point.plugin == plugin], resource)]
                if marks:
                    series.append(styles.series(plugin, marks, len(marks) > 1))
            if any(len(one.points) > 1 for one in series):
                name = f"{before}frontier of {what} on {corpus}"
                yield Figure(name, chart(series, title=f"bits per byte against {what}, {corpus}",
                                         x=Label(what, UNITS.get(resource, "")), y=Label("bits/byte", log=False)),
                             "The rungs that no rung of the same plugin beats with as little; a band is over seeds.")


def _equal_tables(points: Sequence[Point], before: str) -> Iterator[Block]:
    """A table for each resource on each corpus, a row per amount, a column per plugin."""
    plugins = list(dict.fromkeys(point.plugin for point in points))
    for corpus in dict.fromkeys(point.corpus for point in points):
        own = [point for point in points if point.corpus == corpus]
        for resource, what in RESOURCES.items():
            rows = []
            for reached in equal_amounts(own, plugins, resource):
                amount = next(iter(reached.values())).amount
                rows.append([plain(amount_text(amount, resource), order=amount),
                             *(_reached_cell(reached.get(plugin)) for plugin in plugins)])
            if rows:
                name = f"{before}bits/byte at equal {what} on {corpus}"
                notes = ["the best size at that amount; ± over seeds, between budgets by interpolation"]
                if resource == "seconds" and own[0].paced:
                    notes.append("seconds are those of steps timed side by side, in interleaved rounds")
                yield Table(name, [what, *plugins], rows, frozenset(range(len(plugins) + 1)), name, notes=notes)


def _reached_cell(one: Reached | None) -> TableCell:
    if one is None:
        return plain("–", "empty", order=LAST)
    return plain(reached_text(one), order=one.bits.value)
