"""Plots over names instead of numbers: heat maps, stacked bars, dots on one axis. (no torch)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..format import format_value
from .drawing import WIDTH, Drawing
from .palette import INK, MUTED, PARTS, colour_of, shape_of
from .points import FAILED, TOOLTIP, Label, Point, axis_of, held, scale_of

CELL, STEP = 26, 24                         # pixels of a row of a heat map; of bars and dots
NAME_WIDTH = 190                            # pixels at most
SCHEME = "cividis"                          # lightness rises evenly for any colour vision (Nunez et al. 2018)
LIGHT = 0.55                                # a share of the scale from which text on it is black
FIT = {"type": "fit-x", "contains": "padding"}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Segment:
    """A part of a stacked bar: the number of its kind, its value, what is read on hovering."""

    kind: int
    value: float
    title: str = ""
    href: str | None = None


def _names(names: Sequence[str], padding: int = 6) -> Spec:
    """An axis of names from top to bottom, in their order."""
    return {"field": "name", "type": "nominal", "sort": list(names), "title": None, "axis": {
        "labelLimit": NAME_WIDTH, "labelPadding": padding, "domain": False, "ticks": False, "labelColor": INK[0]}}


def heat_map(cells: Mapping[tuple[str, str], Point], *, title: str, across: str, width: float = WIDTH,
             style: int | None = None, intervals: bool = False, ends: tuple[float, float] = (0.0, 1.0)) -> Drawing:
    """Values by (row, column) name, in the order of their first appearance; `x` of a point is not used.

    `ends` are the values of the darkest and the lightest shade. `intervals`: half of each interval stands below its
    value. `style` is the number of the plugin that all are of. A pair without a cell stays empty; a cell without a
    value shows its word.
    """
    rows, columns = (list(dict.fromkeys(name[i] for name in cells)) for i in (0, 1))
    low, high = ends
    records = [{"name": row, "column": column, "title": f"{row}, {column}\n{point.title}".strip(), "href": point.href,
                "word": f"{FAILED} {point.word}".strip(),
                **({} if point.y is None else {"value": held(point.y), "number": _short(point.y),
                                               "light": (point.y - low) / ((high - low) or 1.0) > LIGHT,
                                               "half": _half(point)})}
               for (row, column), point in cells.items()]
    y = _names(rows)
    x = {"field": "column", "type": "nominal", "sort": columns, "title": across, "axis": {
        "orient": "bottom", "labelAngle": 0, "domain": False, "ticks": False}}
    told = {"tooltip": TOOLTIP}
    shade = {"field": "value", "type": "quantitative",
             "scale": {"scheme": SCHEME, "domain": [low, high], "clamp": True},
             "legend": {"gradientLength": 160, "gradientThickness": 8, "tickCount": 3}}
    ink = {"condition": {"test": "datum.light", "value": "black"}, "value": "white"}
    value, failed = "isValid(datum.value)", "!isValid(datum.value)"
    layers: list[Spec] = [
        _over(value, {"type": "rect", "cursor": "pointer"}, x=x, y=y, color=shade, **told),
        _over(failed, {"type": "rect", "filled": False, "stroke": MUTED[0], "strokeDash": [2, 2], "strokeWidth": 1},
              x=x, y=y, **told),
        _over(failed, {"type": "text", "fontSize": 10, "limit": 54}, x=x, y=y, text={"field": "word"}, **told),
        _over(value, {"type": "text", "dy": -5 if intervals else 0}, x=x, y=y, text={"field": "number"}, color=ink,
              **told)]
    if intervals:
        layers.append(_over(value, {"type": "text", "dy": 7, "fontSize": 9}, x=x, y=y, text={"field": "half"},
                            color=ink, **told))
    plugin = {} if style is None else {"color": colour_of(style)}
    return Drawing({
        "description": title, "title": {"text": title, **plugin}, "height": {"step": CELL + 8 * intervals},
        "autosize": FIT, "data": {"values": _present(records)}, "layer": layers}, width)


def _over(test: str, mark: Spec, **encoding: Spec) -> Spec:
    """A layer of the records of which a test holds."""
    return {"transform": [{"filter": test}], "mark": mark, "encoding": encoding}


def _present(records: Sequence[Spec]) -> list[Spec]:
    return [{name: value for name, value in one.items() if value is not None} for one in records]


def _short(value: float) -> str:
    """A share in two digits: ".25", "1"."""
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3g}"


def _half(point: Point) -> str | None:
    """ "±.04"."""
    return None if point.low is None or point.high is None else f"±{_short((point.high - point.low) / 2)}"


def bars(groups: Sequence[tuple[str, Sequence[Segment]]], kinds: Sequence[str], *, title: str, unit: str,
         longest: float = 0.0, width: float = WIDTH, styles: Sequence[int] = ()) -> Drawing:
    """Horizontal stacked bars from zero, `longest` or the longest bar filling the width; `styles`: of their plugins."""
    records: list[Spec] = []
    totals: list[Spec] = []
    for number, (name, parts) in enumerate(groups):
        at = 0.0
        for part in parts:
            after = held(at + part.value)
            records.append({"name": name, "kind": kinds[part.kind], "from": at, "to": after, "href": part.href,
                            "title": f"{name}: {kinds[part.kind]}\n{part.title}".strip(), "order": number})
            at = after
        totals.append({"name": name, "to": at, "words": format_value(at, unit),
                       "colour": colour_of(styles[number]) if number < len(styles) else MUTED[0]})
    longest = max([longest, *(one["to"] for one in totals)]) or 1.0
    label, y = Label("", unit, log=False), _names([name for name, _ in groups], 14)
    scale = {"type": "linear", "domain": [0, 1.13 * longest], "nice": False}
    length = {"field": "from", "type": "quantitative", "scale": scale, "axis": axis_of(label, scale, title=None)}
    colour = {"field": "kind", "type": "nominal", "scale": {"domain": list(kinds), "range": list(PARTS[:len(kinds)])}}
    end = {"field": "to", "type": "quantitative", "scale": scale}
    apart = {"data": {"values": totals}}
    return Drawing({
        "description": title, "title": title, "height": {"step": STEP}, "autosize": FIT,
        "data": {"values": _present(records)},
        "layer": [
            {"mark": {"type": "bar", "cursor": "pointer"}, "encoding": {
                "x": length, "x2": {"field": "to"}, "y": y, "color": colour, "tooltip": TOOLTIP}},
            {**apart, "mark": {"type": "text", "align": "left", "dx": 5, "color": MUTED[0]}, "encoding": {
                "x": end, "y": y, "text": {"field": "words"}}},
            {**apart, "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1, "x": -7}, "encoding": {
                "y": y, "color": {"field": "colour", "type": "nominal", "scale": None}}},
        ]}, width)


def dots(places: Sequence[tuple[str, int, Point]], *, title: str, label: Label, width: float = WIDTH) -> Drawing:
    """Names down, values across on one axis: (name, style, point), the value in `y` with its interval.

    Raises ValueError where no point has a value.
    """
    values = [v for _, _, point in places for v in (point.y, point.low, point.high) if v is not None]
    if not values:
        raise ValueError("nothing to plot: no point has a value")
    scale = scale_of(label, values)
    records = [{"name": name, "row": number, "colour": colour_of(style), "shape": shape_of(style), "href": point.href,
                "title": f"{name}\n{point.title}".strip(),
                **({"word": f"{FAILED} {point.word}".strip()} if point.y is None else {
                    "value": held(point.y), "low": point.low, "high": point.high})}
               for number, (name, style, point) in enumerate(places)]
    y: Spec = {"field": "row", "type": "ordinal", "title": None, "axis": _names(())["axis"] | {
        "labelExpr": "names[datum.value]"}}
    x = {"type": "quantitative", "scale": scale, "axis": axis_of(label, scale)}
    look: Spec = {"color": {"field": "colour", "type": "nominal", "scale": None}, "tooltip": TOOLTIP}
    return Drawing({
        "description": title, "title": title, "height": {"step": STEP}, "autosize": FIT,
        "data": {"values": _present(records)},
        "params": [{"name": "names", "value": [name for name, _, _ in places]}],
        "layer": [
            _over("isValid(datum.high)", {"type": "rule"}, x={"field": "low", **x}, x2={"field": "high"}, y=y, **look),
            _over("isValid(datum.value)", {"type": "point", "filled": True, "size": 60, "opacity": 1,
                                           "cursor": "pointer"}, x={"field": "value", **x}, y=y,
                  shape={"field": "shape", "type": "nominal", "scale": None}, **look),
            _over("isValid(datum.word)", {"type": "text", "align": "left", "x": 4, "cursor": "pointer"}, y=y,
                  text={"field": "word"}, **look),
        ]}, width)
