"""Plots of series over a number: axes that fit, intervals, limits drawn in, failures where they happened. (no torch)

A value that is missing is never left out: its mark stands in a lane above the plot, at its place on the x axis, with
the reason. A limit is a dotted line in the colour of its series; an interval is a band, or a bar at a lone point.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element

from ..format import format_value
from .axis import Axis
from .canvas import DASHES, FAILED, MARKERS, SERIES_STYLES, Drawing, canvas, link, shorten, text, text_width
from .markup import add

WIDTH, PLOT_HEIGHT = 520, 220
EDGE, TITLE, LANE, BELOW, LEGEND_LINE = 14, 46, 16, 46, 19
MANY_TICKS = 12
MANY_SERIES, SHOWN = 10, 6                  # from how many series on a reader chooses, and how many are shown at first
NOISE = "noise: not ranked"
LEVEL, LIMIT, UNDRAWN = "5 4", "1.5 3", "0 99"      # the dashes of lines that are no series


@dataclass(frozen=True)
class Point:
    """A value with its interval and limit, or y None and a word for why there is none; `title` is read on hovering."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    title: str = ""
    href: str | None = None
    word: str = ""


@dataclass(frozen=True)
class Series:
    """Points under one name, in the colour of its `style`; by dash and marker `variant` tells apart what shares one."""

    name: str
    points: Sequence[Point]
    style: int = 0
    line: bool = True
    variant: int = 0

    @property
    def colour(self) -> str:
        return f"s{self.style % SERIES_STYLES}"

    @property
    def dash(self) -> str | None:
        return DASHES[(self.style + self.style // SERIES_STYLES + self.variant) % len(DASHES)] or None

    @property
    def marker(self) -> str:
        return MARKERS[(self.style + self.style // SERIES_STYLES + self.variant) % len(MARKERS)]


@dataclass(frozen=True)
class Label:
    """What an axis is called, the unit of its values, and whether it is logarithmic where they allow it."""

    words: str
    unit: str = ""
    log: bool = True


def chart(series: Sequence[Series], *, title: str, x: Label, y: Label, levels: Sequence[tuple[float, str]] = (),
          noise: Sequence[tuple[float, float, float]] = (), limit: str = "", width: float = WIDTH) -> Drawing:
    """Draw series. `levels` are horizontal lines with their words, `noise` an area (x, low, high) of no significance,
    `limit` the words for the limits of the points. Of many series the first few are shown, the others lie in the
    drawing for a page to show. Raises ValueError where no point has a value."""
    points = [point for one in series for point in one.points]
    found = [point for point in points if point.y is not None]
    if not found:
        raise ValueError("nothing to plot: no series has a value")
    values = [v for p in found for v in (p.y, p.limit) if v is not None] + [value for value, _ in levels]
    bounds = [v for p in found for v in (p.low, p.high) if v is not None] + [v for _, *ends in noise for v in ends]
    if y.log and min(values) > 0:
        bounds = [bound for bound in bounds if bound > 0]
    frame = _Frame(Axis([p.x for p in points], x.log, 0.03), Axis([*values, *bounds], y.log, 0.06), series, y.unit,
                   width)
    shown = series[:SHOWN] if len(series) > MANY_SERIES else series
    hidden = len(series) - len(shown)
    legend = list(_wrap(_legend_entries(shown, hidden, levels, limit, bool(noise)), width - 2 * EDGE))
    root = canvas(width, frame.bottom + BELOW + LEGEND_LINE * len(legend), title)
    text(root, shorten(title, 0.9 * width), EDGE, 20, font_weight="bold", font_size=13)
    frame.draw_noise(root, noise)
    frame.draw_axes(root, x, y, sorted({point.x for point in points}))
    for value, _ in levels:
        frame.draw_level(root, value)
    for number, one in enumerate(series):
        frame.draw(root, one, number, number < len(shown))
    for number, entries in enumerate(legend):
        for entry, at in entries:
            group = _draw_legend(root, entry, at, frame.bottom + BELOW + 8 + LEGEND_LINE * number)
            if hidden and entry[1] not in (LEVEL, LIMIT, ""):
                group.set("class", "legend listed")                 # a page where one chooses has a list of its own
    return Drawing(root, [(one.name, one.colour, one.marker, number < len(shown)) for number, one in enumerate(series)]
                   if hidden else ())


def tick(value: float, unit: str) -> str:
    """A round value: no zeros at the end of its decimals."""
    return re.sub(r"\.?0+(?=\D*$)", "", words) if "." in (words := format_value(value, unit)) else words


class _Frame:
    """The rectangle that values are drawn in, and above it a lane for each series that has failures."""

    def __init__(self, across: Axis, up: Axis, series: Sequence[Series], unit: str, width: float):
        self.across, self.up = across, up
        self.lanes = [one for one in series if any(point.y is None for point in one.points)]
        self.ticks = [(value, tick(value, unit)) for value in up.round_values(5)]
        self.left = EDGE + 8 + max((text_width(words) for _, words in self.ticks), default=0)
        self.right = width - EDGE - 10
        self.top = TITLE + LANE * min(len(self.lanes), MANY_SERIES) + 4 * bool(self.lanes)
        self.bottom = self.top + PLOT_HEIGHT

    def x(self, value: float) -> float:
        return self.left + self.across.place(value) * (self.right - self.left)

    def y(self, value: float) -> float:
        """The height of a value; what lies outside of the frame is held at its edge."""
        if self.up.log and value <= 0:
            return self.bottom
        return self.bottom - min(max(self.up.place(value), 0.0), 1.0) * PLOT_HEIGHT

    def draw_axes(self, root: Element, x: Label, y: Label, at: Sequence[float]) -> None:
        text(root, y.words + " · log" * self.up.log, EDGE, TITLE - 9, class_="muted", font_size=11)
        for value, words in self.ticks:
            add(root, "line", x1=self.left, x2=self.right, y1=self.y(value), y2=self.y(value), class_="grid",
                stroke="currentColor")
            text(root, words, self.left - 6, self.y(value) + 4, text_anchor="end", class_="muted", font_size=11)
        add(root, "path", d=f"M{self.left:.1f} {self.top:.1f}V{self.bottom:.1f}H{self.right:.1f}", fill="none",
            class_="muted", stroke="currentColor")
        few = not x.unit and len(at) <= MANY_TICKS
        free = 0.0
        for value in at if few else self.across.round_values(6):
            words = f"{value:.7g}" if few else tick(value, x.unit)
            half, place = text_width(words) / 2, self.x(value)
            add(root, "line", x1=place, x2=place, y1=self.bottom, y2=self.bottom + 4, class_="muted",
                stroke="currentColor")
            if place - half > free:
                text(root, words, place, self.bottom + 17, text_anchor="middle", class_="muted", font_size=11)
                free = place + half + 2
        text(root, x.words + " · log" * self.across.log, (self.left + self.right) / 2, self.bottom + 34,
             text_anchor="middle", class_="muted", font_size=11)

    def draw_noise(self, root: Element, noise: Sequence[tuple[float, float, float]]) -> None:
        if noise:
            outline = [(x, high) for x, _, high in noise] + [(x, low) for x, low, _ in reversed(noise)]
            add(root, "path", d=self.path(outline) + "Z", class_="noise muted", fill="currentColor", fill_opacity=0.18)

    def draw_level(self, root: Element, value: float) -> None:
        add(root, "line", x1=self.left, x2=self.right, y1=self.y(value), y2=self.y(value), class_="level",
            stroke="currentColor", stroke_dasharray=LEVEL)

    def draw(self, root: Element, series: Series, number: int, shown: bool) -> None:
        group = add(root, "g", class_=f"series {series.colour}", data_series=number, display=None if shown else "none")
        points = sorted(series.points, key=lambda point: point.x)
        for measured, run in groupby(points, key=lambda point: point.y is not None):
            if measured:
                self.draw_run(group, series, list(run))
        lane = self.lanes.index(series) % MANY_SERIES if series in self.lanes else 0
        for point in points:
            self.draw_point(group, series, point, TITLE + LANE * lane + 6)

    def draw_run(self, group: Element, series: Series, points: list[Point]) -> None:
        """What joins neighbouring points: the band of their intervals, their limits, the line."""
        ends = [(p.x, p.low, p.high) for p in points if p.low is not None and p.high is not None]
        if series.line and len(points) > 1 and len(ends) == len(points):
            outline = [(x, high) for x, _, high in ends] + [(x, low) for x, low, _ in reversed(ends)]
            add(group, "path", d=self.path(outline) + "Z", class_="band", fill="currentColor", fill_opacity=0.16)
        else:
            for x, low, high in ends:
                add(group, "path", d=f"M{self.x(x):.1f} {self.y(low):.1f}V{self.y(high):.1f}", class_="bar",
                    stroke="currentColor", stroke_width=1.5)
        limits = [(p.x, p.limit) for p in points if p.limit is not None]
        if len(limits) > 1:
            add(group, "path", d=self.path(limits), class_="limit", fill="none", stroke="currentColor",
                stroke_width=1.5, stroke_dasharray=LIMIT)
        for x, limit in limits:
            add(group, "path", d=f"M{self.x(x) - 4:.1f} {self.y(limit):.1f}h8", class_="limit", stroke="currentColor",
                stroke_width=1.5)
        if series.line and len(points) > 1:
            add(group, "path", d=self.path([(p.x, p.y) for p in points if p.y is not None]), class_="line", fill="none",
                stroke="currentColor", stroke_width=2, stroke_dasharray=series.dash)

    def draw_point(self, group: Element, series: Series, point: Point, lane: float) -> None:
        height = lane if point.y is None else self.y(point.y)
        mark = add(link(group, point.href), "g", class_="point" if point.y is not None else "point failed",
                   transform=f"translate({self.x(point.x):.1f} {height:.1f})")
        add(mark, "title", f"{series.name}\n{point.title}" if point.title else series.name)
        add(mark, "circle", r=8, fill="none", class_="hit", pointer_events="all")
        if point.y is not None:
            add(mark, "path", d=series.marker, fill="currentColor")
            return
        add(mark, "path", d=FAILED, fill="none", stroke="currentColor", stroke_width=2)
        left = self.x(point.x) + 8 + text_width(point.word) > self.right
        text(mark, point.word, -8 if left else 8, 4, font_size=10, text_anchor="end" if left else "start")

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)


Entry = tuple[str, Series | str]            # words, and whose sample: that of a series, or the dash of a line


def _legend_entries(series: Sequence[Series], hidden: int, levels: Sequence[tuple[float, str]], limit: str, noise: bool,
                    ) -> Iterator[Entry]:
    yield from ((one.name, one) for one in series)
    if hidden:
        yield f"and {hidden} more, not shown", UNDRAWN
    yield from ((words, LEVEL) for _, words in levels)
    if limit:
        yield limit, LIMIT
    if noise:
        yield NOISE, ""


def _wrap(entries: Iterator[Entry], width: float) -> Iterator[list[tuple[Entry, float]]]:
    """Lines of entries with their places; a name as wide as the line is cut."""
    line: list[tuple[Entry, float]] = []
    at = 0.0
    for name, owner in entries:
        name = shorten(name, width - 34)
        if line and at + 34 + text_width(name) > width:
            yield line
            line, at = [], 0.0
        line.append(((name, owner), at))
        at += 50 + text_width(name)
    if line:
        yield line


def _draw_legend(root: Element, entry: Entry, at: float, y: float) -> Element:
    words, owner = entry
    group = add(root, "g", class_="legend", transform=f"translate({EDGE + at:.1f} {y:.1f})")
    if isinstance(owner, str):
        if owner:
            add(group, "line", x1=0, x2=26, y1=0, y2=0, stroke="currentColor", stroke_width=1.5, stroke_dasharray=owner)
        else:
            add(group, "rect", x=0, y=-6, width=26, height=12, class_="muted", fill="currentColor", fill_opacity=0.18)
    else:
        sample = add(group, "g", class_=owner.colour)
        if owner.line:
            add(sample, "line", x1=0, x2=26, y1=0, y2=0, stroke="currentColor", stroke_width=2,
                stroke_dasharray=owner.dash)
        add(sample, "path", d=owner.marker, fill="currentColor", transform="translate(13 0)")
    text(group, words, 32, 4)
    return group

