"""The five verdicts on a claim, and one of them as a report shows it. (no torch)"""

from __future__ import annotations

from dataclasses import dataclass

VERDICTS = ("confirmed", "refuted", "inconclusive", "unmeasurable", "not run")


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: its name and words, one of VERDICTS, the effect with its interval, and the cells."""

    claim: str
    words: str
    verdict: str
    effect: str = ""
    cells: tuple[str, ...] = ()
