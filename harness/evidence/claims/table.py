"""Verdicts as people read them: their cells, their number. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence

from ...quantities import format_number
from .claim import SUBJECTS
from .verdict import TOLD, VERDICTS, Verdict


def cells(verdict: Verdict) -> str:
    """The first of its cells, and how many more there are."""
    more = len(verdict.cells) - 1
    return (verdict.cells[0] + (f" + {more}" if more else "")) if verdict.cells else ""


def count_line(verdicts: Sequence[Verdict]) -> str:
    """ "12 confirmed, 20 refuted, …"."""
    counts = {verdict: sum(one.verdict == verdict for one in verdicts) for verdict in VERDICTS}
    return ", ".join(f"{count} {TOLD.get(verdict, verdict)}" for verdict, count in counts.items() if count)


def counts(verdicts: Sequence[Verdict]) -> list[str]:
    """A line for either subject: "of 67 claims about the published systems, in 104 forms: 12 confirmed, …"."""
    lines = []
    for subject, whose in zip(SUBJECTS, ("about the published systems", "about our redesigns"), strict=True):
        own = [one for one in verdicts if one.subject == subject]
        claims = format_number(len({one.claim for one in own}), "claim")
        if own:
            lines.append(f"of {claims} {whose}, in {format_number(len(own), 'form')}: {count_line(own)}")
    return lines

