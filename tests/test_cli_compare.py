"""`harness compare`: the forms it takes, what it prints, its exit codes, and one clear line for every mistake."""

import json
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, environment
from synthetic import HERE, documents, group, scored, store, tuned, weighed

from harness.commands.compare import parse_side

CPU = ROOT / "results/reference/cpu"


@pytest.fixture
def compare(invoke):
    """`harness compare` in this process: (code, stdout, stderr)."""
    return lambda *arguments: invoke("compare", *arguments)


def records(outcome, kind="comparison"):
    _, out, err = outcome
    assert err == ""
    return [record for line in out.splitlines() if (record := json.loads(line))["kind"] == kind]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run `old`, and `new` in which ssm takes 10 % longer and its source has changed."""
    folder, generator = tmp_path_factory.mktemp("runs"), np.random.default_rng(0)
    sizes, bits = documents(generator)
    for name, each in (("old", 1.0), ("new", 1.1)):
        results = group(generator, (128, 256), plugins=(("baseline", 1.0), ("ssm", each)),
                        codes=(("ssm", name),), machine=1 if name == "old" else 0.8)
        noise = sizes * generator.normal(0, 0.01, len(bits))
        results += [scored(plugin, (level + 0.001 * seed) * bits + own, sizes, seed) for seed in range(3)
                    for plugin, level, own in (("ssm", 0.97, noise), ("baseline", 1.0, 0.0))]
        results += [tuned("ssm", 4), tuned("baseline", 3), weighed("ssm", "weights_bytes", 1e6)]
        store(folder / name, results, name)
    return folder


# Two runs

def test_a_run_is_the_same_as_itself(compare):
    code, out, err = compare(CPU, CPU)
    assert (code, err) == (0, "")
    assert re.fullmatch(r"same \d+", out.splitlines()[-1])


def test_a_planted_regression_is_found_and_its_rule_decides_the_exit_code(compare, runs):
    rule = "scaling.step_time_s@train > 1.05"
    code, out, _ = compare(runs / "old", runs / "new", "--fail-on", rule)
    assert code == 1
    assert f"fail-on {rule}: holds: ssm: scaling.step_time_s@train T=256: 1.12×" in out
    assert "each is divided by baseline, timed beside it" in out
    assert compare(runs / "old", runs / "new", "--fail-on", "scaling.step_time_s > 1.2")[0] == 0
    assert compare(runs / "old", runs / "new")[0] == 0
    assert compare(runs / "old", runs / "new", "--fail-on", "memory.weights_bytes > 1", "--fail-on", rule)[0] == 1


def test_from_nothing_to_something_fails_the_gate(compare, tmp_path):
    """A state of 0 bytes that became 4 MB."""
    for name, size in (("old", 0.0), ("new", 4e6)):
        store(tmp_path / name, [weighed("ssm", "state_bytes_per_sequence", size)], name)
    rule = "memory.state_bytes_per_sequence > 1.05"
    code, out, _ = compare(tmp_path / "old", tmp_path / "new", "--fail-on", rule)
    assert code == 1
    assert f"fail-on {rule}: holds: ssm: memory.state_bytes_per_sequence@train T=256: ∞×" in out
    assert compare(tmp_path / "new", tmp_path / "old", "--fail-on", rule)[0] == 0
    assert records(compare(tmp_path / "old", tmp_path / "new", "--json"))[0]["ratio"] == "inf"


def test_two_runs_of_the_same_programs_pass_the_gate(compare, tmp_path):
    """Measured twice on a machine that was 14 % slower the second time: undecided is told, and nothing holds."""
    generator = np.random.default_rng(2)
    for name, machine in (("one", 1.0), ("two", 1.14)):
        store(tmp_path / name, group(generator, (128, 256), machine=machine, noise=0.08), name)
    code, out, _ = compare(tmp_path / "one", tmp_path / "two", "--fail-on", "scaling.step_time_s > 1.0")
    assert code == 0
    assert re.search(r"fail-on scaling.step_time_s > 1.0: undecided: \w+: .*×, within noise", out)
    assert not re.search("holds|worse|better", out)


def test_other_bytes_and_another_machine_are_refused_with_the_reason(compare, runs, tmp_path):
    generator = np.random.default_rng(1)
    sizes, bits = documents(generator)
    other = store(tmp_path / "other", [scored("ssm", bits, sizes, sha="0ther"), *group(generator)], "other",
                  {"here": {**HERE, "cpu": {"model": "two"}}, "there": HERE})
    for path in (other / "cells").glob("*.json"):
        path.write_text(path.read_text().replace('"environment": "here"', '"environment": "there"'))
    (other / "manifest.json").write_text((other / "manifest.json").read_text().replace('"one"', '"three"'))
    code, out, err = compare(runs / "old", other)
    assert (code, err.count("\n")) == (5, 1)
    assert err == "harness: nothing is comparable: other corpus bytes (A 5ha of p, B 0ther)\n"
    assert "incomparable: perplexity of ssm (bits_per_byte): other corpus bytes (A 5ha of p, B 0ther)" in out
    assert "other machine or software (A model one, B model three)" in out
    code, out, err = compare(runs / "old", other, "--fail-on", "scaling.step_time_s > 1.05")
    assert code == 5
    assert "nothing is comparable: other corpus bytes" in err


def test_what_is_not_comparable_has_a_code_of_its_own_and_loses_nothing(compare, runs, tmp_path):
    """Scores are, timings of another machine are not: a rule on these ends with 5, after the table; one that holds
    beside it is stronger."""
    generator = np.random.default_rng(0)
    sizes, bits = documents(generator)
    there = store(tmp_path / "there", [scored("ssm", 1.5 * bits, sizes), *group(generator, (128, 256))], "there",
                  {"here": HERE, "there": {**HERE, "cpu": {"model": "two"}}})
    for path in (there / "cells").glob("*.json"):
        path.write_text(path.read_text().replace('"environment": "here"', '"environment": "there"'))
    timing, score = "scaling.step_time_s > 1.05", "perplexity.bits_per_byte > 1.02"
    code, out, err = compare(runs / "old", there, "--fail-on", timing)
    assert code == 5
    assert "perplexity" in out
    assert err == (f"harness: --fail-on {timing!r} compares nothing: other machine or software "
                   "(A model one, B model two)\n")
    assert compare(runs / "old", there, "--fail-on", timing, "--fail-on", score)[0] == 1
    assert compare(runs / "old", there, "--fail-on", score)[0] == 1
    assert compare(there, runs / "old", "--fail-on", score)[0] == 0


def test_the_code_is_documented_wherever_codes_are():
    from harness.errors import NotComparable

    assert NotComparable.exit_code == 5
    for page in ("docs/reading.md", "harness/errors.py", "docs/commands.md"):
        text = (ROOT / page).read_text()
        assert re.search(r"\| 5 +\| nothing that was to be compared|5 where nothing that was", text)


# Several

def test_every_further_run_is_compared_with_the_first(compare, runs):
    code, out, _ = compare(runs / "old", runs / "new", runs / "old", "--fail-on", "scaling.step_time_s > 1.05")
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("A: ")] == [
        f"A: {runs}/old   B: {runs}/new", f"A: {runs}/old   B: {runs}/old"]
    assert compare(runs / "old", runs / "old", runs / "new", "--fail-on", "scaling.step_time_s > 1.05")[0] == 1
    assert compare(runs / "old", runs / "old", runs / "old", "--fail-on", "scaling.step_time_s > 1.05")[0] == 0
    found = records(compare(runs / "old", runs / "new", runs / "old", "--json"))
    assert list(dict.fromkeys(row["run"] for row in found)) == [f"{runs}/new", f"{runs}/old"]


def test_several_plugins_are_one_family_of_tests(compare, runs):
    ways = [(runs / "old", "--plugins", "baseline,ssm,baseline"),
            (f"{runs}/old:baseline", f"{runs}/old:ssm", f"{runs}/old:baseline")]
    both, same = (records(compare(*way, "--json")) for way in ways)
    assert both == same
    alone = records(compare(runs / "old", "--plugins", "baseline,ssm", "--json"))
    assert [row["verdict"] for row in both[:len(alone)]] == [row["verdict"] for row in alone]
    tests = [row["p_holm"] / row["p"] for row in both if row.get("p_holm", 1) < 1 and row["p"]]
    assert max(tests) >= len([row for row in alone if row.get("p")])


# Two plugins

@pytest.mark.parametrize("form", [
    lambda runs: (runs, "--plugins", "baseline,ssm"), lambda runs: (f"{runs}:baseline", f"{runs}:ssm"),
    lambda runs: (f"{runs}:baseline", f"{runs}/../old/:ssm"),
])
def test_two_plugins_of_a_run_are_paired(compare, runs, form):
    found = records(compare(*form(runs / "old"), "--json"))
    assert {(row["metric"], row.get("seq_len")): row["verdict"] for row in found} == {
        ("bits_per_byte", 256): "better", ("step_time_s", 128): "same", ("step_time_s", 256): "same",
        ("weights_bytes", 256): "only in B"}
    assert found[0]["how"].startswith("paired by document")
    assert next(row for row in found if row["suite"] == "scaling")["how"].startswith("paired by round")


def test_plugins_of_two_runs_may_be_named(compare, runs):
    found = records(compare(f"{runs}/old:ssm", f"{runs}/new:ssm", "--json", "--suite", "scaling"))
    assert [row["verdict"] for row in found] == ["worse", "worse"]


def test_options_belong_to_the_plugin(tmp_path):
    (tmp_path / "a:b").mkdir()
    assert parse_side(f"{tmp_path}/a:b") == (tmp_path / "a:b", "")
    assert parse_side(f"{tmp_path}/a:b:ssm:layers=4") == (tmp_path / "a:b", "ssm:layers=4")
    assert parse_side(f"{tmp_path}:ssm@runs/x") == (tmp_path, "ssm@runs/x")


def test_the_reference_run_says_where_the_plugin_becomes_cheaper(compare):
    code, out, _ = compare(CPU, "--plugins", "baseline,phasefield", "--markdown")
    assert code == 0
    assert "\n| metric | T | baseline | phasefield | phasefield / baseline | detects | verdict |\n" in out
    assert re.search(r"- growth: scaling train: phasefield against baseline: the ratio grows as T\^-0\.\d\d", out)
    assert re.search(r"- growth: scaling train: phasefield against baseline: cheaper .*T = \d+ \(\d+ to \d+\)", out)
    assert re.search(r"- tuning: .*perplexity: baseline \d+ trials, \d+ kB, .* s; phasefield \d+ trials", out)


# What it prints

def test_json_is_a_line_for_every_finding(compare, runs):
    outcome = compare(runs / "old", "--plugins", "baseline,ssm", "--json", "--fail-on", "perplexity.bits_per_byte > 1")
    assert [record["metric"] for record in records(outcome, "growth")] == ["relative_exponent", "crossover_length"]
    assert [(r["equal"], r["a"]["trials"], r["b"]["trials"]) for r in records(outcome, "tuning")] == [(False, 3, 4)]
    assert records(outcome, "rule") == [
        {"kind": "rule", "rule": "perplexity.bits_per_byte > 1", "holds": False, "undecided": 0}]
    score = records(outcome)[0]
    assert score["ratio"] == pytest.approx(0.97, rel=0.01)
    assert score["low"] < 0.97 < score["high"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_value_and_verdict_stand_whole_at_any_width(compare, runs, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = compare(runs / "old", runs / "new")
    assert code == 0
    table = [line.rstrip() for line in out.splitlines() if not line.startswith(("A: ", str(runs)))]
    assert max(map(len, table)) <= width
    words = out.split()
    for word in ("step_time_s@train", "bits_per_byte@score", "worse", "1.12×"):
        assert word in words, word
    assert sum(bool(re.fullmatch(r"\(\d\.\d+–\d\.\d+\)", word)) for word in words) == 5


@pytest.mark.parametrize("form", [(), ("--markdown",), ("--json",)])
def test_an_ascii_terminal_gets_ascii(runs, form):
    """A terminal that knows nothing else, as LC_ALL=C is."""
    done = subprocess.run([sys.executable, "-m", "harness", "compare", runs / "old", runs / "new", *form], cwd=ROOT,
                          env=environment() | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"scaling" in done.stdout


def test_a_suite_that_is_not_loaded_is_told(compare, runs, tmp_path):
    copy = shutil.copytree(runs / "old", tmp_path / "copy")
    path = next((copy / "cells").glob("*.json"))
    path.write_text(path.read_text().replace('"suite": "', '"suite": "my'))
    code, _, err = compare(copy, copy)
    assert code == 0
    assert err.startswith("harness: suite 'my")
    assert "-p FILE loads it" in err


# Mistakes

@pytest.mark.parametrize(("arguments", "words"), [
    ((), ["Missing argument"]),
    (("{old}",), ["compare takes runs, A B, or plugins of one"]),
    (("{old}", "{new}", "{old}:ssm"), ["name a plugin on both sides or on none"]),
    (("{old}", "{new}", "--plugins", "ssm,baseline"), ["--plugins chooses plugins of one directory"]),
    (("{old}", "--plugins", "ssm"), ["--plugins must name two plugins or more"]),
    (("{old}", "--plugins", ","), ["--plugins must name two plugins or more"]),
    (("{old}", "--plugins", "ssm,baseline,wave"), ["unknown plugin in", "'wave'"]),
    (("{old}", "--plugins", "ssm,bsaeline"), ["unknown plugin in", "did you mean 'baseline'"]),
    (("{old}:ssm", "{new}"), ["name a plugin on both sides or on none"]),
    (("{old}:ssm:layers", "{new}:ssm"), ["malformed option 'layers'"]),
    (("{old}:smm", "{new}:ssm"), ["unknown plugin in", "did you mean 'ssm'"]),
    (("{old}", "{new}", "--suite", "scalin"), ["unknown suite 'scalin'; did you mean 'scaling'"]),
    (("{old}", "{new}", "--margin", "0"), ["--margin must lie between 0 and 1"]),
    (("{old}", "{new}", "--margin", "nan"), ["--margin must lie between 0 and 1"]),
    (("{old}", "{new}", "--margin", "wide"), ["--margin"]),
    (("{old}", "{new}", "--json", "--markdown"), ["exclude each other"]),
    (("{old}", "{new}", "--fail-on", "slower"), ["malformed --fail-on 'slower'", "throughput.tokens_per_s < 0.95"]),
    (("{old}", "{new}", "--fail-on", "scaling.steptime < 1"), ["unknown metric", "did you mean 'scaling.step_time_s'"]),
    (("{old}", "{new}", "--fail-on"), ["--fail-on"]),
    (("{old}", "{new}", "--failon", "a.b < 1"), ["--failon"]),
])
def test_a_wrong_command_line_is_told_in_one_line(compare, runs, arguments, words):
    code, out, err = compare(*(str(a).format(old=runs / "old", new=runs / "new") for a in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("harness: ")
    for word in words:
        assert word in err


def test_nothing_in_common_is_nothing_to_compare(compare, runs):
    code, out, err = compare(runs / "old", runs / "new", "--suite", "kernels")
    assert (code, out) == (5, "")
    no = "no metric of these suites"
    assert err == f"harness: nothing in common to compare: A has {no}; B has {no}\n"


def test_directories_that_cannot_be_used_are_told_in_one_line(compare, runs, tmp_path):
    corrupt = shutil.copytree(runs / "old", tmp_path / "corrupt")
    next((corrupt / "cells").glob("*.json")).write_text("{")
    manifest = shutil.copytree(runs / "old", tmp_path / "manifest")
    (manifest / "manifest.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    for name, words in [
        ("corrupt", "is corrupt"), ("manifest", "was not written by this harness"), ("absent", "no results at"),
        ("empty", "holds no finished cell"), ("file", "is a file, not a results directory"),
        ("other", "holds other files (notes.txt)"), ("absent:ssm", "no results at"),
    ]:
        for sides in ((runs / "old", tmp_path / name), (tmp_path / name, runs / "old")):
            code, out, err = compare(*sides)
            assert (code, out, err.count("\n")) == (4, "", 1), (name, err)
            assert words in err


# Continuous integration

def gate_lines_of_the_readme():
    """The words of the README's example: the run before, the run after, the comparison."""
    readme = (ROOT / "README.md").read_text()
    block = readme.partition("# continuous integration")[2].partition("```")[0]
    return [shlex.split(line)[1:] for line in block.splitlines() if line.startswith("harness ")]


@pytest.mark.slow
def test_the_gate_of_the_readme_passes_fails_and_refuses(command, tmp_path):
    """As shipped: no change passes; a worse score ends with 1; a score of other text ends with 5."""
    before, after, gate = gate_lines_of_the_readme()
    before, after = ([*line, "--budget", "20k"] for line in (before, after))
    for line in (before, after):
        assert (done := command(*line, cwd=tmp_path)).returncode == 0, done.stdout + done.stderr
    assert (done := command(*gate, cwd=tmp_path)).returncode == 0, done.stderr
    environments = "results/after/manifest.json"                # measured on another machine
    text = (tmp_path / environments).read_text()
    (tmp_path / environments).write_text(text.replace('"cores"', '"other cores"'))
    assert command(*gate, cwd=tmp_path).returncode == 0
    for change, code in ((["--lr", "0.00001"], 1), (["--corpus", "markov"], 5)):
        shutil.rmtree(tmp_path / "results/after")
        assert command(*after, *change, cwd=tmp_path).returncode == 0
        assert (done := command(*gate, cwd=tmp_path)).returncode == code, done.stdout + done.stderr
