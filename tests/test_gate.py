"""Rules: read as written, told in one line where they cannot be, held only by what noise cannot explain."""

import math

import pytest

from harness.errors import NotComparable, UsageError
from harness.evidence.comparison.compare import Comparison
from harness.evidence.comparison.gate import apply_rule, parse_rule, written_metric


def row(metric="tokens_per_s", phase="train", suite="throughput", verdict="worse", told=True, effect=0.9, **fields):
    given = {"a": 100.0, "b": 90.0, "scale": "ratio" if effect else "", "unit": "tokens/s", "better": "higher"}
    return Comparison(suite, metric, phase, plugin_a="ssm", plugin_b="ssm", seq_len=256, batch_size=4, verdict=verdict,
                      told=told, effect=effect, **given | fields)


@pytest.mark.parametrize(("text", "parts"), [
    ("throughput.tokens_per_s < 0.95", ("throughput", "tokens_per_s", "", "<", 0.95)),
    ("throughput.tokens_per_s@decode>=1.05", ("throughput", "tokens_per_s", "decode", ">=", 1.05)),
    ("recall.mqar_accuracy@16 <= 9e-1", ("recall", "mqar_accuracy@16", "", "<=", 0.9)),
    ("recall.mqar_accuracy@16@score < 1", ("recall", "mqar_accuracy@16", "score", "<", 1.0)),
    ("kernels.time_s:scan/cpu > 1.1", ("kernels", "time_s:scan/cpu", "", ">", 1.1)),
])
def test_rules_are_read_as_written(text, parts):
    rule = parse_rule(text)
    assert (rule.suite, rule.metric, rule.phase, rule.operator, rule.value) == parts


@pytest.mark.parametrize("text", [
    "", "tokens_per_s < 0.95", "throughput.tokens_per_s", "throughput.tokens_per_s < ", "a.b < fast",
    "throughput.tokens_per_s == 1", "throughput.tokens_per_s < 0", "throughput.tokens_per_s < -1", "a.b < nan",
    "a.b < inf", "0.95 > throughput.tokens_per_s", "a.b < 1 < 2", "a.b < 1, c.d > 2",
])
def test_malformed_rules_are_refused(text):
    with pytest.raises(UsageError, match="malformed --fail-on"):
        parse_rule(text)


def test_a_rule_holds_by_its_threshold():
    rows = [row(effect=0.94), row(effect=0.96), row(effect=0.5, phase="decode")]
    assert apply_rule(parse_rule("throughput.tokens_per_s < 0.95"), rows).held == [rows[0], rows[2]]
    assert apply_rule(parse_rule("throughput.tokens_per_s@train < 0.95"), rows).held == [rows[0]]
    assert apply_rule(parse_rule("throughput.tokens_per_s > 0.95"), rows).held == [rows[1]]


def test_what_noise_explains_is_undecided():
    noisy = row(effect=0.8, told=False, verdict="within noise")
    outcome = apply_rule(parse_rule("throughput.tokens_per_s < 0.95"), [noisy])
    assert (outcome.held, outcome.undecided) == ([], [noisy])


def test_what_b_did_not_measure_does_not_pass_unseen():
    alike, lone, other = row(effect=1.0), row(verdict="only in A", effect=None), row(verdict="only in B", effect=None)
    outcome = apply_rule(parse_rule("throughput.tokens_per_s < 0.95"), [alike, lone, other])
    assert (outcome.held, outcome.undecided) == ([], [lone])


def test_a_difference_is_judged_by_the_ratio_of_its_values():
    accuracy = row("mqar_accuracy@16", "score", "recall", scale="difference", effect=-0.3, a=0.9, b=0.6)
    assert apply_rule(parse_rule("recall.mqar_accuracy < 0.7"), [accuracy]).held == [accuracy]
    assert apply_rule(parse_rule("recall.mqar_accuracy@16 < 0.6"), [accuracy]).held == []


@pytest.mark.parametrize(("a", "b", "rule", "holds"), [
    (0.0, 4e6, "> 1.05", True), (0.0, 4e6, "< 0.95", False), (0.0, 0.0, "> 1.05", False), (0.0, 0.0, ">= 1", True),
    (4e6, 0.0, "< 0.95", True), (4e6, 0.0, "> 1.05", False),
])
def test_anything_is_infinitely_more_than_nothing(a, b, rule, holds):
    state = row("state_bytes", "", "memory", scale="difference", effect=b - a, a=a, b=b)
    assert bool(apply_rule(parse_rule(f"memory.state_bytes {rule}"), [state]).held) is holds


@pytest.mark.parametrize(("a", "b"), [(-1.0, 2.0), (1.0, -2.0), (math.nan, 1.0), (1.0, math.inf)])
def test_what_has_no_ratio_does_not_pass_unseen(a, b):
    state = row("state_bytes", "", "memory", scale="difference", effect=b - a, a=a, b=b)
    with pytest.raises(NotComparable, match="compares nothing: no ratio of"):
        apply_rule(parse_rule("memory.state_bytes > 1.05"), [state])
    fine = row("state_bytes", "", "memory", effect=1.0)
    assert apply_rule(parse_rule("memory.state_bytes > 1.05"), [state, fine]).undecided == [state]


def test_a_crash_is_no_way_through():
    crashed = row(effect=None, b=None, reason="B failed: oom")
    mended = row(effect=None, a=None, verdict="better", reason="A failed: oom")
    for operator in ("<", ">"):
        assert apply_rule(parse_rule(f"throughput.tokens_per_s {operator} 1"), [crashed, mended]).held == [crashed]


def test_cases_are_covered_by_the_metric_they_are_of():
    cases = [row(f"time_s:scan/{name}", "", "kernels", effect=1.2) for name in ("cpu", "portable")]
    assert apply_rule(parse_rule("kernels.time_s > 1.1"), cases).held == cases
    assert apply_rule(parse_rule("kernels.time_s:scan/cpu > 1.1"), cases).held == cases[:1]


@pytest.mark.parametrize(("text", "words"), [
    ("throughput.tokens_per_sec < 0.95", "did you mean 'throughput.tokens_per_s'"),
    ("throughput.tokens_per_s@prefil < 0.95", "did you mean 'throughput.tokens_per_s@train'"),
    ("thruput.tokens_per_s < 0.95", "did you mean 'throughput.tokens_per_s'"),
    ("throughput.tokens_per_s@score < 0.95", "unknown metric of --fail-on"),
])
def test_a_rule_that_names_nothing_is_told(text, words):
    with pytest.raises(UsageError) as raised:
        apply_rule(parse_rule(text), [row()])
    assert words in str(raised.value)


@pytest.mark.parametrize(("verdict", "reason", "words"), [
    ("incomparable", "other tokenizer (A bytes, B gpt2)", "other tokenizer"), ("only in A", "", "only in A")])
def test_a_rule_on_what_cannot_be_compared_does_not_pass_silently(verdict, reason, words):
    with pytest.raises(NotComparable, match=words):
        apply_rule(parse_rule("throughput.tokens_per_s < 0.95"), [row(effect=None, verdict=verdict, reason=reason)])


def test_metrics_are_written_as_rules_take_them():
    assert written_metric(row()) == "throughput.tokens_per_s@train"
    assert parse_rule(f"{written_metric(row())} < 1").covers(row())
    weights = row("weights_bytes", "", "memory")
    assert parse_rule(f"{written_metric(weights)} < 1").covers(weights)
