"""Claims of one source are corrected together, again and again with the same outcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.evidence.claims.family import corrected
from harness.evidence.claims.measured import Measurement
from harness.evidence.claims.verdict import RuleFinding, Verdict
from harness.evidence.claims.verdict_file import load_verdicts, save_verdicts
from harness.evidence.statistics.student import Student, student_mean


def verdict(name, p, source="seed", judged="confirmed"):
    finding = RuleFinding("rule", judged, value=0.9, low=0.8, high=0.99, p=p)
    return Verdict(name, "quote", source, judged, findings=(finding,))


def test_what_chance_explains_among_many_is_inconclusive():
    found = corrected([verdict("a", 0.001), verdict("b", 0.04), verdict("c", 0.3, judged="inconclusive")])
    assert [one.verdict for one in found] == ["confirmed", "inconclusive", "inconclusive"]
    finding = found[1].findings[0]
    assert finding.alone == "confirmed"
    assert finding.reason == "confirmed alone (p = 0.04), not beside the 3 findings of its source (p = 0.08)"
    assert finding.reason in found[1].effect


def test_sources_are_families_of_their_own_and_counts_of_none():
    assert [one.verdict for one in corrected([verdict("a", 0.04), verdict("b", 0.04, "other")])] == ["confirmed"] * 2
    counted = replace(verdict("c", None, judged="refuted"), findings=(RuleFinding("rule", "refuted", value=3.0),))
    assert [one.verdict for one in corrected([verdict("a", 0.04), counted])] == ["confirmed", "refuted"]
    plain = Verdict("d", "quote", "seed", "unmeasurable", reason="why")
    assert corrected([plain]) == [plain]


def test_of_several_rules_the_worst_counts():
    rules = (RuleFinding("one", "confirmed", p=0.001), RuleFinding("two", "refuted", p=0.03))
    one = Verdict("a", "quote", "seed", "refuted", findings=rules)
    assert corrected([one])[0].verdict == "refuted"
    assert corrected([one, verdict("b", 0.9, judged="inconclusive")])[0].verdict == "inconclusive"


def test_correcting_again_changes_nothing_and_a_smaller_family_gives_it_back(tmp_path):
    verdicts = [verdict("a", 0.04), verdict("b", 0.04)]
    once = corrected(verdicts)
    assert [one.verdict for one in once] == ["inconclusive"] * 2 and corrected(once) == once
    assert corrected(once[:1]) == verdicts[:1]
    assert save_verdicts(tmp_path, verdicts) == once == load_verdicts(tmp_path)
    save_verdicts(tmp_path, [verdict("b", 0.001)])                              # measured better
    assert [one.verdict for one in load_verdicts(tmp_path)] == ["confirmed"] * 2


def test_families_of_true_ties_are_told_wrong_as_seldom_as_one():
    generator, wrong = np.random.default_rng(0), 0
    for _ in range(400):
        p_values = generator.random(20)
        family = [verdict(str(i), float(p), judged="confirmed" if p < 0.05 else "inconclusive")
                  for i, p in enumerate(p_values)]
        wrong += any(one.verdict == "confirmed" for one in corrected(family))
    assert wrong / 400 < 0.08


@pytest.mark.parametrize("ratio", [False, True])
@pytest.mark.parametrize("threshold", [1.0, 1.5])
def test_the_p_value_of_an_interval_is_that_of_its_t_test(ratio, threshold):
    values = [1.1, 1.35, 1.2, 1.18]
    student = student_mean([np.log(v) for v in values] if ratio else values)
    estimate = student.interval()
    if ratio:
        estimate = replace(estimate, value=np.exp(estimate.value), low=np.exp(estimate.low), high=np.exp(estimate.high))
    measured = Measurement(estimate, estimate, ratio)
    shifted = Student(student.value - (np.log(threshold) if ratio else threshold), student.variance, 3, 4)
    assert measured.p_of(threshold) == pytest.approx(shifted.p)


def test_what_is_exact_has_no_p_value():
    for ends in ((2.0, 2.0), (None, None)):
        estimate = replace(student_mean([2.0, 2.0]).interval(), low=ends[0], high=ends[1])
        assert Measurement(estimate, estimate).p_of(1.0) is None
