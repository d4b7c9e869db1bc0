"""What a verdict on a claim is, and the finding on each of its rules. (no torch)

| verdict      | meaning                                                                                     |
|--------------|---------------------------------------------------------------------------------------------|
| confirmed    | the whole interval lies where the claim says; of several rules all do                       |
| refuted      | the whole interval lies elsewhere                                                           |
| inconclusive | neither; `power` says what so many repetitions would see                                    |
| undecided    | the controls do not separate: what must show the effect does not, or what cannot seems to   |
| invalid      | the number cannot be had: the model failed its audit                                        |
| unmeasurable | no measurement decides it, and why; or both sides failed their audit                        |
| not a claim  | a definition, a design, a statement about others: nothing that a measurement decides        |
| not run      | what is missing: a GPU, data, time                                                          |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ...untrusted import Finite
from ..format import format_value
from .claim import SUBJECTS

Judgement = Literal[
    "confirmed", "refuted", "inconclusive", "undecided", "invalid", "unmeasurable", "not a claim", "not run"]
VERDICTS: tuple[Judgement, ...] = get_args(Judgement)
CONFIRMED, REFUTED, INCONCLUSIVE, UNDECIDED, INVALID, UNMEASURABLE, NOT_A_CLAIM, NOT_RUN = VERDICTS
WORST_FIRST = (REFUTED, INVALID, NOT_RUN, UNMEASURABLE, UNDECIDED, INCONCLUSIVE, CONFIRMED)
TOLD = {UNDECIDED: "undecided here", NOT_A_CLAIM: "not a claim that a measurement decides"}


@dataclass(frozen=True)
class RuleFinding:
    """What became of one rule under a protocol: the number with its 95 % interval, its cells, what would settle it."""

    rule: str
    verdict: Judgement
    protocol: str = ""
    value: Finite | None = None
    low: Finite | None = None
    high: Finite | None = None
    scale: str = ""                         # ratio | value
    unit: str = ""
    how: str = ""
    reason: str = ""
    further: str = ""
    cells: tuple[str, ...] = ()
    p: Finite | None = None                 # of the number lying at its threshold; None: exact, or not measured
    alone: Judgement | None = None          # what it would be by itself, where others of its source take that back

    @property
    def words(self) -> str:
        """The number with its interval, or why there is none."""
        if self.value is None or math.isinf(self.value):
            return self.reason
        unit = "x" if self.scale == "ratio" else self.unit
        text = format_value(self.value, unit, self.low, self.high)
        return "; ".join(filter(None, [text, self.reason if self.alone else "", self.further]))


def worst(findings: Sequence[RuleFinding]) -> Judgement:
    """One rule that fails refutes; all must hold to confirm."""
    found = {finding.verdict for finding in findings}
    return next(one for one in WORST_FIRST if one in found)


@dataclass(frozen=True)
class Verdict:
    """Of one claim in one form, at the scale at which it was tested."""

    claim: str
    quote: str
    source: str
    verdict: Judgement
    form: str = ""
    scale: str = ""
    reason: str = ""
    failure: str = ""
    section: str = ""                       # of the source
    findings: tuple[RuleFinding, ...] = ()
    at: str = ""                            # the sizes and budgets that it holds at
    narrow: str = ""                        # why its findings do not decide
    subject: str = SUBJECTS[0]              # whose system is judged
    composed: bool = False                  # the quote is stitched from several places

    @property
    def told(self) -> str:
        """With the scale that it holds at: "refuted at 100k parameters and 300k bytes of text"."""
        return " ".join(filter(None, (TOLD.get(self.verdict, self.verdict), self.at)))

    def concluded(self, findings: Sequence[RuleFinding]) -> Verdict:
        """What follows from the findings."""
        verdict = worst(findings)
        if self.narrow and verdict in (CONFIRMED, REFUTED):
            verdict = INCONCLUSIVE
        return replace(self, verdict=verdict, findings=tuple(findings))

    @property
    def name(self) -> str:
        """The claim with its form, subject and scale: "wave-quality · by default · our redesign · cpu"."""
        redesign = "our redesign" * (self.subject != SUBJECTS[0])
        return " · ".join(filter(None, (self.claim, self.form, redesign, self.scale)))

    @property
    def place(self) -> str:
        """Where the claim stands: "seed 003, Performance Characteristics"."""
        return ", ".join(filter(None, (self.source, self.section)))

    @property
    def effect(self) -> str:
        return "; ".join(filter(None, [*(finding.words for finding in self.findings), self.narrow])) or self.reason

    @property
    def lines(self) -> list[str]:
        """Every rule with its protocol and number, or why there is none; of a refuted claim what that means."""
        found = [f"{one.rule}" + (f" ({one.protocol})" if one.protocol else "") + f": {one.words}"
                 for one in self.findings]
        return (found or [self.reason]) + [self.narrow] * bool(self.narrow) + (
            [self.failure] if self.verdict == REFUTED else [])

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell for finding in self.findings for cell in finding.cells))
