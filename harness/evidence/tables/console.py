"""What `harness run` prints when it is done: a table and plots per suite, then where everything lies. (no torch)"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ...console import make_console
from ...quantities import format_number
from ...store import Row
from ...suite import Suite
from ...terminal import shown
from ..drawing.plot import plot
from .pivot import Pivot
from .summary import summary_table

WIDTH_WITHOUT_TERMINAL = 120


def wide_console() -> Console:
    """Standard output as wide as its terminal, as COLUMNS says, or WIDTH_WITHOUT_TERMINAL."""
    known = sys.stdout.isatty() or os.environ.get("COLUMNS")
    return make_console(width=None if known else WIDTH_WITHOUT_TERMINAL)


def print_report(rows: Sequence[Row], suites: Sequence[Suite], directory: Path, note: str = "") -> None:
    """Print every suite that has rows; `note` is to be known of them all."""
    console = wide_console()
    for suite in suites:
        own = [row for row in rows if row.suite == suite.name]
        if not own:
            continue
        console.print(summary_table(own, suite.primary, f"{suite.name}: {suite.summary}"))
        for metric, phase in suite.plots:
            print_plot(own, metric, phase, min(console.width, 100))
    counts = {status: sum(row.status == status for row in rows) for status in dict.fromkeys(row.status for row in rows)}
    print(", ".join(f"{format_number(count, 'row')} {status}" for status, count in counts.items()))
    if note:
        print(note)
    weights = ", weights/" if (directory / "weights").is_dir() else ""
    print(f"{directory}/table.csv, table.parquet, manifest.json, cells/{weights}")


def print_plot(rows: Sequence[Row], metric: str, phase: str, width: int) -> None:
    """A metric against length, a series per row of its table; nothing where there are fewer than two lengths."""
    own = [row for row in rows if row.metric == metric and row.phase == phase and row.seq_len]
    unit, series = own[-1].unit if own else "", dict[str, dict[int, float | None]]()
    for (key, length, _), place in Pivot(own, (metric,)).places.items():
        series.setdefault(" ".join(filter(None, key)), {})[length] = place.estimate.value if place.estimate else None
    lengths = {length for values in series.values() for length, value in values.items() if value is not None}
    if len(lengths) >= 2:
        print()
        title = f"{metric.removesuffix('_s').replace('_', ' ')} ({phase})"
        points = {shown(name): sorted(values.items()) for name, values in series.items()}
        drawn = plot(points, width=width, height=14, title=title, x_label="length in tokens", y_unit=unit)
        wide_console().print(Text.from_ansi(drawn), soft_wrap=True)             # it is painted where colours are wanted
        print()
