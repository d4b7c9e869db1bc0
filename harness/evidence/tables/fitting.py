"""Of several layouts of one table the first that fits the terminal. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table


class Fitting:
    """The first table that fits the terminal; where none does `otherwise`, by default the narrowest."""

    def __init__(self, tables: Sequence[Table], otherwise: RenderableType | None = None):
        self.tables, self.otherwise = tables, otherwise

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [Measurement.get(console, options.update(max_width=UNLIMITED), table).maximum for table in self.tables]
        fits = next((t for t, w in zip(self.tables, widths, strict=True) if w <= options.max_width), None)
        yield fits or self.otherwise or self.tables[widths.index(min(widths))]


UNLIMITED = 10_000                              # columns, to measure what a table would take
