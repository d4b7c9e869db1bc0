"""`harness compare`: the forms it takes, what it prints, its exit codes, and one clear line for every mistake."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from conftest import ROOT
from synthetic import HERE, documents, group, scored, store, tuned, weighed

from harness import __main__ as entry
from harness.commands.compare import parse_side

CPU = ROOT / "results/reference/cpu"


@pytest.fixture
def compare(monkeypatch, capsys):
    """The command in this process: (code, stdout, stderr)."""
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["harness", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            entry.main()
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return call


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
        results += [scored("ssm", 0.97 * bits + noise, sizes), scored("baseline", bits, sizes), tuned("ssm", 4),
                    tuned("baseline", 3), weighed("ssm", "weights_bytes", 1e6)]
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
    code, out, _ = compare(runs / "old", other)
    assert code == 0
    assert "incomparable: perplexity of ssm (bits_per_byte): other corpus bytes (A 5ha of p, B 0ther)" in out
    assert "other machine or software (A model one, B model three)" in out
    code, out, err = compare(runs / "old", other, "--fail-on", "scaling.step_time_s > 1.05")
    assert (code, out) == (2, "")
    assert "compares nothing: other machine or software" in err


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
    (("{old}",), ["two runs, A B, or two plugins of one"]),
    (("{old}", "{new}", "{old}"), ["unexpected extra argument"]),
    (("{old}", "{new}", "--plugins", "ssm,baseline"), ["--plugins chooses two plugins of one directory"]),
    (("{old}", "--plugins", "ssm"), ["--plugins must name two plugins"]),
    (("{old}", "--plugins", "ssm,baseline,wave"), ["--plugins must name two plugins"]),
    (("{old}", "--plugins", "ssm,bsaeline"), ["unknown plugin in", "did you mean 'baseline'"]),
    (("{old}:ssm", "{new}"), ["name a plugin on both sides or on none"]),
    (("{old}:ssm:layers", "{new}:ssm"), ["malformed option 'layers'"]),
    (("{old}:smm", "{new}:ssm"), ["unknown plugin in", "did you mean 'ssm'"]),
    (("{old}", "{new}", "--suite", "scalin"), ["unknown suite 'scalin'; did you mean 'scaling'"]),
    (("{old}", "{new}", "--suite", "kernels"), ["nothing in common to compare"]),
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
