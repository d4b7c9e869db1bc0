"""Verdicts as people read them: a table for a terminal, a table for GitHub. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from ..format import ASCII, supports_unicode
from .verdict import VERDICTS, Verdict

STYLES = {"confirmed": "green", "refuted": "red", "inconclusive": "yellow", "unmeasurable": "dim", "not run": "dim"}


def table(verdicts: Sequence[Verdict]) -> Table:
    """A row a verdict, as they came, for `rich` to print: words and numbers under each other."""
    unicode = supports_unicode()
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("claim", "verdict", "measured", "cells"):
        grid.add_column(heading, overflow="fold", no_wrap=heading == "verdict")
    for one in verdicts:
        texts = [f"{one.name}\n“{one.quote}”", one.verdict, "\n".join(one.lines), cells(one)]
        grid.add_row(*(Text(text if unicode else text.translate(ASCII), STYLES[one.verdict] if number == 1 else "")
                       for number, text in enumerate(texts)))
    return grid


def cells(verdict: Verdict) -> str:
    """The first of its cells, and how many more there are."""
    more = len(verdict.cells) - 1
    return (verdict.cells[0] + (f" + {more}" if more else "")) if verdict.cells else ""


def count_line(verdicts: Sequence[Verdict]) -> str:
    """ "12 confirmed, 20 refuted, …"."""
    counts = {verdict: sum(one.verdict == verdict for one in verdicts) for verdict in VERDICTS}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)


def markdown(verdicts: Sequence[Verdict]) -> str:
    """A GitHub table in the order of the sources."""
    lines = ["| source | claim | form | verdict | measured |", "|---|---|---|---|---|"]
    for one in sorted(verdicts, key=lambda one: one.source):
        texts = (one.source, f"“{one.quote}”", ", ".join(filter(None, (one.form, one.scale))), one.verdict,
                 "<br>".join(one.lines))
        lines.append("| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |")
    return "\n".join(lines)
