"""Verdicts: what is planted is found, what is the same is told so, and nothing is told that the cells do not show."""

import json
from dataclasses import replace

import numpy as np
import pytest
from synthetic import SUITES, documents, failed, group, row, run, scored, timed, weighed

from harness import Cell
from harness.errors import FileError
from harness.evidence.claims.claim import Claim, ClaimTest, Quantity, Rule
from harness.evidence.claims.judging import judge_claim, judge_rule
from harness.evidence.claims.verdict import RuleFinding
from harness.evidence.claims.verdict_file import FILE, load_verdicts, save_verdicts

BY_NAME = {suite.name: suite for suite in SUITES}
BITS = Quantity("perplexity", "bits_per_byte", "score")
SECONDS = Quantity("scaling", "step_time_s", "train")


def rule(kind="ratio", quantity=BITS, of="ssm", to="baseline", confirms="below", threshold=1.0, **fields):
    return Rule(kind, quantity, of, confirms, threshold, to, **fields)


def scores(effect, seeds=3, noise=0.01, n=30, seed=0):
    """Both systems on the same documents under several seeds; ssm has `effect` times the bits."""
    generator = np.random.default_rng(seed)
    sizes, bits = documents(generator, n)
    results = []
    for number in range(seeds):
        for plugin, factor in (("baseline", 1.0), ("ssm", effect)):
            common = factor * np.exp(generator.normal(0, noise / 3))
            results.append(scored(plugin, bits * common * np.exp(generator.normal(0, noise, n)), sizes, number))
    return run(*results)


def found(measured, *rules):
    return [judge_rule(one, (measured, measured), BY_NAME) for one in rules]


# Controls

def test_the_same_system_twice_is_the_same():
    same = rule("equality", confirms="equals", threshold=1.0, margin=0.02)
    finding, better, worse = found(scores(1.0), same, rule(threshold=0.97), rule(threshold=1.03))
    assert (finding.verdict, better.verdict, worse.verdict) == ("confirmed", "refuted", "confirmed")
    assert finding.low < 1 < finding.high and len(finding.cells) == 6


@pytest.mark.parametrize(("effect", "verdict"), [(0.9, "confirmed"), (1.1, "refuted")])
def test_a_planted_difference_of_scores_is_found(effect, verdict):
    finding, = found(scores(effect), rule())
    assert finding.verdict == verdict
    assert finding.low < effect < finding.high
    assert "paired by document" in finding.how


def test_a_model_that_no_width_brings_near_the_size_says_so():
    measured = scores(0.9)
    assert "parameters" not in found(measured, rule())[0].how
    for result in measured.results:
        result.rows[0].params = 600_000 if result.cell["plugin"] == "ssm" else 299_000
    assert found(measured, rule())[0].how.endswith("; ssm has 600k parameters, and no width is nearer to 300k")


def test_what_differs_is_not_the_same():
    finding, = found(scores(1.1), rule("equality", confirms="equals", threshold=1.0, margin=0.02))
    assert finding.verdict == "refuted"


def test_false_verdicts_at_the_threshold_are_rare():
    """Of systems that lie exactly at the threshold about one in twenty is confirmed or refuted, by chance."""
    verdicts = [found(scores(1.0, seed=seed), rule())[0].verdict for seed in range(60)]
    assert verdicts.count("confirmed") + verdicts.count("refuted") <= 8


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "inconclusive"), (1.3, "refuted"), (0.7, "confirmed")])
def test_timings_are_paired_by_round_within_the_noise_of_the_control(factor, verdict):
    measured = run(*group(np.random.default_rng(1), plugins=(("baseline", 1.0), ("ssm", factor))))
    finding, = found(measured, rule(quantity=SECONDS, at=256))
    assert finding.verdict == verdict
    assert "identical code differs by up to" in finding.how


def test_a_difference_below_the_noise_floor_is_told_by_nobody():
    """Rounds agree to a part in a thousand, the control is off by a tenth: 5 % are no difference."""
    generator = np.random.default_rng(2)
    base = np.exp(generator.normal(0, 0.001, 12))
    results = [timed("baseline", base, base * 1.1), timed("ssm", base * 0.95)]
    finding, = found(run(*results), rule(quantity=SECONDS))
    assert finding.verdict == "inconclusive" and finding.power.startswith("in 80 % of runs 12 rounds see a distance")


# Kinds

def test_a_bound_is_of_seeds_by_student():
    measured = scores(1.0)
    value = np.mean([r.rows[0].value for r in measured.results if r.cell["plugin"] == "ssm"])
    verdicts = [found(measured, rule("bound", to="", threshold=value * factor))[0].verdict for factor in (0.8, 1, 1.2)]
    assert verdicts == ["refuted", "inconclusive", "confirmed"]


@pytest.mark.parametrize("one", [{}, {"kind": "bound", "to": "", "threshold": 1e-9}, {"kind": "slope", "to": ""}])
def test_what_was_measured_once_decides_nothing(one):
    """Neither two peaks, however far apart, nor one against a bound, nor their growth."""
    peaks = run(*(weighed(plugin, "peak_bytes", value * length, seq_len=length) for length in (256, 512)
                  for plugin, value in (("ssm", 9000.0), ("baseline", 1.0))))
    finding, = found(peaks, rule(quantity=Quantity("memory", "peak_bytes", "train"),
                                 **{"at": 0 if one.get("kind") == "slope" else 256} | one))
    assert (finding.verdict, finding.low, finding.power) == (
        "inconclusive", None, "no interval: it was measured once")


@pytest.mark.parametrize(("ours", "theirs", "confirms", "threshold", "verdict", "words"), [
    (4e6, 0.0, "below", 0.5, "refuted", "infinitely more: 4e+06 to 0"), (4e6, 0.0, "above", 2.0, "confirmed", "infin"),
    (0.0, 4e6, "below", 0.5, "confirmed", "0×"), (0.0, 0.0, "below", 0.5, "refuted", "1×")])
def test_a_ratio_to_nothing_is_infinite_and_of_nothing_zero(ours, theirs, confirms, threshold, verdict, words):
    measured = run(weighed("ssm", "state_bytes_per_sequence", ours),
                   weighed("baseline", "state_bytes_per_sequence", theirs))
    quantity = Quantity("memory", "state_bytes_per_sequence", "train")
    finding, = found(measured, rule(quantity=quantity, confirms=confirms, threshold=threshold))
    assert finding.verdict == verdict
    assert words in finding.words


def test_a_state_of_no_bytes_does_not_grow():
    results = [weighed("ssm", "state_bytes_per_sequence", 0.0, seq_len=length) for length in (256, 512)]
    finding, = found(run(*results), rule("slope", Quantity("memory", "state_bytes_per_sequence", "train"), to="",
                                         threshold=0.1))
    assert (finding.verdict, finding.value) == ("confirmed", 0.0)


def test_what_an_audit_finds_of_given_weights_is_exact():
    cell = Cell("audit", "ssm")
    rows = [row(cell, "split law", 5.0, unit="std")]
    measured = run(replace(weighed("ssm", "x", 1.0), cell=cell.record(), rows=rows))
    finding, = found(measured, rule("bound", Quantity("audit", "split law", ""), to="", threshold=0.01))
    assert (finding.verdict, finding.low, finding.high) == ("refuted", 5.0, 5.0)


@pytest.mark.parametrize(("value", "verdict"), [(16_420_584, "confirmed"), (16_500_000, "refuted")])
def test_a_count_is_exact_within_its_margin(value, verdict):
    cell = Cell("counts", "ssm")
    measured = run(replace(weighed("ssm", "x", 1.0), cell=cell.record(),
                           rows=[row(cell, "total_parameters", value)]))
    counted = rule("count", Quantity("counts", "total_parameters"), to="", confirms="equals", threshold=16.4e6,
                   margin=0.005)
    finding, = found(measured, counted)
    assert (finding.verdict, finding.value) == (verdict, value)


@pytest.mark.parametrize(("power", "verdict"), [(1.0, "confirmed"), (2.0, "refuted")])
def test_a_slope_is_of_rounds(power, verdict):
    generator = np.random.default_rng(3)
    results = [timed("ssm", 1e-3 * length**power * np.exp(generator.normal(0, 0.01, 9)), seq_len=length)
               for length in (256, 512, 1024)]
    finding, = found(run(*results), rule("slope", SECONDS, to="", threshold=1.5))
    assert (finding.verdict, round(finding.value)) == (verdict, round(power))


def test_a_slope_of_counted_values_is_exact():
    results = [weighed("ssm", "state_bytes_per_sequence", 64.0, seq_len=length) for length in (256, 512, 1024)]
    quantity = Quantity("memory", "state_bytes_per_sequence", "train")
    finding, = found(run(*results), rule("slope", quantity, to="", threshold=0.1))
    assert (finding.verdict, finding.low, finding.high) == ("confirmed", 0, 0)


def test_counts_that_bend_are_told_by_their_end():
    """64 + T bytes grow with an exponent that comes near 1: a straight line through all lengths would hide that."""
    results = [weighed("ssm", "state_bytes_per_sequence", 64.0 + n, seq_len=n) for n in (32, 64, 4096, 8192)]
    quantity = Quantity("memory", "state_bytes_per_sequence", "train")
    finding, = found(run(*results), rule("slope", quantity, to="", threshold=0.9))
    assert finding.verdict == "refuted" and finding.value == pytest.approx(0.989, abs=0.001)
    assert "local slopes go from 0.42 to 0.99" in finding.how


def test_a_slope_is_judged_beside_the_anchors_of_its_groups():
    """Each length has a clock of its own: alone its slope is inconclusive, over the anchors confirmed."""
    generator, results = np.random.default_rng(5), []
    for length, clock in ((256, 1.0), (512, 1.4), (1024, 0.9)):
        for role, base in (("time", 1e-3 * length**2), ("anchor", 1.0)):
            one = timed("ssm", base * clock * np.exp(generator.normal(0, 0.01, 9)), seq_len=length)
            if role == "anchor":
                cell = {**one.cell, "id": f"anchor {length}", "protocol": {"role": role}}
                one = replace(one, cell=cell, rows=[], raw={role: one.raw["train"]})
            results.append(one)
    one = rule("slope", SECONDS, to="", confirms="above", threshold=1.8)
    alone, = found(run(*(result for result in results if "train" in result.raw)), one)
    beside, = found(run(*results), one)
    assert (alone.verdict, beside.verdict) == ("inconclusive", "confirmed")
    assert "drift" in alone.how and "over an anchor in every group" in beside.how


def test_cases_of_one_cell_are_paired_by_round():
    cell, generator = Cell("kernels", "ssm"), np.random.default_rng(4)
    drift = np.exp(np.cumsum(generator.normal(0, 0.1, 11)))
    raw = {name: (factor * drift).tolist() for name, factor in (("ours", 0.9), ("theirs", 1.0))}
    result = replace(weighed("ssm", "x", 1.0), cell=cell.record(), raw=raw, rows=[
        row(cell, f"time_s:{name}", float(np.median(values)), unit="s") for name, values in raw.items()])
    ours, theirs = (Quantity("kernels", f"time_s:{name}") for name in raw)
    finding, = found(run(result), rule(quantity=ours, to="", to_quantity=theirs, threshold=0.95))
    assert finding.verdict == "confirmed" and finding.value == pytest.approx(0.9)


def test_shares_are_compared_by_their_difference():
    def asked(plugin, share, seed):
        cell = Cell("recall", plugin, seed=seed, seq_len=64)
        return replace(weighed(plugin, "x", 1.0), cell=cell.record(),
                       rows=[row(cell, "mqar_accuracy", share, better="higher", phase="score")])

    results = [asked(plugin, share + seed / 100, seed) for plugin, share in (("ssm", 0.5), ("baseline", 0.2))
               for seed in range(3)]
    quantity = Quantity("recall", "mqar_accuracy", "score")
    finding, = found(run(*results), rule("difference", quantity, confirms="above", threshold=0.2))
    assert (finding.verdict, finding.scale) == ("confirmed", "value")
    assert finding.value == pytest.approx(0.3)


@pytest.mark.parametrize(("asked", "verdict"), [("accuracy@256:needle", "invalid"), ("accuracy:needle", "invalid"),
                                                ("accuracy:copy", "confirmed"), ("accuracy@256:copy", "not run")])
def test_a_task_that_an_audit_refused_has_no_number_of_any_of_its_tests_and_others_have(asked, verdict):
    """What the suite says of a model that fails: one row, of the task."""
    results = []
    for task, status in (("needle", "audit_failed"), ("copy", "ok")):
        cell = Cell("abilities", "ssm", protocol={"task": task})
        value = {"value": 0.9, "ci_low": 0.85, "ci_high": 0.94} if status == "ok" else {"reason": "it leaks"}
        told = row(cell, f"accuracy:{task}", value.pop("value", None), phase="score", status=status, **value)
        results.append(replace(weighed("ssm", "x", 1.0), cell=cell.record(), rows=[told]))
    quantity = Quantity("abilities", asked, "score")
    finding, = found(run(*results), rule("bound", quantity, to="", confirms="above", threshold=0.5))
    assert finding.verdict == verdict


# No number

def refused(measured, plugin):
    results = [failed(r, "audit_failed", "logits moved at position 3") if r.cell["plugin"] == plugin else r
               for r in measured.results]
    return run(*results)


def test_a_score_that_an_audit_refused_is_no_number_and_decides_nothing():
    finding, = found(refused(scores(0.5), "ssm"), rule())
    assert (finding.verdict, finding.reason) == ("invalid", "no score: logits moved at position 3")
    assert finding.cells


def test_where_no_side_has_a_score_nothing_can_be_said():
    finding, = found(refused(refused(scores(0.5), "ssm"), "baseline"), rule())
    assert finding.verdict == "unmeasurable"


def test_without_what_it_is_compared_with_a_claim_was_not_run():
    finding, = found(refused(scores(0.5), "baseline"), rule())
    assert finding.verdict == "not run" and "baseline" in finding.reason


def test_what_ran_out_of_memory_is_told():
    finding, = found(run(*[failed(r) for r in scores(1.0).results]), rule("bound", to=""))
    assert (finding.verdict, finding.reason) == (
        "not run", "ssm: oom: out of memory; --retry measures it again")


def test_a_metric_that_there_is_not_names_those_there_are():
    finding, = found(scores(1.0), rule(quantity=Quantity("perplexity", "bits", "score")))
    assert finding.verdict == "not run" and "measured are bits_per_byte" in finding.reason


def test_several_lengths_need_one_named():
    measured = run(*group(np.random.default_rng(1), (128, 256)))
    vague, clear = found(measured, rule(quantity=SECONDS), rule(quantity=SECONDS, at=128, threshold=1.1))
    assert vague.verdict == "not run" and "`at`" in vague.reason
    assert clear.verdict == "refuted"


# Claims

CLAIM = Claim("ours", "better", "a paper", "Abstract", "It is not.")


def on_two_rungs(test):
    """The test with two sizes on two texts, as a claim about quality takes."""
    return [replace(test, flags=(("budget", budget), ("params", params), ("corpus", corpus)))
            for params, budget, corpus in (("100k", "1M", "pydoc"), ("1M", "10M", "stdlib"))]


def judged(*tests, scale="cpu", measured=None, claim=CLAIM):
    measured = measured or scores(0.9)
    return judge_claim(replace(claim, tests=tests), scale, lambda test: (measured, measured), BY_NAME)


def test_all_rules_of_a_form_must_hold_and_forms_are_told_apart():
    true, false = (on_two_rungs(ClaimTest(rule(threshold=threshold), "a")) for threshold in (1.0, 0.5))
    verdicts = judged(*true, *(replace(test, form="b") for test in true), *false)
    assert [(one.form, one.verdict, len(one.findings)) for one in verdicts] == [
        ("a", "refuted", 4), ("b", "confirmed", 2)]


def test_a_verdict_tells_the_scale_that_it_holds_at():
    one, = judged(*on_two_rungs(ClaimTest(rule())))
    assert one.told == "confirmed at 100k-1M parameters and 1M-10M bytes of text (pydoc and stdlib)"
    assert judged(ClaimTest(rule(), flags=(("params", "100k"),)))[0].at == "at 100k parameters"


@pytest.mark.parametrize("kept", [lambda tests: tests[:1], lambda tests: [tests[0], replace(
    tests[1], flags=(("budget", "10M"), ("params", "1M"), ("corpus", "pydoc")))]])
def test_quality_is_not_decided_on_one_rung_or_text(kept):
    one, = judged(*kept(on_two_rungs(ClaimTest(rule()))))
    assert one.verdict == "inconclusive" and {finding.verdict for finding in one.findings} == {"confirmed"}
    assert "a claim about quality takes 2 rungs and 2 corpora" in one.effect and one.narrow in one.lines


def test_what_is_no_score_of_text_is_decided_where_it_was_measured():
    measured = run(*group(np.random.default_rng(1), plugins=(("baseline", 1.0), ("ssm", 0.7))))
    one, = judged(ClaimTest(rule(quantity=SECONDS, at=256)), measured=measured)
    assert (one.verdict, one.narrow) == ("confirmed", "")


def test_a_claim_of_another_scale_names_the_command():
    one, = judged(ClaimTest(rule(), scale="gpu"))
    assert (one.verdict, one.scale) == ("not run", "gpu")
    assert "harness reproduce ours --scale gpu" in one.reason


def test_an_unmeasurable_claim_says_why():
    one, = judged(claim=replace(CLAIM, unmeasurable="it names no number"))
    assert (one.verdict, one.effect) == ("unmeasurable", "it names no number")
    assert one.place == "a paper, Abstract"


def test_what_is_no_claim_says_why():
    one, = judged(claim=replace(CLAIM, no_claim="it is a definition", composed=True))
    assert (one.verdict, one.effect, one.composed) == ("not a claim", "it is a definition", True)
    assert one.told == "not a claim that a measurement decides"


def test_their_system_and_our_redesign_have_verdicts_of_their_own():
    published, redesign = (ClaimTest(rule(), subject=subject) for subject in ("published", "redesign"))
    verdicts = judged(*on_two_rungs(published), *on_two_rungs(redesign))
    assert [(one.subject, one.name) for one in verdicts] == [
        ("published", "ours · cpu"), ("redesign", "ours · our redesign · cpu")]


def test_verdicts_of_an_older_version_are_read(tmp_path):
    """Fields that came later have their defaults, those that went are passed over."""
    finding = {"rule": "r", "verdict": "inconclusive", "value": 1.0, "further": "about 3 further seeds"}
    old = {"claim": "ours", "quote": "q", "source": "s", "verdict": "inconclusive", "findings": [finding]}
    (tmp_path / FILE).write_text(json.dumps({"verdicts": [old]}))
    one, = load_verdicts(tmp_path)
    assert (one.subject, one.composed, one.findings[0].value) == ("published", False, 1.0)


def test_verdicts_are_kept_beside_the_run_and_renewed_by_claim_and_scale(tmp_path):
    first, = judged(*on_two_rungs(ClaimTest(rule())))
    large = replace(first, claim="large", scale="gpu")
    placeholder = replace(large, verdict="not run", findings=())
    save_verdicts(tmp_path, [replace(first, form="an old form"), placeholder])
    save_verdicts(tmp_path, [replace(first, claim="theirs", verdict="refuted"), large])
    save_verdicts(tmp_path, [replace(first, verdict="inconclusive"), placeholder])
    assert {(one.claim, one.form): one.verdict for one in load_verdicts(tmp_path)} == {
        ("ours", ""): "inconclusive", ("theirs", ""): "refuted", ("large", ""): "confirmed"}
    assert load_verdicts(tmp_path)[0].findings == first.findings
    assert [one.name for one in load_verdicts(tmp_path)] == ["theirs · cpu", "large · gpu", "ours · cpu"]


@pytest.mark.parametrize(("verdict", "scale", "stay"), [
    ("not a claim", "", []), ("unmeasurable", "", []),      # no test is left, at any scale
    ("not run", "gpu", ["ours · gpu"]),                     # the tests are those for a GPU, one of which was measured
])
def test_what_a_claim_is_no_longer_tested_by_ends_with_it(tmp_path, verdict, scale, stay):
    tested, = judged(*on_two_rungs(ClaimTest(rule())))
    save_verdicts(tmp_path, [tested, replace(tested, scale="gpu"), replace(tested, claim="theirs")])
    untested = replace(tested, verdict=verdict, scale=scale, findings=(), reason="why")
    save_verdicts(tmp_path, [untested])
    found = {one.name: one.verdict for one in load_verdicts(tmp_path)}
    assert found == {"theirs · cpu": "confirmed", **dict.fromkeys(stay, "confirmed"),
                     **({} if stay else {"ours": verdict})}


def test_a_corrupt_file_of_verdicts_is_told(tmp_path):
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(FileError, match=r"verdicts.json is corrupt .* delete it"):
        load_verdicts(tmp_path)


def test_a_finding_in_words():
    assert RuleFinding("r", "confirmed", "", 1.0416, 1.03, 1.05, "ratio", uncontrolled="exact").words == (
        "1.042 ± 0.010×")
    one = RuleFinding("r", "inconclusive", "", 2.0, 1.0, 3.0, "value", "bits/byte", power="in 80 % of runs")
    assert one.words == "2.0 ± 1.0; in 80 % of runs; without controls"


def test_a_refuted_claim_says_what_that_means_and_how_it_was_tested():
    one, = judged(*on_two_rungs(ClaimTest(rule(threshold=0.5))))
    number, _, meaning = one.lines
    assert number.startswith(
        "perplexity.bits_per_byte@score of ssm / baseline < 0.5 (budget 1M, params 100k, corpus pydoc): 0.90")
    assert (one.verdict, meaning) == ("refuted", "It is not.")
