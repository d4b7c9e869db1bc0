"""Floors and ceilings: two accuracies at the same end decide nothing, whatever their difference; elsewhere they do."""

from dataclasses import replace

import pytest
from synthetic import SUITES, finished, row, run

from harness import Cell, stats
from harness.evidence.claims.claim import Claim, ClaimTest, Quantity, Rule
from harness.evidence.claims.floor import CEILING, FLOOR, same_end
from harness.evidence.claims.judging import judge_test
from harness.evidence.claims.page import page
from harness.evidence.claims.verdict import Verdict

BY_NAME = {suite.name: suite for suite in SUITES}
TEXTS, CHANCE = 256, 1 / 32
RULE = Rule("difference", Quantity("abilities", "accuracy:mqar:64x4", "score"), "ssm", "above", 0.05, "baseline")


def asked(metric="accuracy:mqar:64x4", chance=CHANCE, **shares):
    """A run in which each plugin has an accuracy for every seed, with Wilson's interval over TEXTS texts."""
    results = []
    for plugin, values in shares.items():
        for seed, share in enumerate(values):
            cell = Cell("abilities", plugin, seed=seed, seq_len=64, protocol=(("task", "mqar:64x4"),))
            found = stats.share_interval(share, TEXTS)
            rows = [row(cell, metric, share, better="higher", phase="score", ci_low=found.low, ci_high=found.high)]
            if chance is not None:
                rows.append(row(cell, "chance:mqar:64x4", chance, better="", phase="score"))
            results.append(finished(cell, rows))
    return run(*results)


def judged(measured, rule=RULE, **controls):
    return judge_test(ClaimTest(rule, **controls), (measured, measured), BY_NAME)


@pytest.mark.parametrize(("ours", "theirs", "verdict", "reason"), [
    ([0.03, 0.04, 0.03, 0.04], [0.03, 0.03, 0.04, 0.02], "undecided", FLOOR),           # else refuted
    ([0.99, 1.0, 1.0, 0.99], [0.99, 0.98, 0.99, 0.99], "undecided", CEILING),
    ([0.03, 0.04, 0.03, 0.04], [0.9, 0.91, 0.9, 0.92], "refuted", ""),                  # one side has learned it
    ([0.9, 0.91, 0.9, 0.92], [0.03, 0.04, 0.03, 0.04], "confirmed", ""),
    ([0.5, 0.51, 0.5, 0.52], [0.5, 0.5, 0.51, 0.51], "refuted", ""),                    # both half of it
    ([0.03, 0.03, 0.03, 0.9], [0.03, 0.03, 0.03, 0.03], "inconclusive", ""),            # it set in once
    ([0.03, 0.04, 0.03, 0.04], [1.0, 1.0, 1.0, 1.0], "refuted", ""),                    # opposite ends
])
def test_only_where_both_sides_lie_at_one_end_nothing_is_decided(ours, theirs, verdict, reason):
    finding = judged(asked(ssm=ours, baseline=theirs))
    assert (finding.verdict, finding.reason) == (verdict, reason)
    assert finding.value == pytest.approx(sum(ours) / 4 - sum(theirs) / 4)
    assert (reason in finding.words) and (verdict == "undecided") == bool(finding.overruled)


def test_a_large_difference_of_two_that_know_nothing_is_no_confirmation():
    """Far apart by the threshold of the claim, and neither above what guessing may give."""
    low = replace(RULE, threshold=0.001)
    measured = asked(ssm=[0.045] * 4, baseline=[0.02] * 4)
    assert judged(measured, low).verdict == "undecided"
    assert judged(asked(ssm=[0.045] * 4, baseline=[0.02] * 4, chance=None), low).verdict == "confirmed"


def test_a_test_of_the_task_has_the_chance_of_the_task():
    rule = replace(RULE, quantity=replace(RULE.quantity, metric="accuracy@512:mqar:64x4"))
    measured = asked("accuracy@512:mqar:64x4", ssm=[0.03] * 4, baseline=[0.03] * 4)
    assert same_end(rule, measured, measured, BY_NAME) == FLOOR


def test_controls_are_judged_without_it():
    """A negative control is at the floor by design: that refutes the effect of it, and the claim is judged."""
    negative = replace(RULE, of="wave")
    measured = asked(ssm=[0.9, 0.91, 0.9, 0.92], baseline=[0.03] * 4, wave=[0.03, 0.02, 0.03, 0.03])
    finding = judged(measured, negative=negative)
    assert (finding.verdict, finding.negative.verdict) == ("confirmed", "refuted")


def test_bounds_and_other_quantities_have_no_end():
    measured = asked(ssm=[0.03] * 4, baseline=[0.03] * 4)
    assert same_end(replace(RULE, kind="bound", to=""), measured, measured, BY_NAME) == ""
    other = replace(RULE, quantity=Quantity("abilities", "chance:mqar:64x4", "score"))
    assert same_end(other, measured, measured, BY_NAME) == ""


def test_the_page_of_the_claim_says_why():
    test = ClaimTest(RULE, form="a")
    measured = asked(ssm=[0.03, 0.04, 0.03, 0.04], baseline=[0.03, 0.03, 0.04, 0.02])
    finding = judge_test(test, (measured, measured), BY_NAME)
    claim = Claim("ours", "better", "a paper", "Abstract", "It is not.", (test,))
    verdict = Verdict("ours", "better", "a paper", "undecided", "a", "cpu", findings=(finding,))
    facts = page(claim, [verdict])[1].facts
    assert ("because", FLOOR) in facts
