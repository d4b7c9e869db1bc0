"""Verdicts by system: every claim has a row, their system and our redesign a column each, the plot its points."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.evidence.claims.claim import Claim, ClaimTest, Quantity, Rule
from harness.evidence.claims.overview import claims_drawing, overview
from harness.evidence.claims.standing import standing_counts, stands
from harness.evidence.claims.table import counts
from harness.evidence.claims.verdict import RuleFinding, Verdict

RULE = Rule("ratio", Quantity("memory", "peak_bytes", "train"), "wave", "below", 0.5, "baseline")
TESTS = (ClaimTest(RULE, "as published"), ClaimTest(RULE, "by default", subject="redesign"))
CLAIM = Claim("memory", "half | the memory", "seed 003", "Abstract", "No.", TESTS, origin="wave")
OTHER = replace(CLAIM, id="words", tests=(), no_claim="a definition")
FINDING = RuleFinding(str(RULE), "refuted", value=1.0, low=0.9, high=1.2, scale="ratio")
VERDICTS = [
    Verdict("memory", "q", "seed 003", "refuted", "as published", "cpu", findings=(FINDING,), at="at 100k parameters"),
    Verdict("memory", "q", "seed 003", "confirmed", "by default", "cpu", subject="redesign",
            findings=(replace(FINDING, verdict="confirmed", value=0.25, low=0.2, high=0.3),)),
    Verdict("words", "q", "seed 003", "not a claim", reason="a definition"),
    Verdict("gone", "q", "seed 003", "refuted")]
REGISTRY = SimpleNamespace(models={"wave": SimpleNamespace(summary="waves")})


def test_subjects_are_counted_apart():
    assert counts(VERDICTS[:3]) == [
        "of 2 claims about the published systems, in 2 forms: 1 refuted, 1 not a claim that a measurement decides",
        "of 1 claim about our redesigns, in 1 form: 1 confirmed"]
    assert counts([]) == []


def test_every_claim_has_a_row_with_either_subject():
    text = overview(REGISTRY, {one.id: one for one in (CLAIM, OTHER)}, VERDICTS)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `memory`: “half \\| the memory” | as published: **refuted** at 100k parameters: 1.00 +0.20 -0.10× "
        "| by default: **confirmed**: 0.25 ± 0.05× |",
        "| `words`: “half \\| the memory” | **not a claim**: a definition | – |"]
    assert "## wave" in text and "(wave.svg)" in text and "gone" not in text


EARLIER_RULE = str(replace(RULE, threshold=0.6))
ALL = {one.id: one for one in (CLAIM, OTHER)}


@pytest.mark.parametrize(("verdict", "standing"), [
    (VERDICTS[0], True), (VERDICTS[1], True), (VERDICTS[2], True),
    (replace(VERDICTS[0], findings=(replace(FINDING, rule=EARLIER_RULE),)), False),
    (replace(VERDICTS[0], findings=(replace(FINDING, protocol="seeds 2"),)), False),
    (replace(VERDICTS[0], findings=(FINDING, replace(FINDING, protocol="seeds 2"))), False),
    (replace(VERDICTS[0], form="by default"), False),           # which is a form of our redesign alone
    (replace(VERDICTS[0], scale="gpu"), False),
    (replace(VERDICTS[2], verdict="unmeasurable"), False), (replace(VERDICTS[2], reason="a design"), False),
    (replace(VERDICTS[0], verdict="not run", findings=()), True),
    (replace(VERDICTS[0], verdict="not run", findings=(), scale="gpu"), False)])
def test_a_verdict_stands_while_the_claim_has_its_rules_and_protocols(verdict, standing):
    assert stands(ALL[verdict.claim], verdict) == standing


def test_a_rule_under_a_second_protocol_is_not_yet_judged():
    """Both must hold; a verdict on one of them is by less than the claim asks now."""
    wider = replace(CLAIM, tests=(*TESTS, replace(TESTS[0], flags=(("seeds", 4),))))
    assert (stands(wider, VERDICTS[0]), stands(wider, VERDICTS[1])) == (False, True)


def test_a_verdict_without_the_present_controls_does_not_stand():
    control = replace(RULE, of="ssm")
    claim = replace(CLAIM, tests=(replace(TESTS[0], positive=control),))
    beside = replace(FINDING, positive=RuleFinding(str(control), "confirmed"))
    found = [stands(claim, replace(VERDICTS[0], findings=(finding,))) for finding in (
        FINDING, beside, replace(beside, positive=RuleFinding("another", "confirmed")),
        replace(FINDING, verdict="not run", value=None))]
    assert found == [False, True, False, True]


def test_of_a_mixed_state_only_verdicts_by_present_rules_are_counted_and_the_others_are_marked():
    old = replace(VERDICTS[0], findings=(replace(FINDING, rule=EARLIER_RULE),))
    mixed = [old, *VERDICTS[1:]]
    lines = ["of 1 claim about the published systems, in 1 form: 1 not a claim that a measurement decides",
             "of 1 claim about our redesigns, in 1 form: 1 confirmed", "by earlier rules, not measured anew since: 1"]
    assert standing_counts(ALL, mixed) == lines
    text = overview(REGISTRY, ALL, mixed)
    assert text.count("\n".join(f"- {line}" for line in lines)) == 2          # of all systems, and of this one
    row, = (line for line in text.splitlines() if line.startswith("| `memory`"))
    assert "1.00 +0.20 -0.10× (by an earlier rule) |" in row and row.count("earlier") == 1
    assert standing_counts(ALL, [old]) == lines[-1:]
    assert "earlier" not in overview(REGISTRY, ALL, VERDICTS)


@pytest.mark.parametrize(("confirms", "places"), [("below", (0.5, 2.0)), ("above", (2.0, 0.5))])
def test_a_point_lies_to_the_right_where_the_claim_is_surpassed(confirms, places):
    """Half of what was claimed at 0.5, twice at 2."""
    rule = replace(RULE, confirms=confirms)
    claim = replace(CLAIM, tests=(ClaimTest(rule),))
    found = [replace(one, findings=tuple(replace(f, rule=str(rule)) for f in one.findings)) for one in VERDICTS[:2]]
    drawn = claims_drawing("wave", [claim], found).body["data"]["values"]
    assert [one["value"] for one in drawn] == pytest.approx(places)


def test_what_has_no_number_has_no_plot():
    assert claims_drawing("wave", [CLAIM], VERDICTS[2:]) is None
