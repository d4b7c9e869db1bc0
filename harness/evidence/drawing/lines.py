"""Plots of series over a number: intervals, limits drawn in, failures where they happened. (no torch)

A value that is missing is never left out: its mark stands in a lane above the plot, at its place on the x axis, with
the reason. A limit is a dotted line in the colour of its series; an interval is a band, or a bar at a lone point.
Hovering tells a point, a click on the legend sets its series apart; one drags, and zooms with a modifier and the wheel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from .drawing import WIDTH, Choice, Drawing
from .markup import clean
from .palette import INK, MUTED, SERIES
from .points import FAILED, TOOLTIP, Label, Point, Series, axis_of, held, scale_of

PLOT_HEIGHT, LANE, MOST_LANES = 220, 15, 6
MANY_TICKS = 12
MANY_SERIES, SHOWN = 10, 6                  # from how many series on a reader chooses, and how many are shown at first
LEVEL, LIMIT = [5, 4], [1.5, 3]             # the dashes of lines that are no series
FAINT, BAND = 0.15, 0.12
CHARACTER = 6                               # pixels of one in a legend, about
ZOOM = {"name": "zoom", "bind": "scales", "select": {
    "type": "interval", "zoom": "wheel![event.altKey || event.ctrlKey]",     # the wheel alone scrolls the page
    "translate": "[pointerdown[event.pointerType !== 'touch'], window:pointerup] > window:pointermove!"}}

Spec = dict[str, Any]


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
    floor = min(values) if y.log and min(values) > 0 else None
    lanes = [one.name for one in series if any(point.y is None for point in one.points)]
    top = LANE * min(len(lanes), MOST_LANES)
    up = scale_of(y, values, range=[PLOT_HEIGHT + top, top])
    many = len(series) > MANY_SERIES
    layers = _Layers(series, x, y, up, [point.x for point in points], many)
    told = {y.words + " · log" * (up["type"] == "log"): True, f"dotted: {limit}": bool(limit),
            "grey: noise, not ranked": bool(noise), f"{SHOWN} of {len(series)} series": many}
    spec: Spec = {
        "description": title, "title": {
            "text": title, "subtitle": ", ".join(words for words, shown in told.items() if words and shown)},
        "usermeta": {"legendEntry": CHARACTER * (max(len(one.name) for one in series) + 6)},
        "height": PLOT_HEIGHT + top, "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(_records(series, floor, lanes))},
        "layer": [*layers.noise(noise), *layers.levels(levels), *layers.all()],
    }
    if many:
        shown = [one.name for one in series[:SHOWN]]
        spec |= {"params": [{"name": "shown", "value": shown}],
                 "transform": [{"filter": "indexof(shown, datum.series) >= 0"}]}
    choice = [Choice(clean(one.name), one.style % len(SERIES), number < SHOWN) for number, one in enumerate(series)]
    return Drawing(spec, width, choice if many else ())


def _records(series: Sequence[Series], floor: float | None, lanes: Sequence[str]) -> Iterator[Spec]:
    """A record for every point. `run` tells apart the pieces of a line that failures break."""
    for number, one in enumerate(series):
        ordered = sorted(one.points, key=lambda point: point.x)
        for piece, (measured, group) in enumerate(groupby(ordered, key=lambda point: point.y is not None)):
            run = list(group)
            banded = one.line and len(run) > 1 and all(p.low is not None and p.high is not None for p in run)
            for point in run:
                record = {"series": one.name, "x": held(point.x), "title": f"{one.name}\n{point.title}".strip(),
                          "href": point.href}
                if measured:
                    record |= {"run": f"{number}.{piece}", "banded": banded, **_heights(point, floor)}
                else:
                    record |= {"lane": LANE * (lanes.index(one.name) % MOST_LANES + 0.5), "word": point.word}
                yield {name: value for name, value in record.items() if value is not None}


def _heights(point: Point, floor: float | None) -> Mapping[str, float]:
    """Value, interval and limit; on a logarithmic axis an end that is not positive is held at the lowest value."""
    found = {"y": point.y, "low": point.low, "high": point.high, "limit": point.limit}
    return {name: held(value) if floor is None or value > 0 else floor for name, value in found.items()
            if value is not None}


class _Layers:
    """The layers of a chart, which share their axes and colours."""

    def __init__(self, series: Sequence[Series], x: Label, y: Label, up: Spec, places: Sequence[float], many: bool):
        self.series, self.many = series, many
        across, at = scale_of(x, places), sorted(set(places))
        ticks: Spec = {"values": at, "format": "~r", "labelExpr": "datum.label"} if (
            not x.unit and len(at) <= MANY_TICKS) else {}
        axis = axis_of(x, across, grid=False, **ticks)
        self.x = {"field": "x", "type": "quantitative", "scale": across, "axis": axis}
        self.up = {"type": "quantitative", "scale": up, "axis": axis_of(y, up, title=None)}
        self.legend: Spec = {"values": [one.name for one in series[:SHOWN]]} if many else {}

    def by_series(self, attribute: str) -> Spec:
        return {"field": "series", "type": "nominal", "legend": self.legend, "scale": {
            "domain": [one.name for one in self.series], "range": [getattr(one, attribute) for one in self.series]}}

    def layer(self, mark: Spec, test: str, **encoding: Any) -> Spec:
        return {"transform": [{"filter": test}], "mark": {"clip": True, **mark},
                "encoding": {"x": self.x, "color": self.by_series("colour")} | encoding}

    def height(self, field: str) -> Spec:
        return {"field": field} | self.up

    def all(self) -> list[Spec]:
        """Bands, bars, limits, lines, failures; above them the marks, which take the pointer."""
        faint = {"condition": {"param": "picked", "value": 1}, "value": FAINT}
        thin = {"condition": {"param": "picked", "value": BAND}, "value": BAND * FAINT}
        hover = {"tooltip": TOOLTIP, "opacity": faint}
        piece = {"detail": {"field": "run"}}
        lines = {one.name for one in self.series if one.line}
        lined = {"strokeDash": self.by_series("dash")} if lines else {}
        between = {"y": self.height("low"), "y2": {"field": "high"}}
        picked = {"name": "picked", "select": {"type": "point", "fields": ["series"], "toggle": "true"}}
        return [
            {**self.layer({"type": "area"}, "datum.banded", opacity=thin, **between, **piece),
             "params": [] if self.many else [{**picked, "bind": "legend"}]},        # the first layer owns the legend
            self.layer({"type": "rule"}, "!datum.banded && isValid(datum.high)", opacity=faint, **between),
            self.layer({"type": "line", "strokeDash": LIMIT, "strokeWidth": 1.5, "point": {
                "shape": "stroke", "size": 60, "strokeWidth": 1.5, "filled": False}}, "isValid(datum.limit)",
                y=self.height("limit"), opacity=faint, **piece),
            *([self.layer({"type": "line", "strokeWidth": 2}, "isValid(datum.y)", y=self.height("y"), opacity=faint,
                          **lined, **piece)] if lines else []),
            *self.failures(hover),
            {**self.layer({"type": "point", "filled": True, "size": 50, "opacity": 1, "cursor": "pointer"},
                          "isValid(datum.y)", y=self.height("y"), shape=self.by_series("shape"), **hover),
             "params": [picked, ZOOM] if self.many else [ZOOM]},
        ]

    def failures(self, hover: Spec) -> Iterator[Spec]:
        """A cross for each in the lane of its series, with its word towards the middle."""
        left = "scale('x', datum.x) > width - 80"
        mark = {"type": "text", "y": {"expr": "datum.lane"}, "clip": False, "cursor": "pointer"}
        yield self.layer({**mark, "fontWeight": "bold"}, "isValid(datum.lane)", text={"value": FAILED}, **hover)
        beside = {"align": {"expr": f"{left} ? 'right' : 'left'"}, "dx": {"expr": f"{left} ? -8 : 8"}, "fontSize": 10}
        yield self.layer({**mark, **beside}, "isValid(datum.lane)", text={"field": "word", "type": "nominal"}, **hover)

    def noise(self, noise: Sequence[tuple[float, float, float]]) -> Iterator[Spec]:
        if noise:
            records = [{"x": x, "low": low, "high": high} for x, low, high in noise]
            yield self.apart(records, {"type": "area", "color": MUTED[0], "opacity": 0.18}, x=self.x,
                             y=self.height("low"), y2={"field": "high"})

    def levels(self, levels: Sequence[tuple[float, str]]) -> Iterator[Spec]:
        for value, words in levels:
            records = [{"level": held(value), "words": words}]
            yield self.apart(records, {"type": "rule", "strokeDash": LEVEL, "color": INK[0], "strokeWidth": 1},
                             y=self.height("level"))
            yield self.apart(records, {"type": "text", "align": "right", "dx": -2, "dy": -6, "color": MUTED[0]},
                             y=self.height("level"), x={"value": "width"}, text={"field": "words", "type": "nominal"})

    def apart(self, records: list[Spec], mark: Spec, **encoding: Spec) -> Spec:
        """A layer of data of its own, in a colour of its own."""
        return {"data": {"values": records}, "mark": {"clip": True, **mark}, "encoding": encoding}
