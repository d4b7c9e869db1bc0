"""A report on stdout and as JSON says what the page says, and nothing else is printed; a large one says what it omits.
"""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import PATIENCE_S, ROOT, environment
from synthetic import documents, failed, scored, store, weighed

from harness.evidence.claims.verdict import RuleFinding, Verdict
from harness.evidence.claims.verdict_file import save_verdicts
from harness.evidence.drawing import vega
from harness.evidence.report import citation, compose, html
from harness.evidence.report.compose import build
from harness.evidence.report.record import record_of
from harness.registry import load

FINDING = RuleFinding("bits of ssm / baseline < 0.9", "refuted", "seeds 1", 1.2, 1.1, 1.3, "ratio", how="paired")


@pytest.fixture(scope="module")
def registry():
    return load()


@pytest.fixture(scope="module")
def results():
    sizes, bits = documents(np.random.default_rng(0))
    scores = [scored(name, factor * bits, sizes, seed=seed)
              for name, factor in (("baseline", 1.0), ("ssm", 1.2)) for seed in (0, 1)]
    return [*scores, failed(weighed("ssm", "peak_bytes", 1e6), reason="out of memory: 9 GB")]


@pytest.fixture(scope="module")
def run(tmp_path_factory, results):
    """A run with a verdict, decided differences and a failure."""
    directory = store(tmp_path_factory.mktemp("a run") / "r", results)
    save_verdicts(directory, [Verdict("ours", "better", "paper", "refuted", failure="It is not.", section="Abstract",
                                      findings=(FINDING,))])
    return directory


def stdout_of(*arguments, **variables):
    """What the command prints, as bytes."""
    done = subprocess.run([sys.executable, "-m", "harness", "report", *map(str, arguments)], check=False,
                          env={**environment(), **variables}, capture_output=True, timeout=PATIENCE_S)
    told = b"" if vega.available() or "--json" in arguments or str(arguments[-1]).endswith(".json") else (
        f"{vega.MISSING}\n".encode())
    assert (done.returncode, done.stderr) == (0, told)
    return done.stdout


@pytest.mark.parametrize("variables", [{}, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}],
                         ids=["utf-8", "ascii terminal"])
def test_on_stdout_stands_the_page_and_nothing_else(run, tmp_path, variables):
    page = stdout_of(run, "-o", "-", **variables)
    stdout_of(run, "-o", tmp_path / "report.html")
    assert page == (tmp_path / "report.html").read_bytes()
    assert page.startswith(b"<!doctype html>")


def test_markdown_on_stdout_names_its_figures(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = stdout_of(run, "-o", "-", "--markdown", "--title", "A *title*").decode()
    assert text.startswith("# A \\*title\\*\n")
    assert "*Figure: scores*, drawn with -o FILE.md" in text
    assert "![" not in text
    assert not list(tmp_path.iterdir())


def test_the_json_document_holds_everything_that_the_page_says(run, tmp_path, registry):
    record = json.loads(stdout_of(run, "--json"))
    assert record["kind"] == "report"                               # as every command's JSON tells
    assert record == json.loads(stdout_of(run, "-o", "-", "--json"))
    assert stdout_of(run, "-o", tmp_path / "r.json") == f"{tmp_path / 'r.json'}\n".encode()
    assert json.loads((tmp_path / "r.json").read_text()) == record
    verdict, = record["verdicts"]
    assert (verdict["verdict"], verdict["source"], verdict["section"], verdict["failure"]) == (
        "refuted", "paper", "Abstract", "It is not.")
    assert verdict["findings"][0]["rule"] == FINDING.rule
    assert [verdict["findings"][0][name] for name in ("value", "low", "high")] == [1.2, 1.1, 1.3]
    pair, = record["comparison"]
    assert (pair["base"], pair["plugin"]) == ("baseline", "ssm")
    score = next(one for one in pair["metrics"] if one["metric"] == "bits_per_byte")
    assert score["effect"] == pytest.approx(1.2, rel=1e-6)
    assert record["takeaway"][0].startswith("ssm needs 1.2 times baseline's bits/byte")
    assert record["question"] == "Does the claim hold? How does ssm compare with baseline in perplexity and memory?"
    assert record["runs"][0]["environments"]["here"]["packages"]["torch"] == "2.11"
    assert {row["value"] for row in record["rows"] if row.get("metric") == "bits_per_byte"} == {
        row.value for row in build([run], registry).rows if row.metric == "bits_per_byte"}
    assert [row["reason"] for row in record["rows"] if row["status"] == "oom"] == ["out of memory: 9 GB"]
    tables = {table["name"]: table for section in record["sections"] for table in section["tables"]}
    assert {"verdicts", "headline", "failures", "beside baseline"} <= set(tables)
    for table in tables.values():
        assert all(len(row) == len(table["headings"]) for row in table["rows"])
    assert "scores" in {figure["name"] for section in record["sections"] for figure in section["figures"]}


def test_every_table_of_the_page_is_in_the_json(registry):
    document = build([ROOT / "results/reference/cpu"], registry)
    record = record_of(document)
    named = {block.name for section in document.sections for block in section.blocks if hasattr(block, "headings")}
    assert named == {table["name"] for section in record["sections"] for table in section["tables"]} | {"rows"}
    assert len(record["rows"]) == len(document.rows)


@pytest.mark.parametrize(("arguments", "words"), [
    (["--json", "--markdown"], "--json and --markdown exclude each other"),
    (["--json", "-o", "report.html"], "--json writes a .json file, not report.html"),
    (["-o", "report"], "-o must name a .html or .md file, not report"),
])
def test_forms_that_disagree_are_one_line(run, arguments, words):
    done = subprocess.run([sys.executable, "-m", "harness", "report", str(run), *arguments], env=environment(),
                          capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"harness: {words}")
    assert done.stderr.count("\n") == 1


def test_a_large_report_shows_what_is_cited_and_says_what_it_leaves_out(tmp_path, results, registry, monkeypatch):
    """Ten times the cells make the page hardly longer; verdicts and failures keep their rows, links lead to one."""
    sizes, bits = documents(np.random.default_rng(0))
    many = [scored("ssm", bits * 1.2, sizes, seed=seed) for seed in range(2, 60)]
    monkeypatch.setattr(citation, "MOST_ROWS", 12)
    cell = many[-1].id
    verdict = Verdict("ours", "better", "paper", "refuted", findings=(RuleFinding("rule", "refuted", cells=(cell,)),))
    document = build([store(tmp_path / "run", [*results, *many])], registry, [verdict])
    text = html.render_html(document)
    assert len(document.rows) == 12
    assert len(document.rows) + document.left_out == len(results) + len(many)
    assert f"12 of {len(results) + len(many)} rows" in text
    assert "table.csv" in text
    assert {cell, results[-1].id} <= {row.cell_id for row in document.rows}
    ids = set(re.findall(r' id="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= ids
    small = html.render_html(build([store(tmp_path / "small", results)], registry))
    assert len(text) < 2 * len(small)


def test_long_tables_are_cut_with_a_word(tmp_path, registry, monkeypatch):
    monkeypatch.setattr(compose, "MOST_LINES", 3)
    rows = [failed(weighed(f"p{number}", "peak_bytes", 1.0)) for number in range(5)]
    text = html.render_html(build([store(tmp_path / "run", rows)], registry))
    assert "3 of 5 lines; table.csv of the run holds every row" in text
