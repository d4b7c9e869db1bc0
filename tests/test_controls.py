"""Controls: a claim is decided where what must show its effect does and what cannot does not; else it is undecided."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic import SUITES, documents, failed, run, scored

from harness.evidence.claims.claim import SOURCE, Claim, ClaimTest, Quantity, Rule
from harness.evidence.claims.judging import judge_claim, judge_test
from harness.evidence.claims.verdict_file import load_verdicts, save_verdicts

BY_NAME = {suite.name: suite for suite in SUITES}
RULE = Rule("ratio", Quantity("perplexity", "bits_per_byte", "score"), "ssm", "below", 0.95, "baseline")
POSITIVE, NEGATIVE = (replace(RULE, of=name) for name in ("wave", "brain"))
TEST = ClaimTest(RULE, because=SOURCE, positive=POSITIVE, negative=NEGATIVE)


def scores(**effects):
    """Scores of three seeds, each plugin with its factor times the bits of the baseline."""
    generator = np.random.default_rng(0)
    sizes, bits = documents(generator)
    return run(*(scored(plugin, bits * factor * np.exp(generator.normal(0, 0.01, len(bits))), sizes, seed)
                 for plugin, factor in {"baseline": 1.0, **effects}.items() for seed in range(3)))


def judged(measured, test=TEST):
    return judge_test(test, (measured, measured), BY_NAME)


@pytest.mark.parametrize(("ours", "verdict"), [(0.9, "confirmed"), (1.0, "refuted"), (0.95, "inconclusive")])
def test_where_the_controls_separate_the_claim_is_judged(ours, verdict):
    finding = judged(scores(ssm=ours, wave=0.8, brain=1.0))
    assert (finding.verdict, finding.positive.verdict, finding.negative.verdict) == (verdict, "confirmed", "refuted")
    assert finding.controls.startswith("positive control wave 0.79") and "does not" not in finding.controls


@pytest.mark.parametrize(("wave", "brain", "which"), [
    (1.0, 1.0, "positive"), (0.8, 0.8, "negative"), (0.95, 1.0, "positive")])
@pytest.mark.parametrize("ours", [0.9, 1.0, 0.95])
def test_where_they_do_not_nothing_is_decided_and_both_are_told(ours, wave, brain, which):
    """At a floor the positive control shows nothing, at a ceiling the negative one as much: no verdict is given."""
    finding = judged(scores(ssm=ours, wave=wave, brain=brain))
    assert (finding.verdict, finding.power) == ("undecided", "")
    told = next(part for part in finding.controls.split(", ") if part.startswith(which))
    assert told.endswith("does not separate")
    assert all(str(one.value)[:3] in finding.words for one in (finding, finding.positive, finding.negative))


def test_a_control_whose_score_was_refused_separates_nothing():
    results = scores(ssm=0.9, wave=0.8, brain=1.0).results
    measured = run(*(failed(r, "audit_failed", "it leaks") if r.cell["plugin"] == "wave" else r for r in results))
    finding = judged(measured)
    assert (finding.verdict, finding.positive.verdict) == ("undecided", "invalid")
    assert "positive control wave no score: it leaks does not separate" in finding.words


def test_a_refused_score_stays_invalid_whatever_the_controls():
    results = scores(ssm=0.9, wave=0.8, brain=0.8).results
    measured = run(*(failed(r, "audit_failed", "it leaks") if r.cell["plugin"] == "ssm" else r for r in results))
    assert judged(measured).verdict == "invalid"


def test_what_lacks_controls_is_judged_and_says_so():
    measured = scores(ssm=0.9, wave=0.8)
    for test, words in ((replace(TEST, positive=None, negative=None), "without controls"),
                        (replace(TEST, negative=None), "without a negative control"),
                        (replace(TEST, positive=None, negative=None, uncontrolled="exact"), "")):
        finding = judged(measured, test)
        assert finding.verdict == "confirmed" and finding.controls.endswith(words)
    assert finding.facts["controls"] == "uncontrolled: exact"


def test_a_control_may_be_another_quantity():
    other = replace(RULE, quantity=replace(RULE.quantity, metric="nothing"))
    finding = judged(scores(ssm=0.9), replace(TEST, positive=other, negative=None))
    assert (finding.positive.name, finding.positive.verdict) == ("perplexity.nothing@score", "not run")


def test_controls_stand_in_the_verdict_and_on_disk(tmp_path):
    measured = scores(ssm=0.9, wave=1.0, brain=1.0)
    flags = (("params", "1M"), ("budget", "1M"), ("corpus", "pydoc"))
    claim = Claim("ours", "better", "a paper", "Abstract", "It is not.", (replace(TEST, flags=flags),))
    verdict, = judge_claim(claim, "cpu", lambda test: (measured, measured), BY_NAME)
    assert verdict.told == "undecided here at 1M parameters and 1M bytes of text (pydoc)"
    assert len(verdict.cells) == 12                             # those of the controls are among them
    save_verdicts(tmp_path, [verdict])
    assert load_verdicts(tmp_path) == [verdict]
    assert verdict.findings[0].facts["threshold"] == "the source's own number"
