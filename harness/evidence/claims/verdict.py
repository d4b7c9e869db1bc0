"""What a verdict on a claim is, and the finding on each of its rules. (no torch)

| verdict      | meaning                                                                             |
|--------------|-------------------------------------------------------------------------------------|
| confirmed    | the whole interval lies where the claim says; of several rules all do               |
| refuted      | the whole interval lies elsewhere, or the score is of a model that failed its audit |
| inconclusive | neither; `further` says how many more repetitions would decide                      |
| unmeasurable | no measurement decides it, and why                                                  |
| not run      | what is missing: a GPU, data, time                                                  |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ...untrusted import Finite
from ..format import format_value

Judgement = Literal["confirmed", "refuted", "inconclusive", "unmeasurable", "not run"]
VERDICTS: tuple[Judgement, ...] = get_args(Judgement)
CONFIRMED, REFUTED, INCONCLUSIVE, UNMEASURABLE, NOT_RUN = VERDICTS


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
    return next(one for one in (REFUTED, NOT_RUN, UNMEASURABLE, INCONCLUSIVE, CONFIRMED) if one in found)


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

    @property
    def told(self) -> str:
        """With the scale that it holds at: "refuted at 100k parameters and 300k bytes of text"."""
        return " ".join(filter(None, (self.verdict, self.at)))

    def concluded(self, findings: Sequence[RuleFinding]) -> Verdict:
        """What follows from the findings. A score that was refused refutes however narrow the tests are."""
        verdict = worst(findings)
        refused = any(one.verdict == REFUTED and one.value is None for one in findings)
        if self.narrow and verdict in (CONFIRMED, REFUTED) and not refused:
            verdict = INCONCLUSIVE
        return replace(self, verdict=verdict, findings=tuple(findings))

    @property
    def name(self) -> str:
        """The claim with its form and scale: "wave-quality · by default · cpu"."""
        return " · ".join(filter(None, (self.claim, self.form, self.scale)))

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
