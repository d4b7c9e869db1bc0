"""The page of one claim: its words, how each form is tested, and what was found. (no torch)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .claim import SOURCE, SUBJECTS, Claim, ClaimTest
from .standing import EARLIER, stands
from .verdict import REFUTED, RuleFinding, Verdict


@dataclass(frozen=True)
class Part:
    """A heading and the facts below it, each with its name."""

    heading: str
    facts: tuple[tuple[str, str], ...]


def page(claim: Claim, verdicts: Sequence[Verdict]) -> list[Part]:
    """What the source says; then every form, subject and scale in which it is tested, with the verdict where it has
    one."""
    place = ", ".join(filter(None, (claim.source, claim.section)))
    words = f"“{claim.quote}”" + " (composed)" * claim.composed
    parts = [Part(claim.id, _kept(("words", words), ("source", place), ("tested as", claim.detail),
                                  ("if refuted", claim.failure), ("unmeasurable", claim.unmeasurable),
                                  ("not a claim", claim.no_claim)))]
    forms = dict.fromkeys((test.form, test.subject, test.scale) for test in claim.tests)
    for form in forms:
        tests = [test for test in claim.tests if (test.form, test.subject, test.scale) == form]
        verdict = next((one for one in verdicts if (one.form, one.subject, one.scale) == form and one.findings), None)
        parts.append(_of_form(claim, tests, verdict))
    return parts


def _of_form(claim: Claim, tests: Sequence[ClaimTest], verdict: Verdict | None) -> Part:
    first = tests[0]
    subject = "our redesign" if first.subject != SUBJECTS[0] else "the published system"
    heading = " · ".join(filter(None, (first.form, subject, first.scale)))
    earlier = f" ({EARLIER})" if verdict and not stands(claim, verdict) else ""
    facts = [("verdict", verdict.told + earlier if verdict else "not measured here")]
    if verdict:
        facts += _kept(("because", verdict.narrow), ("which means", claim.failure * (verdict.verdict == REFUTED)))
    findings = {one.rule: one for one in verdict.findings} if verdict else {}
    for test in tests:
        facts += _of_test(test, findings.get(str(test.rule)))
    plain = Verdict(claim.id, claim.quote, claim.source, "not run", scale=first.scale)
    facts.append(("again", (verdict or plain).command))
    return Part(heading, tuple(facts))


def _of_test(test: ClaimTest, finding: RuleFinding | None) -> Iterator[tuple[str, str]]:
    """The rule and what was found; without a finding the protocol alone."""
    yield "rule", str(test.rule)
    if finding:
        yield "measured", f"{finding.number}: {finding.verdict}"
        yield from _kept(("because", finding.overruled * (finding.number != finding.overruled)))
        yield from finding.facts.items()
        yield from _kept(("cells", " ".join(finding.everything)))
        return
    because = "the source's own number" if test.because == SOURCE else test.because
    controls = [f"{role} {rule}" for role, rule in (("positive", test.positive), ("negative", test.negative)) if rule]
    yield from _kept(("protocol", test.words), ("threshold", because), ("controls", "; ".join(controls)),
                     ("uncontrolled", test.uncontrolled), ("models", ", ".join(test.plugins)))


def _kept(*facts: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in facts if text)
