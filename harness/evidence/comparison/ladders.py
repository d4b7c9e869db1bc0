"""The ladders of two plugins side by side: equal amounts of what training takes, then laws and multipliers. (no torch)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...quantities import format_count
from ...reading import Run
from ..format import format_value
from ..laws.frontier import Reached, equal_amounts
from ..laws.pace import paced
from ..laws.point import RESOURCES, Point
from ..laws.rungs import rung_points
from ..laws.summary import amount_text, ladder_lines


def ladder_notes(a: Run, b: Run, plugins: tuple[str, str]) -> list[str]:
    """What the rungs of one plugin of A and one of B say together; [] where either has none."""
    points, names = _points(a, b, plugins)
    if {point.plugin for point in points} < set(names):
        return []
    points = paced(points, [*a.results, *b.results])
    return [*equal_lines(points, names), *ladder_lines(points, *names)]


def _points(a: Run, b: Run, plugins: tuple[str, str]) -> tuple[list[Point], tuple[str, str]]:
    """The points of both sides under two names, which differ."""
    found, names = list[Point](), list[str]()
    for side, run, plugin in zip("AB", (a, b), plugins, strict=True):
        own = rung_points(r for r in run.results if r.label == run.label_of(plugin, r.cell["suite"]))
        name = own[0].plugin if own else plugin
        name += f" ({side})" * (name in names)
        names.append(name)
        found += [replace(point, plugin=name) for point in own]
    return found, (names[0], names[1])


def equal_lines(points: Sequence[Point], plugins: Sequence[str]) -> Iterator[str]:
    """What every plugin reaches with equal amounts: a line for each amount of each resource on each corpus."""
    for corpus in dict.fromkeys(point.corpus for point in points):
        own = [point for point in points if point.corpus == corpus]
        for resource, what in RESOURCES.items():
            for reached in equal_amounts(own, plugins, resource):
                amount = amount_text(next(iter(reached.values())).amount, resource)
                how = " of steps timed side by side" * (resource == "seconds" and own[0].paced)
                yield f"equal {what}{how} on {corpus}, {amount}: " + ", ".join(
                    f"{plugin} {reached_text(reached.get(plugin))}" for plugin in plugins)


def reached_text(one: Reached | None) -> str:
    """Bits per byte with the interval over seeds, and the size that reached them."""
    if one is None:
        return "–"
    return f"{format_value(one.bits.value, '', one.bits.low, one.bits.high)} (N={format_count(one.params)})"
