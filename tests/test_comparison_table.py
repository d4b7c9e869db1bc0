"""What is printed says each thing once, in three digits, and in ASCII where nothing else can be shown."""

import io

from rich.console import Console
from synthetic import tuned

from harness.evidence.comparison.compare import Comparison
from harness.evidence.comparison.gate import apply_rule, parse_rule
from harness.evidence.comparison.table import gate_lines, page, to_markdown, to_rich
from harness.evidence.comparison.tuning import tuning_budgets
from harness.store import Row


def row(plugin="ssm", seq_len=256, verdict="worse", effect=1.234, **fields):
    """A comparison of two runs."""
    given = {"a": 0.0123, "b": 0.0152, "scale": "ratio", "low": 1.1, "high": 1.3, "p_holm": 0.01, "how": "paired",
             "unit": "s", "better": "lower", "batch_size": 1, "detectable": 1.05, "told": True, "plugin_a": plugin,
             "plugin_b": plugin}
    return Comparison("scaling", "step_time_s", "train", seq_len=seq_len, verdict=verdict,
                      effect=effect, **given | fields)


def test_a_line_says_metric_values_ratio_and_verdict():
    found = page([row(), row(seq_len=512, how="unpaired"), row(seq_len=1024)])
    assert found.headings == ["metric", "T", "plugin", "A", "B", "B / A", "detects", "verdict"]
    assert found.lines[0] == ["scaling.step_time_s@train", "256", "ssm", "12.3 ms", "15.2 ms", "1.23× (1.10–1.30)",
                              "1.05×", "worse [1]"]
    assert [line[-1] for line in found.lines] == ["worse [1]", "worse [2]", "worse [1]"]
    assert found.notes == ["[1] paired", "[2] unpaired",
                           "worse 3; 95 % intervals, verdicts corrected for 3 tests (Holm)"]


def test_rungs_and_texts_are_told_where_a_metric_has_several():
    rungs = [row(rung=rung, corpus=corpus) for corpus in ("pydoc", "stdlib") for rung in ("N=1k D=1MB", "N=2k D=1MB")]
    assert [line[1] for line in page(rungs).lines] == [
        "256 N=1k D=1MB pydoc", "256 N=2k D=1MB pydoc", "256 N=1k D=1MB stdlib", "256 N=2k D=1MB stdlib"]
    assert [line[1] for line in page([row(corpus="pydoc"), row(corpus="pydoc", batch_size=2)]).lines] == [
        "256 B=1", "256 B=2"]


def test_two_plugins_name_the_columns():
    found = page([row(plugin_a="baseline")], names=("baseline", "ssm"))
    assert found.headings == ["metric", "T", "baseline", "ssm", "ssm / baseline", "detects", "verdict"]


def test_differences_carry_their_sign():
    line = page([row(scale="difference", effect=0.0312, low=-0.001, high=0.062, detectable=0.1)]).lines[0]
    assert line[5:7] == ["+0.0312 (-0.0010 to +0.0620)", "±0.100"]


def test_a_difference_of_bytes_is_written_as_bytes():
    nothing = row(scale="difference", effect=4e6, low=4e6, high=4e6, a=0.0, b=4e6, unit="B", detectable=None)
    assert page([nothing]).lines[0][3:6] == ["0 B", "4 MB", "+4 MB"]


def test_a_failure_stands_with_its_reason_and_no_ratio():
    line = page([row(b=None, effect=None, scale="", low=None, high=None, how="", detectable=None,
                     reason="B failed: oom: out of memory")])
    assert line.lines[0][3:] == ["12.3 ms", "–", "", "", "worse [1]"]
    assert line.notes[0] == "[1] B failed: oom: out of memory"


def test_refusals_are_told_once_for_all_that_share_the_reason():
    reason = "other tokenizer (A bytes, B gpt2)"
    rows = [row(seq_len=n, plugin=p, verdict="incomparable", effect=None, reason=reason)
            for n in (1, 2) for p in ("ssm", "wave")]
    found = page([*rows, row("brain", verdict="only in A", effect=None, b=None)])
    assert found.lines == []
    assert found.notes[:2] == [f"incomparable: scaling of ssm, wave (step_time_s): {reason}",
                               "only in A: scaling of brain (step_time_s)"]


def test_budgets_and_growth_are_notes():
    a, b = (tuning_budgets(tuned(plugin, trials).rows)[0] for plugin, trials in (("ssm", 3), ("wave", 4)))
    common = {"suite": "scaling", "plugin": "wave", "phase": "train"}
    crossing = Row(**common, metric="crossover_length", value=733.2, ci_low=640.1, ci_high=801.0,
                   reason="against ssm: cheaper from here on")
    never = Row(**common, metric="crossover_length", reason="against ssm: dearer at the longest length")
    slope = Row(**common, metric="relative_exponent", value=-0.4, ci_low=-0.45, ci_high=-0.3, reason="against ssm",
                unit="T 512-2048")
    notes = page([row()], [slope, crossing, never], [(a, b), (a, a)]).notes
    assert notes[1:6] == [
        "growth: scaling train: wave against ssm: the ratio grows as T^-0.40 (-0.45 to -0.30), T 512-2048",
        "growth: scaling train: wave against ssm: cheaper from here on, T = 733 (640 to 801)",
        "growth: scaling train: wave against ssm: dearer at the longest length",
        "tuning: unequal: perplexity: ssm 3 trials, 600 kB, 10 s; wave 4 trials, 800 kB, 10 s",
        "tuning: perplexity ssm: A 3 trials, 600 kB, 10 s; B 3 trials, 600 kB, 10 s"]


def test_rules_are_answered_line_by_line():
    rows = [row(), row(seq_len=512, told=False, verdict="within noise"),
            row(seq_len=1024, verdict="only in A", effect=None, b=None, plugin_b="")]
    assert gate_lines(apply_rule(parse_rule("scaling.step_time_s > 1.2"), rows)) == [
        "fail-on scaling.step_time_s > 1.2: holds: ssm: scaling.step_time_s@train T=256: 1.23×",
        "fail-on scaling.step_time_s > 1.2: undecided: ssm: scaling.step_time_s@train T=512: 1.23×, within noise",
        "fail-on scaling.step_time_s > 1.2: undecided: ssm: scaling.step_time_s@train T=1024: only in A"]
    assert gate_lines(apply_rule(parse_rule("scaling.step_time_s > 2"), rows[:2])) == [
        "fail-on scaling.step_time_s > 2: does not hold"]


def test_markdown_is_a_github_table():
    lines = to_markdown(page([row(), row(plugin="a|b")])).splitlines()
    assert lines[0] == "| metric | T | plugin | A | B | B / A | detects | verdict |"
    assert lines[1] == "|---|---|---|---|---|---|---|---|"
    assert lines[3].split(" | ")[2] == "a\\|b"
    assert lines[-1].startswith("- worse 2")


def test_a_terminal_without_unicode_gets_ascii():
    out = io.StringIO()
    Console(file=out, width=120).print(to_rich(page([row(b=None)]), unicode=False))
    assert out.getvalue().isascii()
    assert "1.23x (1.10-1.30)" in out.getvalue()
    assert "  step_time_s@train" in out.getvalue()
