"""The verdicts of one source are corrected together: many claims, one of which is told by chance. (no torch)

Every finding that rests on a p-value is of the family of its source (Holm 1979). One that would be told by itself, and
is not beside the others, is inconclusive; what it would be stands with it, so that the correction may be done anew when
further claims of the source are judged. What is counted has no p-value and is in no family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..statistics.intervals import holm
from ..statistics.student import CONFIDENCE
from .verdict import CONFIRMED, INCONCLUSIVE, REFUTED, RuleFinding, Verdict


def corrected(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same verdicts in their order, each source as a family."""
    families: dict[str, list[float]] = {}
    for verdict in verdicts:
        families.setdefault(verdict.source, []).extend(one.p for one in verdict.findings if one.p is not None)
    adjusted = {source: iter(holm(p_values)) for source, p_values in families.items()}
    found = []
    for verdict in verdicts:
        size = len(families[verdict.source])
        findings = tuple(one if one.p is None else _beside_others(one, next(adjusted[verdict.source]), size)
                         for one in verdict.findings)
        found.append(verdict if findings == verdict.findings else verdict.concluded(findings))
    return found


def _beside_others(finding: RuleFinding, p: float, size: int) -> RuleFinding:
    alone = finding.alone or finding.verdict
    if alone not in (CONFIRMED, REFUTED):
        return finding
    if p < 1 - CONFIDENCE:
        return replace(finding, verdict=alone, alone=None, reason="") if finding.alone else finding
    beside = f"not beside the {size} findings of its source (p = {p:.2g})"
    return replace(finding, verdict=INCONCLUSIVE, alone=alone, reason=f"{alone} alone (p = {finding.p:.2g}), {beside}")
