"""The table that a run prints: plugins side by side, each value with its interval and limit, or why there is none.

Works for any suite. Metrics are columns; what was measured at several lengths has lengths as columns instead. A failure
stands where its number would, its reason below. The best value is marked only where its interval overlaps no other:
noise is never ranked.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from .sheet import Column, Key, Place, Row, Sheet, metric_name

if TYPE_CHECKING:
    import pandas

PREFIXES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
ASCII = str.maketrans({"µ": "u", "±": "+-", "×": "x", "≤": "<=", "≥": ">=", "–": "-", "·": "|"})


def summary_table(rows: Iterable[Row] | pandas.DataFrame, primary: Sequence[str], title: str = "",
                  unicode: bool | None = None) -> Group:
    """The `primary` metrics of one suite's rows, in this order, and every failure, as something `rich` prints.

    Several seeds become their mean. `unicode` defaults to what standard output can encode.
    """
    return _Writer(Sheet(rows, primary), supports_unicode(unicode)).write(title)


def supports_unicode(wanted: bool | None = None) -> bool:
    """Whether standard output can show more than ASCII, unless `wanted` decides."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf") if wanted is None else wanted


def format_value(value: float, unit: str = "", low: float | None = None, high: float | None = None) -> str:
    """ "12.3 ms", "1.693 ± 0.012", "4.10 MB", "0.85×": SI prefix, as many digits as the interval supports.

    Seconds and bytes carry their unit, ratios (units that begin with "x") a cross; other units belong in a heading.
    """
    if not math.isfinite(value):
        return str(value)
    power = _power(value, unit)
    scaled = value / 10**power
    digits = max(2 - _magnitude(scaled), 0) if scaled % 1 or power else 0
    text = f"{scaled:.{digits}f}" if digits < 5 else f"{scaled:.2e}"
    if low is not None and high is not None and low < high:
        half = (high - low) / 2 / 10**power
        digits = min(max(1 - _magnitude(half), 0), max(4 - _magnitude(scaled), 0))
        text = f"{scaled:.{digits}f} ± " + (f"{half:.{digits}f}" if half * 10**digits >= 1 else f"{half:.1g}")
    symbol = PREFIXES[power] + (unit if unit in ("s", "B") else "")
    return f"{text} {symbol}" if symbol else text + "×" * unit.startswith("x")


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _power(value: float, unit: str) -> int:
    """The power of ten of the SI prefix: small ones for seconds, large ones for bytes, rates and large counts."""
    power = 3 * (_magnitude(value) // 3)
    if unit == "s":
        return max(-9, min(power, 0))
    return max(0, min(power, 15)) if unit == "B" or unit.endswith("/s") or abs(value) >= 10_000 else 0


def heading(column: Column, units: set[str]) -> str:
    """Metric and phase in words, with the unit where neither the name nor the values tell it."""
    metric, phase = column
    words = (metric.removesuffix("_s") if units == {"s"} else metric).replace("_per_", "/").replace("_", " ")
    unit = next(iter(units)) if len(units) == 1 else ""
    return " ".join([words, *([phase] if phase and phase not in words else []),
                     *([unit] if unit not in ("s", "B", "x") and unit not in words else [])])


class _Writer:
    """Writes a sheet; gathers footnotes and the legend on the way."""

    def __init__(self, sheet: Sheet, unicode: bool):
        self.sheet, self.unicode = sheet, unicode
        self.numbers: dict[str, int] = {}
        self.legend: dict[str, None] = {}

    def show(self, text: str) -> str:
        return text if self.unicode else text.translate(ASCII)

    def write(self, title: str) -> Group:
        sheet = self.sheet
        swept = [column for column in sheet.columns if column in sheet.swept]
        single = [column for column in sheet.columns if column not in sheet.swept]
        tables = [self.by_length(swept)] if swept else []
        if single or not swept:
            tables.append(self.by_metric(single or [("", "")]))
        above = Text().append(" " + title, "bold").append("  " * bool(title))
        above.append(self.show(" · ".join(sheet.title)), "dim")
        below = [*self.legend, *(f"[{number}] {text}" for text, number in self.numbers.items())]
        return Group(above, *tables, *(Text(self.show(" " + line), "dim") for line in below))

    def table(self, headings: Iterable[str]) -> Table:
        style = box.SIMPLE_HEAD if self.unicode else box.ASCII2
        table = Table(box=style, padding=(0, 1, 0, 1), collapse_padding=True, pad_edge=True)
        table.add_column("plugin", overflow="fold")
        if self.sheet.params:
            table.add_column("params", justify="right", no_wrap=True)
        for words in headings:
            table.add_column(self.show(words), justify="right", overflow="fold")
        return table

    def start(self, key: Key, indent: str = "") -> list[str]:
        """The first table cells of a row: what it is about."""
        name = indent + " ".join(filter(None, key))
        params = self.sheet.params.get(key)
        return [name, format_value(params) if params else ""] if self.sheet.params else [name]

    def by_metric(self, columns: Sequence[Column]) -> Table:
        """Plugins down, metrics across."""
        sheet = self.sheet
        table = self.table(heading(column, sheet.units.get(column, set())) or "result" for column in columns)
        best = {column: sheet.best(None, column) for column in columns}
        for key in sheet.keys:
            places = {column: sheet.at(key, None, column) for column in columns}
            if any(place.rows for place in places.values()):
                table.add_row(*self.start(key), *(self.text(p, key in best[c], " ") for c, p in places.items()))
        return table

    def by_length(self, columns: Sequence[Column]) -> Table:
        """Plugins down, lengths across, a section for each metric."""
        sheet = self.sheet
        table = self.table(map(str, sheet.lengths))
        for column in columns:
            table.add_row(Text(self.show(heading(column, sheet.units[column])), "bold"))
            best = {length: sheet.best(length, column) for length in sheet.lengths}
            for key in sheet.keys:
                places = {length: sheet.at(key, length, column) for length in sheet.lengths}
                if any(place.rows for place in places.values()):
                    table.add_row(*self.start(key, "  "), *(
                        self.text(place, key in best[length], "\n") for length, place in places.items()))
            table.add_section()
        return table

    def text(self, place: Place, best: bool, joint: str) -> Text:
        """Value ± half interval, failures, footnotes; the limit below. `joint` stands before the interval."""
        text, estimate = Text(), place.estimate
        reasons = [row.reason for row in place.rows if row.status == "ok" and row.reason]
        if estimate is not None:
            value = format_value(estimate.value, place.measured[0].unit, estimate.low, estimate.high)
            text.append(self.show(value.replace(" ± ", joint + "± ") + " *" * best), "bold green" if best else "")
            if best:
                self.legend["* best: its interval overlaps no other"] = None
            if estimate.n > 1:
                self.legend[f"mean of {estimate.n} seeds ± half the 95 % t interval"] = None
        for status in dict.fromkeys(row.status for row in place.failed):
            same = [row for row in place.failed if row.status == status]
            share = f" {len(same)} of {len(place.rows)}" if len(same) < len(place.rows) else ""
            value = f" ({format_value(same[0].value, same[0].unit)})" if same[0].value is not None else ""
            text.append(self.show((joint if text else "") + status + share + value), "red")
            reasons += [f"{row.plugin}: {status}: {row.reason}" for row in same if row.reason]
        if not text:
            text.append(self.show("–"), "dim")
        for reason in dict.fromkeys(reasons):
            text.append(f" [{self.numbers.setdefault(reason, len(self.numbers) + 1)}]", "dim")
        if place.measured and (limit := (row := place.measured[0]).limit) is not None:
            bound = ("≥" if row.better == "lower" else "≤") if row.limit_kind else "limit"
            text.append(self.show(f"\n{bound} {format_value(limit, row.unit)}"), "dim")
            if row.limit_kind:
                self.legend[f"{bound} limit of {heading((metric_name(row), row.phase), set())}: {row.limit_kind}"] = None
        return text
