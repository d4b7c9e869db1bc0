"""Verdicts: what was planted is found, what was not is not, and nothing is ranked below the noise."""

from collections import Counter

import numpy as np
import pytest
from synthetic import SUITES, documents, failed, group, run, scored, timed, tuned, weighed

from harness.evidence.comparison.compare import compare_runs, paired_budgets, relative_growth

LENGTHS = (128, 256, 512, 1024)


def verdicts(a, b, **more):
    return {(c.metric, c.plugin_b, c.seq_len): c.verdict for c in compare_runs(a, b, SUITES, **more)}


def everything(generator, run_id="", slower=1.0, scores=1.0, codes=(), machine=1.0):
    """Timings of two plugins at several lengths, and scores of three seeds."""
    plugins = (("baseline", 1.0), ("ssm", 1.2 * slower))
    results = group(generator, LENGTHS, run_id, plugins=plugins, codes=codes, machine=machine)
    sizes, bits = documents(np.random.default_rng(99))
    for seed in range(3):
        level = generator.normal(0, 0.004)
        for plugin, scale in (("baseline", 1.0), ("ssm", scores)):
            own = (bits + sizes * (level + generator.normal(0, 0.02, len(bits)))) * scale
            results.append(scored(plugin, own, sizes, seed, run_id=run_id))
    return run(*results, name=run_id)


def test_a_planted_regression_of_ten_percent_is_found_between_runs():
    generator = np.random.default_rng(0)
    a = everything(generator, "a")
    b = everything(generator, "b", slower=1.1, codes=(("ssm", "new"),), machine=1.2)
    found = {(c.metric, c.plugin_b, c.seq_len): c for c in compare_runs(a, b, SUITES)}
    for seq_len in LENGTHS:
        row = found["step_time_s", "ssm", seq_len]
        assert (row.verdict, row.told) == ("worse", True)
        assert row.low < 1.1 < row.high
    assert found["bits_per_byte", "ssm", 256].verdict in ("same", "within noise")


def test_a_planted_difference_between_plugins_is_found_by_round_and_by_document():
    a = everything(np.random.default_rng(1), "a", scores=0.97)
    found = verdicts(a, a, plugins=("baseline", "ssm"))
    assert found == {("bits_per_byte", "ssm", 256): "better",
                     **{("step_time_s", "ssm", seq_len): "worse" for seq_len in LENGTHS}}


def test_two_runs_of_one_program_are_seldom_told_apart_in_any_metric():
    """Ten metrics each time: without the correction two comparisons in five would have a false verdict."""
    generator = np.random.default_rng(2)
    false = uncorrected = 0
    for _ in range(80):
        a, b = (everything(generator, name, machine=np.exp(generator.normal(0, 0.05))) for name in "ab")
        rows = compare_runs(a, b, SUITES)
        assert len(rows) == 10
        false += any(row.told for row in rows)
        uncorrected += sum(row.p < 0.05 for row in rows)
    assert false / 80 <= 0.08
    assert uncorrected / 800 < 0.06


def test_a_twin_in_the_same_rounds_is_the_same_and_never_ranked():
    generator = np.random.default_rng(3)
    counts = Counter()
    for _ in range(60):
        a = run(*group(generator, LENGTHS, plugins=(("baseline", 1.0), ("ssm", 1.0))))
        counts.update(verdicts(a, a, plugins=("baseline", "ssm")).values())
    assert counts["same"] > 220
    assert counts["better"] + counts["worse"] <= 8


def test_a_run_against_itself_is_the_same_in_everything():
    a = everything(np.random.default_rng(4), "a")
    rows = compare_runs(a, run(*a.results, name="copy"), SUITES)
    assert {row.verdict for row in rows} == {"same"}
    assert {row.effect for row in rows} == {1.0}


def test_noise_is_not_sameness():
    """What cannot be told apart with few noisy rounds is within the noise, and says what would have been found."""
    generator = np.random.default_rng(5)
    a = run(*group(generator, plugins=(("baseline", 1.0), ("ssm", 1.0)), noise=0.2))
    row, = compare_runs(a, a, SUITES, plugins=("baseline", "ssm"))
    assert row.verdict == "within noise"
    assert row.detectable > 1.1
    row, = compare_runs(a, a, SUITES, plugins=("baseline", "ssm"), margin=0.9)
    assert row.verdict == "same"


def test_what_lies_below_the_floor_of_the_control_is_not_ranked():
    """An effect of 4 % whose own interval excludes 1, beside a control that is off by 8 %."""
    generator = np.random.default_rng(6)
    seconds = 1 + 0.001 * generator.random(12)
    a = run(timed("baseline", seconds, seconds * np.linspace(1.07, 1.09, 12)), timed("ssm", seconds * 1.04))
    row, = compare_runs(a, a, SUITES, plugins=("baseline", "ssm"))
    assert row.p_holm < 0.01
    assert row.noise_floor > 1.07
    assert not row.told
    assert row.verdict == "same"


@pytest.mark.parametrize(("value", "verdict"), [(1000, "same"), (1005, "same"), (1020, "worse"), (980, "better")])
def test_counts_are_the_same_within_a_percent(value, verdict):
    a, b = (run(weighed("ssm", "weights_bytes", size)) for size in (1000, value))
    row, = compare_runs(a, b, SUITES)
    assert row.verdict == verdict
    assert row.told == (value != 1000)


@pytest.mark.parametrize("value", [1000, 1080, 2000, 500, 10**9])
def test_what_was_measured_once_has_no_verdict(value):
    """0.7 and 1.4 MB, one value each: how far two such values may lie nobody knows."""
    a, b = (run(weighed("ssm", "peak_bytes", size)) for size in (1000, value))
    row, = compare_runs(a, b, SUITES)
    assert (row.verdict, row.told, row.detectable) == ("within noise", False, None)
    assert row.how == "one value each, no spread: not ranked"


def test_one_round_or_one_document_is_no_spread():
    slow, fast = (run(timed("ssm", [seconds]), timed("baseline", [1.0], [1.0])) for seconds in (9.0, 1.0))
    long, short = (run(scored("ssm", [bits], [10.0])) for bits in (80.0, 10.0))
    for a, b in ((slow, fast), (long, short)):
        row = compare_runs(a, b, SUITES)[0]
        assert (row.verdict, row.told) == ("within noise", False)
    both = run(timed("baseline", [1.0], [1.0]), timed("ssm", [9.0]))
    assert compare_runs(both, both, SUITES, plugins=("baseline", "ssm"))[0].verdict == "within noise"


def test_peaks_of_several_seeds_have_a_spread():
    a, b = (run(*(weighed("ssm", "peak_bytes", size + seed, seed=seed) for seed in range(3))) for size in (700, 1400))
    assert compare_runs(a, b, SUITES)[0].verdict == "worse"


def test_who_fails_where_the_other_does_not_is_worse():
    good = weighed("ssm", "peak_bytes", 1000)
    lost, absent = failed(good), failed(good, "unavailable", "needs qiskit")
    for a, b, verdict, reason in [
        (good, lost, "worse", "B failed: oom: out of memory"), (lost, good, "better", "A failed: oom: out of memory"),
        (good, absent, "incomparable", "B failed: unavailable: needs qiskit"),
    ]:
        row, = compare_runs(run(a), run(b), SUITES)
        assert (row.verdict, row.reason, row.effect) == (verdict, reason, None)
    assert compare_runs(run(lost), run(lost), SUITES) == []


def test_seeds_that_did_not_survive_count():
    """The two that did would say better."""
    sizes, bits = documents(np.random.default_rng(7))
    a = run(*(scored("ssm", bits, sizes, seed) for seed in range(3)))
    b = run(*(scored("ssm", bits * 0.9, sizes, seed) for seed in range(2)),
            failed(scored("ssm", bits, sizes, 2), "error", "training diverged", "bits_per_byte"))
    row, = compare_runs(a, b, SUITES)
    assert (row.verdict, row.reason) == ("worse", "B failed: error: training diverged")


def test_refusals_and_lone_rows_say_so():
    sizes, bits = documents(np.random.default_rng(8))
    a = run(scored("ssm", bits, sizes), scored("wave", bits, sizes), scored("brain", bits, sizes))
    b = run(scored("ssm", bits, sizes, sha="0ther"), scored("wave", bits[1:], sizes[1:]), scored("test", bits, sizes))
    found = {row.plugin_b or row.plugin_a: (row.verdict, row.reason) for row in compare_runs(a, b, SUITES)}
    assert found == {
        "ssm": ("incomparable", "other corpus bytes (A 5ha of p, B 0ther)"), "brain": ("only in A", ""),
        "wave": ("incomparable", "other documents were scored"), "test": ("only in B", "")}


@pytest.mark.parametrize(("a", "b", "ratio", "verdict"), [
    (0, 4_000_000, np.inf, "worse"), (4_000_000, 0, 0.0, "better"), (0, 0, 1.0, "same"), (-1, 2, None, "worse")])
def test_counts_have_a_ratio_to_zero(a, b, ratio, verdict):
    row, = compare_runs(*(run(weighed("ssm", "weights_bytes", value)) for value in (a, b)), SUITES)
    assert (row.scale, row.ratio, row.verdict) == ("difference", ratio, verdict)


def test_how_two_plugins_grow_is_found_in_one_run_only():
    """1000 + T against 2 T meet at T = 1000; the ratio falls as the logarithms' slope says, whatever the drift."""
    generator = np.random.default_rng(9)
    results = []
    for seq_len in (256, 512, 1024, 2048):
        plugins = (("baseline", 2.0), ("ssm", 1 + 1000 / seq_len))
        results += group(generator, (seq_len,), plugins=plugins, machine=np.exp(generator.normal(0, 0.2)))
    a = run(*results)
    slope, crossing = relative_growth(a, a, SUITES, ("baseline", "ssm"))
    assert (crossing.suite, crossing.phase, crossing.plugin, crossing.reason) == (
        "scaling", "train", "ssm", "against baseline: cheaper from here on")
    assert crossing.ci_low < 1000 < crossing.ci_high
    assert crossing.value == pytest.approx(1000, rel=0.05)
    expected = np.log((1 + 1000 / 2048) / (1 + 1000 / 512)) / np.log(4)
    assert slope.ci_low < expected < slope.ci_high
    assert (slope.metric, slope.unit, slope.reason) == ("relative_exponent", "T 512-2048", "against baseline")
    assert slope.ci_high - slope.ci_low < 0.05
    assert relative_growth(a, run(*results), SUITES, ("baseline", "ssm")) == []


def test_budgets_are_set_side_by_side_task_by_task():
    a = run(tuned("ssm", 3), tuned("wave", 4), tuned("ssm", 3, corpus="markov"))
    plugins = [(x.plugin, y.plugin) for x, y in paired_budgets(a, a, SUITES)]
    assert plugins == [("ssm", "ssm"), ("wave", "wave"), ("ssm", "ssm")]
    (x, y), = paired_budgets(a, a, SUITES, ("ssm", "wave"))
    assert (x.trials, y.trials) == (3, 4)
    assert paired_budgets(a, a, [suite for suite in SUITES if suite.name == "recall"]) == []
