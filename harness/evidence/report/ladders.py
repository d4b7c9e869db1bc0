"""The ladders of a report: what equal amounts reach, then every plugin's law beside the baseline's. (no torch)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ...reading import Run
from ..comparison.ladders import reached_text
from ..laws.frontier import Reached, equal_amounts
from ..laws.pace import paced
from ..laws.point import RESOURCES, Point
from ..laws.rungs import rung_points
from ..laws.summary import amount_text, ladder_lines
from .document import Block, Paragraph, Section, Table, TableCell, TextSpan, plain
from .tables import LAST
from .versus import Versus

INTRO = ("Rungs of several sizes and budgets together. Equal amounts lie inside what all were measured with; a law is "
         "told with intervals over runs, holds its largest rung out, and says nothing beyond ten times it.")


def ladder_section(runs: Sequence[Run], pairs: Sequence[Versus]) -> Section | None:
    """None where no run has rungs."""
    section = Section("ladders", "Ladders", INTRO)
    for run in runs:
        before = f"{run.name}, " * (len(runs) > 1)
        points = paced(rung_points(run.results), run.results)
        section.blocks += _equal_tables(points, before)
        for base, found in groupby((pair for pair in pairs if pair.run == run.name), lambda pair: pair.base):
            for other in (pair.plugin for pair in found):
                if {base, other} <= {point.plugin for point in points}:
                    section.blocks.append(Paragraph((TextSpan(f"{before}{other} beside {base}"), *(
                        TextSpan(line, line=True) for line in ladder_lines(points, base, other)))))
    return section if section.blocks else None


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
