"""A report sets every plugin beside the baseline with the very numbers of `harness compare`, and says it in a sentence.
"""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from conftest import ROOT
from synthetic import documents, group, run, scored, store
from typer.testing import CliRunner

from harness.cli import app
from harness.evidence.comparison.compare import Comparison, compare_runs, paired_budgets, relative_growth
from harness.evidence.report import html, versus
from harness.evidence.report.compose import build
from harness.evidence.report.takeaway import takeaway
from harness.evidence.report.versus import Versus, baseline_of, beside_baseline
from harness.evidence.report.versus_tables import NAMES
from harness.reading import read_run
from harness.registry import load
from harness.store import CellResult, finite

CPU = ROOT / "results/reference/cpu"


@pytest.fixture(scope="module")
def registry():
    return load()


@pytest.fixture(scope="module")
def reference(registry):
    return read_run(CPU, registry)


def test_the_report_has_the_very_comparisons_of_compare(reference, registry):
    pairs = list(beside_baseline(reference, registry))
    assert {pair.plugin for pair in pairs} == {*reference.labels("perplexity")} - {"baseline"}
    for pair in pairs:
        both, suites = (pair.base, pair.plugin), list(registry.suites.values())
        assert pair.rows == compare_runs(reference, reference, suites, plugins=both)
        assert pair.growth == relative_growth(reference, reference, suites, both)
        assert pair.budgets == paired_budgets(reference, reference, suites, both)


def test_the_page_tells_what_the_command_prints(registry):
    """Every number of the comparison, and of one seed a ratio that decides nothing."""
    printed = CliRunner().invoke(app, ["compare", str(CPU), "--plugins", "baseline,ssm", "--markdown"]).output
    lines = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ") and "---" not in line]
    text = html.render_html(build([CPU], registry))
    detail = text[text.index("<summary>ssm / baseline"):].partition("</details>")[0]
    assert len(lines) > 50
    for line in lines[1:]:
        assert all(f">{words.strip('| ')}<" in detail for words in line if words.strip("| ")), line
    summary = text[text.index('id="summary"'):].partition("</section>")[0]
    assert "0.814× (0.735–0.903)" in summary and "these weights" in text            # one seed each: no verdict
    assert "better" in summary
    assert "ssm needs 0.81" not in summary


def test_the_json_of_compare_has_the_same_numbers(reference, registry):
    out = CliRunner().invoke(app, ["compare", str(CPU), "--plugins", "baseline,wave", "--json"]).output
    told = [one for one in map(json.loads, out.splitlines()) if one.get("kind") == "comparison"]
    pair = next(pair for pair in beside_baseline(reference, registry) if pair.plugin == "wave")
    own = [{k: v for k, v in finite(asdict(row)).items() if v not in (None, "", ())} for row in pair.rows]
    assert own
    for one, other in zip(own, told, strict=True):
        assert json.loads(json.dumps(one)).items() <= other.items()


def test_a_label_that_a_suite_made_is_no_plugin_of_its_own(reference, registry):
    """recall sets its own head: baseline is there as baseline:tied=false, and compared under its name."""
    assert "baseline:tied=false" in reference.labels("recall")
    assert all("tied" not in pair.plugin for pair in beside_baseline(reference, registry))
    recalled = [row for pair in beside_baseline(reference, registry) for row in pair.rows if row.suite == "recall"]
    assert {row.plugin_a for row in recalled if row.plugin_a} == {"baseline:tied=false"}


def test_the_baseline_is_the_marked_one_then_the_first(registry):
    assert baseline_of(["ssm", "baseline:layers=2", "baseline"], registry) == "baseline:layers=2"
    assert baseline_of(["theirs", "ssm"], registry) == "theirs"
    assert baseline_of([], registry) == ""


def test_few_plugins_of_many_are_set_beside_the_baseline(registry, monkeypatch):
    monkeypatch.setattr(versus, "MOST", 2)
    sizes, bits = documents(np.random.default_rng(0))
    many = run(*(scored(name, bits, sizes) for name in ("baseline", "a", "b", "c")))
    assert [pair.plugin for pair in beside_baseline(many, registry)] == ["a", "b"]


def test_a_suite_that_cannot_compare_its_rows_costs_a_line_and_no_report(tmp_path, registry):
    def fail(row):
        raise RuntimeError("no kind")

    broken = replace(registry.suites["perplexity"], compared=fail)
    sizes, bits = documents(np.random.default_rng(0))
    directory = store(tmp_path, [scored(name, bits, sizes) for name in ("baseline", "ssm")])
    text = html.render_html(build([directory], replace(
        registry, suites={**registry.suites, "perplexity": broken})))
    assert "ssm / baseline cannot be compared: RuntimeError: no kind" in text
    assert "bits per byte" in text


def compared(metric="bits_per_byte", phase="score", effect=0.81, verdict="better", better="lower", plugin="ssm"):
    return Comparison(suite="s", metric=metric, phase=phase, unit="", better=better, plugin_a="base", plugin_b=plugin,
                      seq_len=64, batch_size=1, verdict=verdict, scale="ratio", effect=effect)


FASTER = compared("tokens_per_s", "train", 3.0, better="higher")
OPEN = compared("tokens_per_s", "decode", 1.1, "within noise", "higher")
LARGER = compared("peak_bytes", "train", 1.4, "worse")
FOREIGN = replace(compared(effect=None, verdict="incomparable"), reason="other corpus bytes (A 01, B 02)")
CRASH = replace(compared("tokens_per_s", "decode", None, "worse", "higher"), scale="")


@pytest.mark.parametrize(("rows", "sentence"), [
    ([compared(), OPEN], "ssm needs 0.81 of base's bits/byte; nothing else is decided."),
    ([compared(effect=1.02, verdict="worse")], "ssm needs 1.02 times base's bits/byte; nothing else is decided."),
    ([compared(), FASTER, LARGER], "ssm needs 0.81 of base's bits/byte and 1.4 times its training peak, and reaches 3 "
     "times its train tokens/s; nothing else is decided."),
    ([compared(), CRASH, compared("odd")], "ssm needs 0.81 of base's bits/byte, and fails at its decode tokens/s; of 1 "
     "further comparisons 1 better, 0 worse, 0 not decided."),
    ([replace(compared(effect=0.5), rung="N=1k D=1MB"), replace(compared(effect=0.6), rung="N=2k D=9MB"),
      replace(compared(effect=0.7), rung="N=10k D=1MB")],
     "ssm needs 0.6 of base's bits/byte; of 2 further comparisons 2 better, 0 worse, 0 not decided."),
    ([OPEN], "No headline number differs decidedly from that of base; nothing else is decided."),
    ([FOREIGN, replace(FOREIGN, seq_len=9)], "Nothing is comparable with base: other corpus bytes."),
    ([FOREIGN, OPEN], "No headline number differs decidedly from that of base; nothing else is decided."),
    ([], ""),
], ids=["one", "worse", "several", "failed", "rungs", "none", "foreign", "foreign and open", "empty"])
def test_one_sentence_tells_what_is_decided(rows, sentence):
    assert takeaway([Versus("run", "base", "ssm", rows)], NAMES) == sentence


def test_of_many_plugins_the_sentence_names_the_ends():
    pairs = [Versus("run", "base", f"p{n}", [compared(effect=0.5 + n / 10, verdict="better" if n < 5 else "worse")])
             for n in range(10) if n != 5]
    sentence = takeaway(pairs, NAMES)
    assert sentence.startswith("Of base's bits/byte, p0 needs 0.5, p1 needs 0.6, p2 needs 0.7, p3 needs 0.8, ")
    assert "3 others lie between, p8 needs 1.3 times, p9 needs 1.4 times; nothing else is decided." in sentence


def test_the_header_tells_question_time_machine_and_versions(tmp_path, registry):
    results = group(np.random.default_rng(0), (128, 256))
    for number, result in enumerate(results):
        result.rows[0].wall_s, result.rows[0].started_at = 40.0, f"2026-01-02T03:0{number}:05+00:00"
        result.rows.append(replace(result.rows[0], metric="other", wall_s=10.0))
    document = build([store(tmp_path, [CellResult(r.cell, r.rows, r.raw, r.environment) for r in results])], registry,
                     title="My title")
    assert document.title == "My title"
    assert document.question == "How does ssm compare with baseline in scaling?"
    facts = " · ".join(document.facts)
    for words in ("2026-01-02 03:03 UTC", "wall time 2 min 40 s", "one × ?", "harness 0", "torch 2.11", "4 cells"):
        assert words in facts, words


