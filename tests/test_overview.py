"""Verdicts by system: every claim has a row, their system and our redesign a column each, the plot its points."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.evidence.claims.claim import Claim, ClaimTest, Quantity, Rule
from harness.evidence.claims.overview import claims_drawing, overview
from harness.evidence.claims.table import counts
from harness.evidence.claims.verdict import RuleFinding, Verdict

RULE = Rule("ratio", Quantity("memory", "peak_bytes", "train"), "wave", "below", 0.5, "baseline")
CLAIM = Claim("memory", "half | the memory", "seed 003", "Abstract", "No.", (ClaimTest(RULE),), origin="wave")
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
