"""What stands in one place of a table, in parts that a terminal, a page and Markdown write alike. (no torch)

A value with half its interval and the limit it cannot beat; failures where numbers would be; reasons as footnotes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...store import Row
from ..format import format_value
from .pivot import Column, Pivot, Place, metric_name


@dataclass(frozen=True)
class Part:
    """A piece of text, its kind (value, best, failed, empty, note, limit) and the rows that it tells."""

    text: str
    kind: str
    rows: tuple[Row, ...] = ()


class Formatter:
    """Writes the places of a pivot, and gathers footnotes and the legend on the way."""

    def __init__(self, pivot: Pivot):
        self.pivot = pivot
        self.reasons: dict[str, int] = {}
        self.legend: dict[str, dict[str, None]] = {}

    def heading(self, column: Column) -> str:
        """The metric in words, its phase where it has several, its unit where neither name nor values tell it."""
        metric, phase = column
        units = self.pivot.units.get(column, set())
        words = (metric.removesuffix("_s") if units == {"s"} else metric).replace("_per_", "/").replace("_", " ")
        if sum(name == metric for name, _ in self.pivot.columns) > 1:
            words += f" {phase}"
        unit = next(iter(units)) if len(units) == 1 else ""
        return words if unit in ("", "s", "B", "x") or unit in words else f"{words} ({unit})"

    def parts(self, place: Place, best: bool, joint: str = " ", limit_joint: str = " ") -> list[Part]:
        """Value ± half interval, failures, footnotes, limit. The joints stand before the interval and the limit."""
        found: list[Part] = []
        estimate = place.estimate
        reasons = [row.reason for row in place.rows if row.status == "ok" and row.reason]
        if estimate is not None:
            value = format_value(estimate.value, place.measured[0].unit, estimate.low, estimate.high, joint)
            found.append(Part(value, "best" if best else "value", tuple(place.measured)))
            if best:
                found.append(Part("*", "best"))
                self.note("* best: its interval overlaps no other")
            if place.repeated:
                self.note("measured again: the newest counts")
            if estimate.n > 1:
                what = "seeds" if len({row.seed for row in place.measured}) == estimate.n else "measurements"
                self.note(f"mean of {estimate.n} {what} ± half the 95 % t interval")
        for status in dict.fromkeys(row.status for row in place.failed):
            same = [row for row in place.failed if row.status == status]
            share = f" {len(same)} of {len(place.rows)}" if len(same) < len(place.rows) else ""
            value = f" ({format_value(same[0].value, same[0].unit)})" if same[0].value is not None else ""
            found.append(Part((joint if found else "") + status + share + value, "failed", tuple(same)))
            reasons += [f"{self.pivot.short.of(row.label)}: {status}: {row.reason}" for row in same if row.reason]
        if not found:
            found.append(Part("–", "empty"))
        found += [Part(f" [{self.reasons.setdefault(reason, len(self.reasons) + 1)}]", "note")
                  for reason in dict.fromkeys(reasons)]
        if place.measured and (limit := (row := place.measured[0]).limit) is not None:
            bound = ("≥" if row.better == "lower" else "≤") if row.limit_kind else "limit"
            found.append(Part(f"{limit_joint}{bound} {format_value(limit, row.unit)}", "limit"))
            if row.limit_kind:
                self.note(f"{bound} {row.limit_kind} limit", self.heading((metric_name(row), row.phase)))
        return found

    def note(self, text: str, about: str = "") -> None:
        self.legend.setdefault(text, {}).update({about: None} if about else {})

    def below(self) -> list[str]:
        """The legend, the footnotes, then what a name stood for more than once, a line each."""
        return [text + ": " * bool(about) + ", ".join(about) for text, about in self.legend.items()] + [
            f"[{number}] {reason}" for reason, number in self.reasons.items()] + self.pivot.notes
