"""What plots are made of: points, the series that they form, the labels of axes. (no torch)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .palette import SERIES, colour_of, dash_of, shape_of

LARGEST = 1e100                             # what lies beyond is drawn there: a plot's own arithmetic stays finite
FAILED = "✕"
SI = "format(datum.value, '~s')"
TOOLTIP = {"field": "title", "type": "nominal"}


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
    """Points under one name, in the colour of its `style`; by dash and shape `variant` tells apart what shares one."""

    name: str
    points: Sequence[Point]
    style: int = 0
    line: bool = True
    variant: int = 0

    @property
    def colour(self) -> str:
        return colour_of(self.style)

    @property
    def dash(self) -> list[int]:
        return dash_of(self._number)

    @property
    def shape(self) -> str:
        return shape_of(self._number)

    @property
    def _number(self) -> int:
        return self.style + self.style // len(SERIES) + self.variant


@dataclass(frozen=True)
class Label:
    """What an axis is called, the unit of its values, and whether it is logarithmic where they allow it."""

    words: str
    unit: str = ""
    log: bool = True


def held(value: float) -> float:
    """A value within what is drawn."""
    return max(-LARGEST, min(LARGEST, value))


def scale_of(label: Label, values: Sequence[float], **more: Any) -> dict[str, Any]:
    """The scale of an axis: logarithmic where wanted and possible; not from zero, and not to the next round value."""
    kind = {"type": "log"} if label.log and min(values) > 0 else {"type": "linear", "zero": False}
    return kind | {"nice": False, "padding": 10} | more


def axis_of(label: Label, scale: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The axis in words, its values with SI prefix and unit; what a logarithmic axis leaves unlabelled stays so."""
    if label.unit.startswith("x"):
        words = "format(datum.value, '~r') + '×'"
    elif label.unit in ("s", "B"):
        words = f"{SI} + '{label.unit}'"
    else:
        words = f"abs(datum.value) >= 10000 ? {SI} : format(datum.value, '~g')"
    title = label.words + " · log" * (scale["type"] == "log")
    named = {"condition": {"test": "datum.label === ''", "value": 0}, "value": 1}
    return {"title": title, "tickCount": 5, "labelExpr": f"datum.label === '' ? '' : {words}", "gridOpacity": named,
            "tickOpacity": named} | more
