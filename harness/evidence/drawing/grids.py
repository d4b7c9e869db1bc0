"""Plots over names instead of numbers: heat maps, stacked bars, dots on one axis. (no torch)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ..format import format_value
from .axis import Axis
from .canvas import FAILED, MARKERS, SERIES_STYLES, Drawing, canvas, link, shorten, swatch, text, text_width
from .lines import EDGE, LEGEND_LINE, TITLE, WIDTH, Label, Point, tick
from .markup import add

CELL, BAR, GAP = 26, 16, 8
# Between black-blue and yellow, lightness rising evenly for any colour vision: cividis (Nunez et al. 2018), sampled.
SCALE = ((0, 34, 78), (65, 77, 107), (125, 124, 120), (188, 175, 111), (254, 232, 56))
LIGHT = 0.55                                # a share of the scale from which text on it is black


@dataclass(frozen=True)
class Segment:
    """A part of a stacked bar: the number of its kind, its value, what is read on hovering."""

    kind: int
    value: float
    title: str = ""
    href: str | None = None


def shade(share: float) -> str:
    """The colour of a share between 0 and 1."""
    place = min(max(share, 0.0), 1.0) * (len(SCALE) - 1)
    below = min(int(place), len(SCALE) - 2)
    mixed = (round(a + (place - below) * (b - a)) for a, b in zip(SCALE[below], SCALE[below + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def heat_map(cells: Mapping[tuple[str, str], Point], *, title: str, across: str, width: float = WIDTH,
             style: int | None = None) -> Drawing:
    """Shares between 0 and 1 by (row, column) name, in the order of their first appearance; `x` is not used.

    `style` is the number of the plugin that it is of.
    A pair without a cell stays empty; a cell without a value shows its word.
    """
    rows, columns = (list(dict.fromkeys(name[i] for name in cells)) for i in (0, 1))
    left = EDGE + 8 + max(text_width(name) for name in rows)
    step = min(54.0, (width - left - EDGE) / len(columns))
    root = canvas(width, TITLE + CELL * len(rows) + 66, title)
    if style is not None:
        swatch(root, style, EDGE + 4, 15.5)
    text(root, shorten(title, 0.9 * width), EDGE + 14 * (style is not None), 20, font_weight="bold", font_size=13)
    for i, name in enumerate(rows):
        text(root, name, left - 8, TITLE + CELL * (i + 0.5) + 4, text_anchor="end", font_size=11)
    for j, name in enumerate(columns):
        text(root, name, left + step * (j + 0.5), TITLE - 6, text_anchor="middle", class_="muted", font_size=11)
    for (row, column), point in cells.items():
        at = left + step * columns.index(column), TITLE + CELL * rows.index(row)
        _draw_cell(root, point, f"{row} @ {column}", *at, step)
    bottom = TITLE + CELL * len(rows)
    text(root, across, left + step * len(columns) / 2, bottom + 16, text_anchor="middle", class_="muted", font_size=11)
    _draw_scale(root, left, bottom + 30)
    return Drawing(root)


def _draw_cell(root: Element, point: Point, name: str, x: float, y: float, step: float) -> None:
    group = add(link(root, point.href), "g", class_="cell", transform=f"translate({x:.1f} {y:.1f})")
    add(group, "title", f"{name}\n{point.title}")
    if point.y is None:
        add(group, "rect", width=step - 1, height=CELL - 1, fill="none", class_="muted", stroke="currentColor",
            stroke_dasharray="2 2")
        add(group, "path", d=FAILED, fill="none", stroke="currentColor", stroke_width=1.5, class_="failed",
            transform=f"translate({step / 2:.1f} {CELL / 2:.1f})")
        return
    add(group, "rect", width=step - 1, height=CELL - 1, fill=shade(point.y))
    add(group, "text", f"{point.y:.2f}".replace("0.", ".", 1) if point.y < 1 else "1", x=step / 2 - 0.5, y=CELL / 2 + 4,
        text_anchor="middle", font_size=11, fill="#000000" if point.y > LIGHT else "#ffffff")


def _draw_scale(root: Element, x: float, y: float) -> None:
    """The legend of the shades: 0 to 1."""
    for i in range(20):
        add(root, "rect", x=x + 8.0 * i, y=y, width=8.5, height=10, fill=shade((i + 0.5) / 20))
    for share in (0, 0.5, 1):
        text(root, f"{share:g}", x + 160 * share, y + 23, text_anchor="middle", class_="muted", font_size=10)


def bars(groups: Sequence[tuple[str, Sequence[Segment]]], kinds: Sequence[str], *, title: str, unit: str,
         longest: float = 0.0, width: float = WIDTH, styles: Sequence[int] = ()) -> Drawing:
    """Horizontal stacked bars from zero, `longest` or the longest bar filling the width; `styles`: of their plugins."""
    left = EDGE + 8 + min(170.0, max(text_width(name) for name, _ in groups))
    longest = max(longest, *(sum(part.value for part in parts) for _, parts in groups)) or 1.0
    scale = (width - left - EDGE - 62) / longest
    height = TITLE - 14 + (BAR + GAP) * len(groups)
    root = canvas(width, height + 14 + LEGEND_LINE, title)
    text(root, shorten(title, 0.9 * width), EDGE, 20, font_weight="bold", font_size=13)
    for i, (name, parts) in enumerate(groups):
        y, at = TITLE - 12 + (BAR + GAP) * i, left
        text(root, shorten(name, left - EDGE - 4), left - 8, y + 12, text_anchor="end", font_size=11)
        for style in styles[i:i + 1]:
            swatch(root, style, left - 3, y + 8.5)
        for part in parts:
            group = add(link(root, part.href), "g", class_=f"segment c{part.kind}")
            add(group, "title", f"{name}: {kinds[part.kind]}\n{part.title}")
            add(group, "rect", x=at, y=y, width=max(part.value * scale, 0.5), height=BAR, fill="currentColor")
            words = format_value(part.value, unit)
            if part.value * scale > text_width(words):
                add(group, "text", words, x=at + 4.0, y=y + 12.0, font_size=10, fill="#000000")
            at += part.value * scale + 1
        text(root, format_value(sum(part.value for part in parts), unit), at + 5, y + 12, class_="muted", font_size=11)
    at = float(EDGE)
    for kind, name in enumerate(kinds):
        add(add(root, "g", class_=f"c{kind}"), "rect", x=at, y=height + 6, width=12, height=12, fill="currentColor")
        text(root, name, at + 17, height + 16)
        at += 36 + text_width(name)
    return Drawing(root)


def dots(places: Sequence[tuple[str, int, Point]], *, title: str, label: Label, width: float = WIDTH) -> Drawing:
    """Names down, values across on one axis: (name, style, point), the value in `y` with its interval.

    Raises ValueError where no point has a value.
    """
    values = [v for _, _, point in places for v in (point.y, point.low, point.high) if v is not None]
    if not values:
        raise ValueError("nothing to plot: no point has a value")
    axis = Axis(values, label.log, 0.05)
    left, right = EDGE + 12 + min(250.0, max(text_width(name) for name, _, _ in places)), width - EDGE - 24
    bottom = TITLE - 8 + (BAR + GAP) * len(places)
    root = canvas(width, bottom + 44, title)
    text(root, shorten(title, 0.9 * width), EDGE, 20, font_weight="bold", font_size=13)
    free = 0.0
    for value in axis.round_values(6):
        at, words = left + axis.place(value) * (right - left), tick(value, label.unit)
        add(root, "line", x1=at, x2=at, y1=TITLE - 14, y2=bottom, class_="grid", stroke="currentColor")
        if at - text_width(words) / 2 > free:
            text(root, words, at, bottom + 16, text_anchor="middle", class_="muted", font_size=11)
            free = at + text_width(words) / 2 + 2
    text(root, label.words + " · log" * axis.log, (left + right) / 2, bottom + 33, text_anchor="middle", class_="muted",
         font_size=11)
    for i, (name, style, point) in enumerate(places):
        y = TITLE + (BAR + GAP) * i
        text(root, shorten(name, left - EDGE - 12), left - 12, y + 4, text_anchor="end", font_size=11)
        mark = add(link(root, point.href), "g", class_=f"point s{style % SERIES_STYLES}")
        add(mark, "title", f"{name}\n{point.title}")
        if point.y is None:
            text(mark, f"✕ {point.word}", left + 4, y + 4, font_size=11)
            continue
        ends = [left + axis.place(v) * (right - left) for v in (point.low, point.high) if v is not None]
        if len(ends) == 2:
            add(mark, "path", d=f"M{ends[0]:.1f} {y}H{ends[1]:.1f}", stroke="currentColor", stroke_width=1.5)
        add(mark, "path", d=MARKERS[style % len(MARKERS)], fill="currentColor",
            transform=f"translate({left + axis.place(point.y) * (right - left):.1f} {y})")
    return Drawing(root)
