"""What a verdict on a claim is, and the finding on each of its rules. (no torch)

| verdict      | meaning                                                                                     |
|--------------|---------------------------------------------------------------------------------------------|
| confirmed    | the whole interval lies where the claim says; of several rules all do                       |
| refuted      | the whole interval lies elsewhere                                                           |
| inconclusive | neither; `power` says what so many repetitions would see                                    |
| undecided    | the controls do not separate: what must show the effect does not, or what cannot seems to;  |
|              | or both sides are at chance, or both at the ceiling                                         |
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
from .claim import SOURCE, SUBJECTS

Judgement = Literal[
    "confirmed", "refuted", "inconclusive", "undecided", "invalid", "unmeasurable", "not a claim", "not run"]
VERDICTS: tuple[Judgement, ...] = get_args(Judgement)
CONFIRMED, REFUTED, INCONCLUSIVE, UNDECIDED, INVALID, UNMEASURABLE, NOT_A_CLAIM, NOT_RUN = VERDICTS
DECIDABLE = (CONFIRMED, REFUTED, INCONCLUSIVE)          # what a number with its interval comes to
WORST_FIRST = (REFUTED, INVALID, NOT_RUN, UNMEASURABLE, UNDECIDED, INCONCLUSIVE, CONFIRMED)
TOLD = {UNDECIDED: "undecided here", NOT_A_CLAIM: "not a claim that a measurement decides"}


@dataclass(frozen=True)
class RuleFinding:
    """What became of one rule under a protocol: the number with its 95 % interval, its cells, and what it depends on.

    `positive` and `negative` are the findings of its controls, told by `name`: what they have in the rule's place.
    """

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
    cells: tuple[str, ...] = ()
    p: Finite | None = None                 # of the number lying at its threshold; None: exact, or not measured
    alone: Judgement | None = None          # what it would be by itself, where others of its source take that back
    sensitivity: str = ""                   # at which threshold its verdict turns
    power: str = ""                         # what so many repetitions would see, of one that is inconclusive
    because: str = ""                       # why the threshold is what it is
    positive: RuleFinding | None = None
    negative: RuleFinding | None = None
    uncontrolled: str = ""                  # why no control is needed
    name: str = ""

    @property
    def number(self) -> str:
        """The number with its interval, or why there is none."""
        if self.value is None or math.isinf(self.value):
            return self.reason
        return format_value(self.value, "x" if self.scale == "ratio" else self.unit, self.low, self.high)

    @property
    def words(self) -> str:
        """The number, and what qualifies it."""
        if self.value is None or math.isinf(self.value):
            return self.reason
        return "; ".join(filter(None, [self.number, self.overruled, self.power, self.controls]))

    @property
    def overruled(self) -> str:
        """Why its number does not decide, of one that has a number."""
        return self.reason if self.alone or self.verdict == UNDECIDED else ""

    @property
    def controls(self) -> str:
        """ "positive control ssm 0.75 ± 0.03, negative control baseline 0.00 ± 0.02 does not separate"."""
        roles = (("positive", self.positive, CONFIRMED), ("negative", self.negative, REFUTED))
        found = [f"{role} control {one.name} {one.number}" + " does not separate" * (one.verdict != wanted)
                 for role, one, wanted in roles if one]
        lacking = [role for role, one, _ in roles if not one]
        if found and lacking:
            found.append(f"without a {lacking[0]} control")
        return ", ".join(found) or ("" if self.uncontrolled else "without controls")

    @property
    def threshold(self) -> str:
        """Why the threshold is what it is."""
        return "the source's own number" if self.because == SOURCE else self.because or "without a stated reason"

    @property
    def facts(self) -> dict[str, str]:
        """What the number rests on, by heading; what is not known is left out."""
        controls = self.controls + f"uncontrolled: {self.uncontrolled}" * bool(self.uncontrolled)
        measured = self.value is not None
        return {heading: text for heading, text in {
            "protocol": self.protocol, "method": self.how, "threshold": self.threshold,
            "turns": self.sensitivity, "power": self.power,
            "controls": controls * measured}.items() if text}

    @property
    def everything(self) -> tuple[str, ...]:
        """Its cells and those of its controls."""
        return tuple(dict.fromkeys(cell for one in (self, self.positive, self.negative) if one for cell in one.cells))


def beside_controls(finding: RuleFinding) -> RuleFinding:
    """Undecided where its controls do not separate: what is measured says nothing of the claim, whatever it is."""
    separate = all(one.verdict == wanted for one, wanted in (
        (finding.positive, CONFIRMED), (finding.negative, REFUTED)) if one)
    if separate or finding.verdict not in DECIDABLE:
        return finding
    return replace(finding, verdict=UNDECIDED, power="")


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
    def command(self) -> str:
        """What measures it again."""
        return f"harness reproduce {self.claim}" + f" --scale {self.scale}" * (self.scale not in ("", "cpu"))

    @property
    def quoted(self) -> str:
        """The source's words, and whether they were put together."""
        return f"“{self.quote}”" + " (composed)" * self.composed

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
        return tuple(dict.fromkeys(cell for finding in self.findings for cell in finding.everything))
