"""The table that a run prints: plugins side by side, each value with its interval and limit, or why there is none.

Works for any suite. Metrics are columns; what was measured at several lengths has lengths as columns instead. A failure
stands where its number would, its reason below. The best value is marked only where its interval overlaps no other:
noise is never ranked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ...store import Row
from ..format import ASCII, format_value, supports_unicode
from .fitting import Fitting
from .formatter import Formatter
from .names import stacked, telling_first, whole
from .pivot import Column, Pivot, Place

if TYPE_CHECKING:
    import pandas

STYLES = {"value": "", "best": "bold green", "failed": "red", "empty": "dim", "note": "dim", "limit": "dim"}


def summary_table(rows: Iterable[Row] | pandas.DataFrame, primary: Sequence[str], title: str = "",
                  unicode: bool | None = None) -> Group:
    """The `primary` metrics of one suite's rows, in this order, and every failure, as something `rich` prints.

    Several seeds become their mean. `unicode` defaults to what standard output can encode.
    """
    return _Writer(Pivot(rows, primary), supports_unicode(unicode)).write(title)


class _Writer:
    """Lays a pivot out, with the footnotes and the legend of its formatter below."""

    def __init__(self, pivot: Pivot, unicode: bool):
        self.pivot, self.unicode, self.formatter = pivot, unicode, Formatter(pivot)
        self.whole, self.stacked = whole(pivot.keys), stacked(pivot.keys)
        self.names = [self.whole, telling_first(pivot.keys), self.stacked]                  # the best first

    def show(self, text: str) -> str:
        return text if self.unicode else text.translate(ASCII)

    def write(self, title: str) -> Group:
        pivot = self.pivot
        swept = [column for column in pivot.columns if column in pivot.swept]
        single = [column for column in pivot.columns if column not in pivot.swept]
        tables = [self.by_length(swept)] if swept else []
        if single or not swept:
            tables.append(self.by_metric(single or [("", "")]))
        above = Text().append(" " + title, "bold").append("  " * bool(title))
        above.append(self.show(" · ".join(pivot.title)), "dim")
        return Group(above, *tables, *(Text(self.show(" " + line), "dim") for line in self.formatter.below()))

    def heading(self, column: Column) -> str:
        return self.show(self.formatter.heading(column))

    def table(self, first: str, headings: Iterable[str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD if self.unicode else box.ASCII2, collapse_padding=self.unicode)
        table.add_column(first, no_wrap=True)
        for words in headings:
            table.add_column(words, justify="right", overflow="fold")
        return table

    def by_metric(self, columns: Sequence[Column]) -> Fitting:
        """Plugins down and metrics across, or the other way round."""
        pivot = self.pivot
        places = {key: [pivot.at(key, None, column) for column in columns] for key in pivot.keys}
        places = {key: row for key, row in places.items() if any(place.rows for place in row)}
        best = [pivot.best(None, column) for column in columns]
        texts = {key: [self.text(place, key in best[i], " ", "\n") for i, place in enumerate(row)]
                 for key, row in places.items()}
        sizes = {key: format_value(pivot.params[key]) if key in pivot.params else "" for key in texts}
        headings = [self.heading(column) or "result" for column in columns]
        tables = []
        for names in self.names:
            tables.append(self.table("plugin", ["params", *headings]))
            for key, row in texts.items():
                tables[-1].add_row(names[key], sizes[key], *row)
        down = self.table("", map(self.stacked.__getitem__, texts))
        down.add_row("params", *sizes.values())
        for i, words in enumerate(headings):
            down.add_row(words, *(row[i] for row in texts.values()))
        return Fitting([*tables, down], self.records([], [
            (self.whole[key], [("params", Text(sizes[key])), *(
                (words, self.text(places[key][i], key in best[i], " ", " ")) for i, words in enumerate(headings))])
            for key in texts]))

    def records(self, above: Sequence[Text], entries: Iterable[tuple[str, Iterable[tuple[str, Text]]]]) -> Group:
        """Where no table fits: a name, and below it a line for each value."""
        lines = list(above)
        for name, values in entries:
            lines.append(Text(name))
            lines += [Text(f"    {words}: ").append_text(value) for words, value in values if value.plain]
        return Group(Text(), *lines)

    def by_length(self, columns: Sequence[Column]) -> Fitting:
        """Plugins down, lengths across, a section for each metric; interval and limit beside the value or below it."""
        pivot = self.pivot
        joints = [(" ", " "), (" ", "\n"), ("\n", "\n")]
        layouts = [(names, pair) for pair in joints for names in self.names]
        tables = [self.table("", map(str, pivot.lengths)) for _ in layouts]
        narrow: list[Group] = []
        for column in columns:
            best = {length: pivot.best(length, column) for length in pivot.lengths}
            places = {key: [pivot.at(key, length, column) for length in pivot.lengths] for key in pivot.keys}
            places = {key: row for key, row in places.items() if any(place.rows for place in row)}
            texts = {pair: {key: [self.text(place, key in best[length], *pair)
                                  for length, place in zip(pivot.lengths, row, strict=True)]
                            for key, row in places.items()} for pair in joints}
            for table, (names, pair) in zip(tables, layouts, strict=True):
                table.add_row(Text(self.heading(column), "bold"))
                for key, row in texts[pair].items():
                    table.add_row(indent(names[key], "  "), *row)
                table.add_section()
            lengths = [f"{pivot.across}={length}" for length in pivot.lengths]
            narrow.append(self.records([Text(self.heading(column), "bold")], [
                (indent(self.whole[key], "  "), zip(lengths, row, strict=True))
                for key, row in texts[joints[0]].items()]))
        return Fitting(tables, Group(*narrow))

    def text(self, place: Place, best: bool, joint: str, limit_joint: str) -> Text:
        return Text().join(Text(self.show(part.text), STYLES[part.kind])
                           for part in self.formatter.parts(place, best, joint, limit_joint))
