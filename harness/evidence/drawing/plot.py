"""A plot in the terminal: points with a marker of their own per series, joined by lines of braille dots. (no torch)"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

from ..format import ASCII, format_value, supports_unicode
from .axis import Axis

MARKERS, ASCII_MARKERS = "●▲■◆★▼○△□◇☆▽", "o*+x#@%&=$~^"
MISSING, ASCII_MISSING = "✗", "!"
COLOURS = (36, 33, 35, 32, 34, 31)                             # ANSI: cyan, yellow, magenta, green, blue, red
BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))     # dot bits, [row][column] of a 2 x 4 cell

Point = tuple[float, float | None]


def plot(series: Mapping[str, Sequence[Point]], *, log: bool = True, width: int = 80, height: int = 20, title: str = "",
         x_label: str = "", y_label: str = "", y_unit: str = "", unicode: bool | None = None,
         colour: bool | None = None) -> str:
    """Draw series of (x, y) in `width` columns and `height` lines of canvas; y None marks an x that gave no value.

    Axes are logarithmic with `log` where all their values are positive. x is ticked at its own values if few.
    `unicode` and `colour` default to what standard output is. Raises ValueError where no point has a value.
    """
    points = [(x, y) for values in series.values() for x, y in values]
    found = [y for _, y in points if y is not None]
    if not found:
        raise ValueError("nothing to plot: no series has a value")
    x_axis = Axis([x for x, _ in points], log)
    y_axis = Axis(found, log, margin=0.04)
    labels = {value: format_value(value, y_unit) for value in y_axis.round_values(max(3, height // 4))}
    left = max(map(len, labels.values())) + 1
    canvas = _Canvas(max(20, width - left - 2), height, supports_unicode(unicode), _wants_colour(colour))
    for index, values in enumerate(series.values()):
        canvas.draw([(x_axis.place(x), None if y is None else y_axis.place(y)) for x, y in sorted(values)], index)
    ticks = {canvas.line(y_axis.place(value)): label for value, label in labels.items()}
    lines = [" " * max(0, min(left + 1, width - len(title))) + title] if title else []
    lines += [f"{'':{left}} {y_label}"] if y_label else []
    bar, tick = ("│", "┤") if canvas.unicode else ("|", "+")
    lines += [f"{ticks.get(i, ''):>{left}} {tick if i in ticks else bar}{text}"
              for i, text in enumerate(canvas.lines())]
    at = sorted({x for x, _ in points})
    at = at if len(at) <= 12 else x_axis.round_values(8)
    lines += [f"{'':{left}} {line}" for line in _x_ticks(x_axis, at, canvas)]
    lines += [f"{'':{left}} {x_label:^{canvas.columns}}"] if x_label else []
    legend = [(canvas.paint(canvas.markers[i % len(canvas.markers)], i), name) for i, name in enumerate(series)]
    legend += [(canvas.missing, "no value")] * (len(found) < len(points))
    lines += [f"{'':{left}}  {line}" for line in _legend_lines(legend, width - left - 2)]
    text = "\n".join(line.rstrip() for line in lines)
    return text if canvas.unicode else text.translate(ASCII)


def _legend_lines(legend: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Markers with their names, as many in a line as there is room for. A marker takes one column, painted or not."""
    lines, used = [""], 0
    for marker, name in legend:
        if used and used + len(name) + 5 > width:
            lines, used = [*lines, ""], 0
        lines[-1] += "   " * bool(used) + f"{marker} {name}"
        used += len(name) + 2 + 3 * bool(used)
    return lines


def _wants_colour(wanted: bool | None) -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") if wanted is None else wanted


class _Canvas:
    """Character cells of 2 x 4 dots; in ASCII a dot is a full stop."""

    def __init__(self, columns: int, rows: int, unicode: bool, colour: bool):
        self.columns, self.rows, self.unicode, self.colour = columns, rows, unicode, colour
        self.markers, self.missing = (MARKERS, MISSING) if unicode else (ASCII_MARKERS, ASCII_MISSING)
        self.dots: dict[tuple[int, int], tuple[int, int]] = {}              # (row, column) -> bits, series
        self.marks: dict[tuple[int, int], tuple[str, int]] = {}

    def line(self, y: float) -> int:
        """The row of a height 0..1, counted from the top."""
        return math.floor((1 - y) * (self.rows - 1) + 0.5)

    def column(self, x: float) -> int:
        return math.floor(x * (self.columns - 1) + 0.5)

    def draw(self, points: Sequence[tuple[float, float | None]], series: int) -> None:
        for (x0, y0), (x1, y1) in pairwise(points):
            if y0 is not None and y1 is not None:
                self._join(x0, y0, x1, y1, series)
        for x, y in points:
            mark = self.missing if y is None else self.markers[series % len(self.markers)]
            self.marks[(0 if y is None else self.line(y), self.column(x))] = mark, series

    def _join(self, x0: float, y0: float, x1: float, y1: float, series: int) -> None:
        steps = max(2 * self.columns, 4 * self.rows)
        for i in range(steps + 1):
            x, y = x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps
            across, down = math.floor(x * (self.columns - 1) * 2 + 1), math.floor((1 - y) * (self.rows - 1) * 4 + 2)
            cell = down // 4, across // 2
            bits = self.dots.get(cell, (0, 0))[0]
            self.dots[cell] = bits | BRAILLE[down % 4][across % 2], series

    def paint(self, text: str, series: int) -> str:
        return f"\x1b[{COLOURS[series % len(COLOURS)]}m{text}\x1b[0m" if self.colour else text

    def lines(self) -> list[str]:
        return ["".join(self._character(row, column) for column in range(self.columns)) for row in range(self.rows)]

    def _character(self, row: int, column: int) -> str:
        if mark := self.marks.get((row, column)):
            return self.paint(*mark)
        if dots := self.dots.get((row, column)):
            return self.paint(chr(0x2800 + dots[0]) if self.unicode else ".", dots[1])
        return " "


def _x_ticks(axis: Axis, values: Sequence[float], canvas: _Canvas) -> list[str]:
    """The axis line with ticks at the values, and their labels where there is room."""
    corner, dash, tick = ("└", "─", "┬") if canvas.unicode else ("+", "-", "+")
    line, labels, free = [dash] * canvas.columns, [" "] * (canvas.columns + 8), 0
    for value in values:
        column, text = canvas.column(axis.place(value)), f"{value:g}"
        start = max(0, min(column - len(text) // 2, canvas.columns - len(text)))
        if start >= free:
            labels[start:start + len(text)] = text
            line[column], free = tick, start + len(text) + 1
    return [corner + "".join(line), " " + "".join(labels)]
