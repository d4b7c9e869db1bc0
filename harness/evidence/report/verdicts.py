"""Verdicts in a report, each with all it rests on: rule, number, interval, source, quote, failure, cells. (no torch)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..claims.claim import SUBJECTS
from ..claims.verdict import REFUTED, TOLD, VERDICTS, RuleFinding, Verdict
from .citation import CitedRow
from .document import Paragraph, Section, Table, TableCell, TextSpan, plain
from .figures import cite

MEANING = (
    "Confirmed: the whole 95 % interval lies where the rule says; of several rules all hold. Refuted: the whole "
    "interval lies elsewhere. Inconclusive: neither. Undecided: the controls do not separate, so the protocol tells "
    "nothing here. Invalid: the model failed its audit, there is no number. Unmeasurable, not a claim, not run: why. "
    "Their system and our redesign of it are two subjects. A verdict is about the protocol that stands beside it.")


def verdict_section(rows: Sequence[CitedRow], verdicts: Sequence[Verdict]) -> Section:
    """The claims in a table, the clear verdicts first, each row under the anchor `verdict-N`."""
    ranked = in_order(verdicts)
    first: dict[str, CitedRow] = {}
    for row in rows:
        first.setdefault(row.cell_id, row)
    table = [[plain(TOLD.get(one.verdict, one.verdict), badge(one.verdict), order=rank(one)), claim_cell(one),
              TableCell(tuple(justification(one))), TableCell(tuple(cell_links(one, first)))] for one in ranked]
    headings = ["verdict", "claim", "rule, what was measured", "cells"]
    return Section("verdicts", "Claims and verdicts", MEANING, [
        Table("verdicts", headings, table, ids=[f"verdict-{number}" for number in range(1, len(ranked) + 1)])])


def in_order(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=rank)


def rank(verdict: Verdict) -> int:
    """The clear ones first, one of a later version last."""
    return [*VERDICTS, verdict.verdict].index(verdict.verdict)


def verdict_counts(verdicts: Sequence[Verdict]) -> Paragraph:
    """Of either subject a badge for every verdict that was given, which leads to the first of its kind."""
    ranked, spans = in_order(verdicts), list[TextSpan]()
    for subject, whose in zip(SUBJECTS, ("the published systems", "our redesigns"), strict=True):
        own = [(one.verdict, number) for number, one in enumerate(ranked, 1) if one.subject == subject]
        spans += [TextSpan(f"of {whose}: ", line=True)] * bool(own)
        for name in dict.fromkeys(name for name, _ in own):
            numbers = [number for other, number in own if other == name]
            spans.append(TextSpan(f"{len(numbers)} {TOLD.get(name, name)}", badge(name), f"#verdict-{numbers[0]}"))
    return Paragraph(tuple(spans))


def claim_cell(verdict: Verdict) -> TableCell:
    return TableCell((TextSpan(verdict.name, "strong"), TextSpan(verdict.quoted, line=True),
                      TextSpan(", ".join(filter(None, [verdict.place, verdict.at])), "muted", line=True)))


def justification(verdict: Verdict) -> Iterator[TextSpan]:
    """Of every rule: its words, the number with its interval, all that it rests on; then the rest."""
    for finding in verdict.findings:
        yield TextSpan(finding.rule, "rule", line=True)
        yield TextSpan(number_words(finding), "strong", line=True)
        if len(verdict.findings) > 1:
            yield TextSpan(f" {finding.verdict}", badge(finding.verdict))
        for heading, text in finding.facts.items():
            yield TextSpan(f"{heading}: {text}", "muted", line=True)
    if verdict.narrow:
        yield TextSpan(verdict.narrow, line=True)
    if verdict.reason or not verdict.findings:
        yield TextSpan(verdict.reason or "no rule was tried", line=True)
    if verdict.verdict == REFUTED and verdict.failure:
        yield TextSpan(verdict.failure, "failed", line=True)
    if verdict.findings:
        yield TextSpan(f"again: {verdict.command}", "muted", line=True)


def number_words(finding: RuleFinding) -> str:
    """ "0.915× [0.631, 0.963]", or why there is no number."""
    if finding.value is None:
        return finding.reason or "no number"
    unit = "×" if finding.scale == "ratio" else f" {finding.unit}" * bool(finding.unit)
    if finding.low is None or finding.high is None:
        return f"{finding.value:.4g}{unit}, no interval"
    if finding.low == finding.high:
        return f"{finding.value:.4g}{unit}, exact"
    return f"{finding.value:.4g}{unit} [{finding.low:.4g}, {finding.high:.4g}]"


def cell_links(verdict: Verdict, first: Mapping[str, CitedRow]) -> Iterator[TextSpan]:
    """Every cell, linked to the first of its rows where the report has it."""
    for cell in verdict.cells:
        yield TextSpan(cell + " ", "cell", cite([first[cell]])[0] if cell in first else None)


def badge(verdict: str) -> str:
    return "badge " + verdict.replace(" ", "-")
