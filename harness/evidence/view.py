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
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from .sheet import Column, Key, Place, Row, Sheet, label, metric_name

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


def format_value(value: float, unit: str = "", low: float | None = None, high: float | None = None,
                 joint: str = " ") -> str:
    """ "12.3 ms", "1.693 ± 0.012", "4.1 MB", "0.85×": SI prefix, as many digits as the interval supports.

    Seconds and bytes carry their unit, ratios (units that begin with "x") a cross; other units belong in a heading.
    With a `joint` other than a space the symbol stands before it: "12.3 ms", joint, "± 0.4".
    """
    if not math.isfinite(value):
        return str(value)
    power = _power(value, unit)
    scaled, half = round(value / 10**power, 12), ""
    if low is not None and high is not None and low < high:
        width = (high - low) / 2 / 10**power
        leading = 1 if width / 10 ** _magnitude(width) < 3.55 else 0             # two digits of 1.2, one of 4
        digits = min(max(leading - _magnitude(width), 0), max(4 - _magnitude(scaled), 0))
        text = f"{scaled:.{digits}f}"
        half = "± " + (f"{width:.{digits}f}" if width * 10**digits >= 1 else f"{width:.1g}")
    elif scaled % 1 and abs(scaled) >= 0.1:
        text = f"{scaled:.{max(2 - _magnitude(scaled), 0)}f}"
    else:
        text = f"{scaled:.{max(3, _magnitude(scaled) + 1)}g}"
    symbol = PREFIXES[power] + (unit if unit in ("s", "B") else "")
    symbol = f" {symbol}" if symbol else "×" * unit.startswith("x")
    if not half:
        return text + symbol
    return f"{text} {half}{symbol}" if joint == " " else f"{text}{symbol}{joint}{half}"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _power(value: float, unit: str) -> int:
    """The power of ten of the SI prefix: small ones for seconds, large ones for bytes, rates and large counts."""
    power = 3 * (_magnitude(value) // 3)
    if unit == "s":
        return max(-9, min(power, 0))
    return max(0, min(power, 15)) if unit == "B" or unit.endswith("/s") or abs(value) >= 10_000 else 0


class _Fitting:
    """The first of several layouts of a table that fits the terminal, or else the narrowest."""

    def __init__(self, tables: Sequence[Table]):
        self.tables = tables

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [table.__rich_measure__(console, options).maximum for table in self.tables]
        yield next((t for t, w in zip(self.tables, widths, strict=True) if w <= options.max_width),
                   self.tables[widths.index(min(widths))])


class _Writer:
    """Writes a sheet; gathers footnotes and the legend on the way."""

    def __init__(self, sheet: Sheet, unicode: bool):
        self.sheet, self.unicode = sheet, unicode
        self.reasons: dict[str, int] = {}
        self.legend: dict[str, dict[str, None]] = {}

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
        below = [text + ": " * bool(about) + ", ".join(about) for text, about in self.legend.items()]
        below += [f"[{number}] {reason}" for reason, number in self.reasons.items()]
        return Group(above, *tables, *(Text(self.show(" " + line), "dim") for line in below))

    def heading(self, column: Column) -> str:
        """The metric in words, its phase where it has several, its unit where neither name nor values tell it."""
        metric, phase = column
        units = self.sheet.units.get(column, set())
        words = (metric.removesuffix("_s") if units == {"s"} else metric).replace("_per_", "/").replace("_", " ")
        if sum(name == metric for name, _ in self.sheet.columns) > 1:
            words += f" {phase}"
        unit = next(iter(units)) if len(units) == 1 else ""
        return self.show(words if unit in ("", "s", "B", "x") or unit in words else f"{words} ({unit})")

    def name(self, key: Key, indent: str = "") -> str:
        """A plugin, its options and what else tells its row from others, on lines of their own."""
        parts = [part for text in key for part in text.split(":") if part]
        return "\n".join([indent + parts[0], *(f"{indent}  {part}" for part in parts[1:])])

    def table(self, first: str, headings: Iterable[str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD if self.unicode else box.ASCII2, collapse_padding=self.unicode)
        table.add_column(first, no_wrap=True)
        for words in headings:
            table.add_column(words, justify="right", overflow="fold")
        return table

    def by_metric(self, columns: Sequence[Column]) -> _Fitting:
        """Plugins down and metrics across, or the other way round."""
        sheet = self.sheet
        places = {key: [sheet.at(key, None, column) for column in columns] for key in sheet.keys}
        places = {key: row for key, row in places.items() if any(place.rows for place in row)}
        best = [sheet.best(None, column) for column in columns]
        texts = {key: [self.text(place, key in best[i], " ", "\n") for i, place in enumerate(row)]
                 for key, row in places.items()}
        sizes = {key: format_value(sheet.params[key]) if key in sheet.params else "" for key in texts}
        headings = [self.heading(column) or "result" for column in columns]
        across = self.table("plugin", ["params", *headings])
        for key, row in texts.items():
            across.add_row(self.name(key), sizes[key], *row)
        down = self.table("", map(self.name, texts))
        down.add_row("params", *sizes.values())
        for i, words in enumerate(headings):
            down.add_row(words, *(row[i] for row in texts.values()))
        return _Fitting([across, down])

    def by_length(self, columns: Sequence[Column]) -> _Fitting:
        """Plugins down, lengths across, a section for each metric; interval and limit beside the value or below it."""
        sheet = self.sheet
        layouts = [(" ", " "), (" ", "\n"), ("\n", "\n")]
        tables = [self.table("", map(str, sheet.lengths)) for _ in layouts]
        for column in columns:
            best = {length: sheet.best(length, column) for length in sheet.lengths}
            for table, joints in zip(tables, layouts, strict=True):
                table.add_row(Text(self.heading(column), "bold"))
                for key in sheet.keys:
                    places = {length: sheet.at(key, length, column) for length in sheet.lengths}
                    if any(place.rows for place in places.values()):
                        table.add_row(self.name(key, "  "), *(
                            self.text(place, key in best[length], *joints) for length, place in places.items()))
                table.add_section()
        return _Fitting(tables)

    def text(self, place: Place, best: bool, joint: str, limit_joint: str) -> Text:
        """Value ± half interval, failures, footnotes, limit. The joints stand before the interval and the limit."""
        text, estimate = Text(), place.estimate
        reasons = [row.reason for row in place.rows if row.status == "ok" and row.reason]
        if estimate is not None:
            value = format_value(estimate.value, place.measured[0].unit, estimate.low, estimate.high, joint)
            text.append(self.show(value), "bold green" if best else "")
            if best:
                text.append("*", "bold green")
                self.note("* best: its interval overlaps no other")
            if estimate.n > 1:
                self.note(f"mean of {estimate.n} seeds ± half the 95 % t interval")
        for status in dict.fromkeys(row.status for row in place.failed):
            same = [row for row in place.failed if row.status == status]
            share = f" {len(same)} of {len(place.rows)}" if len(same) < len(place.rows) else ""
            value = f" ({format_value(same[0].value, same[0].unit)})" if same[0].value is not None else ""
            text.append(self.show((joint if text else "") + status + share + value), "red")
            reasons += [f"{label(row)}: {status}: {row.reason}" for row in same if row.reason]
        if not text:
            text.append(self.show("–"), "dim")
        for reason in dict.fromkeys(reasons):
            text.append(f" [{self.reasons.setdefault(reason, len(self.reasons) + 1)}]", "dim")
        if place.measured and (limit := (row := place.measured[0]).limit) is not None:
            bound = ("≥" if row.better == "lower" else "≤") if row.limit_kind else "limit"
            text.append(self.show(f"{limit_joint}{bound} {format_value(limit, row.unit)}"), "dim")
            if row.limit_kind:
                self.note(f"{bound} {row.limit_kind} limit", self.heading((metric_name(row), row.phase)))
        return text

    def note(self, text: str, about: str = "") -> None:
        self.legend.setdefault(text, {}).update({about: None} if about else {})
