"""Verdicts as people read them: their cells, their number, a table for GitHub. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence

from .verdict import VERDICTS, Verdict


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
        texts = (one.source, f"“{one.quote}”", ", ".join(filter(None, (one.form, one.scale))), one.told,
                 "<br>".join(one.lines))
        lines.append("| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |")
    return "\n".join(lines)
