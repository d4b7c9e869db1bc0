"""Judging a claim: an interval wholly beyond its threshold confirms it, one wholly short refutes it. (no torch)

A claim that two things are the same is judged by the equivalence test at 5 %: an interval that reaches beyond the
margin does not confirm it. The controls of a test are judged by the same rule, and where they do not separate nothing
is decided; nor where both sides are at a floor or a ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ...reading import Run
from ...suite import Suite
from .claim import Claim, ClaimTest, Rule
from .floor import beside_ends
from .measured import Measurement, NoMeasurement, ScoreRefused
from .measurement import measure
from .scope import reach, too_narrow
from .sensitivity import power_of, sensitivity
from .verdict import (
    CONFIRMED,
    INCONCLUSIVE,
    INVALID,
    NOT_A_CLAIM,
    NOT_RUN,
    REFUTED,
    UNMEASURABLE,
    Judgement,
    RuleFinding,
    Verdict,
    beside_controls,
)

Sides = tuple[Run, Run]                     # cells that measure a test's plugin, and what it is compared with
Measurements = Callable[[ClaimTest], Sides | str]       # of a test, or what is missing of them


def judge_claim(claim: Claim, scale: str, measurements: Measurements, suites: dict[str, Suite]) -> list[Verdict]:
    """A verdict for every form and subject of which the claim is tested at this scale; one that says why where it is
    not."""
    plain = Verdict(claim.id, claim.quote, claim.source, NOT_A_CLAIM if claim.no_claim else UNMEASURABLE,
                    reason=claim.no_claim or claim.unmeasurable, failure=claim.failure, section=claim.section,
                    composed=claim.composed)
    if plain.reason:
        return [plain]
    forms: dict[tuple[str, str], list[ClaimTest]] = {}
    for test in claim.tests:
        if test.scale == scale:
            forms.setdefault((test.form, test.subject), []).append(test)
    if not forms:
        other = next(test.scale for test in claim.tests)
        device = "an NVIDIA GPU" if other == "gpu" else "a CPU"
        return [replace(plain, verdict=NOT_RUN, scale=other,
                        reason=f"needs {device}: harness reproduce {claim.id} --scale {other}")]
    verdicts = []
    for (form, subject), tests in forms.items():
        findings = tuple(judge_test(test, measurements(test), suites) for test in tests)
        verdicts.append(replace(plain, form=form, subject=subject, scale=scale, at=reach(tests),
                                narrow=too_narrow(tests, suites)).concluded(findings))
    return verdicts


def judge_test(test: ClaimTest, runs: Sides | str, suites: dict[str, Suite]) -> RuleFinding:
    """The finding of a test beside those of its controls, and beside the ends of what is possible."""
    finding = replace(judge_rule(test.rule, runs, suites), protocol=test.words, because=test.because,
                      uncontrolled=test.uncontrolled)
    if isinstance(runs, str):
        return finding
    positive, negative = (
        replace(judge_rule(rule, runs, suites), name=_in_its_place(rule, test.rule)) if rule else None
        for rule in (test.positive, test.negative))
    controlled = beside_controls(replace(finding, positive=positive, negative=negative))
    return beside_ends(controlled, test.rule, *runs, suites)


def _in_its_place(control: Rule, rule: Rule) -> str:
    """What a control has in the place of the rule's own."""
    names = ((control.of, rule.of), (str(control.quantity), str(rule.quantity)))
    return " ".join(own for own, other in names if own != other)


def judge_rule(rule: Rule, runs: Sides | str, suites: dict[str, Suite]) -> RuleFinding:
    """The finding of one rule from the cells of its protocol; a text says what is missing of them."""
    if isinstance(runs, str):
        return RuleFinding(str(rule), NOT_RUN, reason=runs)
    try:
        measured = measure(rule, *runs, suites)
    except NoMeasurement as missing:
        return RuleFinding(str(rule), NOT_RUN, reason=str(missing))
    except ScoreRefused as refusal:
        refused: Judgement = UNMEASURABLE if refusal.both else INVALID
        cells = tuple(r.id for r in runs[0].results if any(row.status == "audit_failed" for row in r.rows))
        return RuleFinding(str(rule), refused, reason=f"no score: {refusal}", cells=cells)
    verdict, estimate = decide(rule, measured), measured.estimate
    reason = f"infinitely more: {measured.how}" if math.isinf(estimate.value) else ""       # a file has no infinity
    return RuleFinding(
        str(rule), verdict, "", estimate.value, estimate.low, estimate.high, "ratio" if measured.ratio else "value",
        measured.unit, measured.how, reason, measured.cells, _p_value(rule, measured),
        sensitivity=sensitivity(rule, measured), power=power_of(rule, measured) if verdict == INCONCLUSIVE else "")


def _p_value(rule: Rule, measured: Measurement) -> float | None:
    """Of the number lying at the nearer end of the zone that confirms."""
    found = [measured.p_of(end) for end in _zone(rule, measured.ratio) if math.isfinite(end)]
    return max((p for p in found if p is not None), default=None)


def decide(rule: Rule, measured: Measurement) -> Judgement:
    """Where the interval lies beside the zone that confirms."""
    estimate, low, high = measured.estimate, *_zone(rule, measured.ratio)
    tested = measured.tight if rule.confirms == "equals" else estimate
    if estimate.low is None or estimate.high is None or tested.low is None or tested.high is None:
        return INCONCLUSIVE
    closed = rule.confirms == "equals" or math.isinf(tested.high)               # more than any threshold lies above it
    if (low <= tested.low and tested.high <= high) if closed else (low < tested.low and tested.high < high):
        return CONFIRMED
    outside = (estimate.high < low or estimate.low > high) if closed else (estimate.high <= low or estimate.low >= high)
    return REFUTED if outside else INCONCLUSIVE


def _zone(rule: Rule, ratio: bool) -> tuple[float, float]:
    """Where the number must lie."""
    threshold, margin = rule.threshold, rule.margin
    if rule.confirms == "below":
        return -math.inf, threshold
    if rule.confirms == "above":
        return threshold, math.inf
    if rule.kind == "count" or ratio:
        ends = sorted((threshold / (1 + margin), threshold * (1 + margin)))
        return ends[0], ends[1]
    return -margin, margin                  # two numbers that have no ratio, such as accuracies
