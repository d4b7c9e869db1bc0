"""`harness reproduce` on real cells: planted claims get the verdict they must, and nothing is measured twice."""

import json
import signal
import time

import pytest
from conftest import PATIENCE_S, start, write

HOOK = """
from pathlib import Path
import harness

@harness.hookimpl
def harness_claims():
    return [Path(__file__).with_name("claims.toml")]
"""
CLAIMS = """
[protocol.score]
params = "2k"
budget = "8k"
seq_len = 32
lr = 3e-3
seeds = 3
quick = true

[protocol.time]
seq_len = 64
rounds = 12
plugins = ["toy:dim=8", "toy:dim=8:rate=0.5"]
quick = true
""" + "".join(f"""
[[claim]]
id = "{name}"
quote = "{name}"
source = "{source}"
section = "Abstract"
failure = "it is not so"
{rest}""" for name, source, rest in (
    ("same-score", "controls", """
[[claim.test]]                      # rate=0.5 is the default: the same program under another name
protocol = "score"
kind = "equality"
quantity = "perplexity.bits_per_byte@score"
of = "toy:rate=0.5"
to = "toy"
equals = 1
margin = 0.05
"""), ("planted-false", "controls", """
[[claim.test]]                      # neither of two equal programs is better by a tenth
protocol = "score"
kind = "ratio"
quantity = "perplexity.bits_per_byte@score"
of = "toy:rate=0.5"
to = "toy"
below = 0.9
"""), ("planted-true", "controls", """
[[claim.test]]
protocol = "score"
kind = "bound"
quantity = "perplexity.bits_per_byte@score"
of = "toy"
below = 8
[[claim.test]]
kind = "ratio"
quantity = "counts.vocabulary_parameters"
of = "toy:dim=4"
to = "toy:dim=8"
below = 0.6
positive = "toy:dim=2"
negative = "toy:dim=8"
quick = true
"""), ("same-time", "clocks", """
[[claim.test]]
protocol = "time"
kind = "ratio"
quantity = "throughput.tokens_per_s@train"
of = "toy:dim=8:rate=0.5"
to = "toy:dim=8"
above = 2
"""), ("leaky", "controls", """
[[claim.test]]
protocol = "score"
seeds = 1
kind = "bound"
quantity = "perplexity.bits_per_byte@score"
of = "toy:fault=leak"
below = 8
"""), ("slow", "costly", """
[[claim.test]]
kind = "count"
quantity = "counts.body_parameters"
of = "toy:dim=8"
equals = 72
"""), ("absent-text", "costly", """
[[claim.test]]
corpus = "hf:no-such-text"
params = "2k"
lr = 3e-3
kind = "bound"
quantity = "perplexity.bits_per_byte@score"
of = "toy"
below = 8
"""), ("large", "costly", """
[[claim.test]]
scale = "gpu"
kind = "bound"
quantity = "memory.peak_bytes@train"
of = "toy"
below = 1e9
"""), ("words", "costly", 'unmeasurable = "it names no number"')))


@pytest.fixture(scope="module")
def files(toy, tmp_path_factory):
    """Options that load the toy plugin and a file that brings claims about it."""
    folder = tmp_path_factory.mktemp("claims")
    write(folder / "claims.toml", CLAIMS)
    return ["-p", toy, "-p", write(folder / "bring.py", HOOK)]


@pytest.fixture(scope="module")
def reproduced(command, files, tmp_path_factory):
    """The controls, measured once: the directory, the outcome, and the verdicts by claim."""
    out = tmp_path_factory.mktemp("results") / "claims"
    done = command("reproduce", "--source", "controls", "--json", "--out", out, *files)
    return out, done, {record["claim"]: record for record in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize(("claim", "verdict"), [
    ("same-score", "confirmed"), ("planted-false", "refuted"), ("planted-true", "confirmed"), ("leaky", "invalid")])
def test_a_control_gets_the_verdict_it_must(reproduced, claim, verdict):
    """Each finding; the claims are of one rung and text, which decides none about quality but a leak."""
    _, done, verdicts = reproduced
    assert done.returncode == 0, done.stderr
    assert {finding["verdict"] for finding in verdicts[claim]["findings"]} == {verdict}
    assert verdicts[claim]["verdict"] == ("invalid" if claim == "leaky" else "inconclusive")
    assert verdicts[claim]["at"] == "at 2k parameters and 8k bytes of text"
    assert verdicts[claim]["cells"] and verdicts[claim]["scale"] == "cpu"


def test_a_verdict_cites_cells_that_exist_and_its_interval(reproduced):
    out, _, verdicts = reproduced
    for record in verdicts.values():
        assert all((out / "cells" / f"{cell}.json").exists() for cell in record["cells"])
    finding, = verdicts["planted-false"]["findings"]
    assert 0.9 < finding["low"] <= 1 <= finding["high"] < 1.1


def test_controls_are_measured_beside_the_claim(reproduced):
    _, _, verdicts = reproduced
    finding = verdicts["planted-true"]["findings"][1]
    assert [finding[role]["verdict"] for role in ("positive", "negative")] == ["confirmed", "refuted"]
    assert finding["positive"]["value"] < 0.3 < 0.6 < finding["negative"]["value"]
    assert finding["positive"]["name"] == "toy:dim=2"
    assert set(finding["positive"]["cells"]) < set(verdicts["planted-true"]["cells"])


def test_the_reason_of_a_refused_score_is_the_leak(reproduced):
    assert "audit" not in reproduced[2]["same-score"]["effect"]
    assert "position" in reproduced[2]["leaky"]["effect"]


def test_the_same_command_measures_nothing_again(command, files, reproduced):
    out, _, verdicts = reproduced
    before = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    again = command("reproduce", "same-score", "leaky", "--json", "--out", out, *files)
    assert again.returncode == 0
    assert [json.loads(line) for line in again.stdout.splitlines()] == [verdicts["same-score"], verdicts["leaky"]]
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()} == before


def test_the_report_shows_the_verdicts(command, files, reproduced, tmp_path):
    done = command("report", reproduced[0], "-o", tmp_path / "report.md", *files)
    text = (tmp_path / "report.md").read_text()
    assert done.returncode == 0 and "planted-false" in text and "refuted" in text


def test_equal_clocks_do_not_differ_by_a_factor(command, files, tmp_path):
    done = command("reproduce", "same-time", "--out", tmp_path / "out", *files)
    assert done.returncode == 0, done.stderr
    assert "of 1 claim about the published systems, in 1 form: 1 refuted" in done.stdout.splitlines()


def test_what_cannot_be_run_says_what_is_missing(command, files, tmp_path):
    out = tmp_path / "out"
    done = command("reproduce", "--source", "costly", "--quick", "--json", "--out", out, *files)
    verdicts = {record["claim"]: record for record in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert {name: one["verdict"] for name, one in verdicts.items()} == {
        "slow": "not run", "absent-text": "not run", "large": "not run", "words": "unmeasurable"}
    assert "without --quick" in verdicts["slow"]["effect"]
    assert "hf" in verdicts["absent-text"]["effect"]
    assert "--scale gpu" in verdicts["large"]["effect"]
    assert verdicts["words"]["effect"] == "it names no number"
    done = command("reproduce", "slow", "--json", "--out", out, *files)
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (0, "confirmed")


def test_without_a_gpu_its_claims_are_not_run(command, files, tmp_path):
    done = command("reproduce", "large", "--scale", "gpu", "--json", "--out", tmp_path / "out", *files)
    verdict = json.loads(done.stdout)
    if "GPU" in verdict["effect"]:
        assert (done.returncode, verdict["verdict"]) == (1, "not run")
    else:
        assert verdict["scale"] == "gpu"


def test_a_dry_run_shows_the_cells_and_leaves_nothing(command, files, tmp_path):
    done = command("reproduce", "same-score", "leaky", "--dry-run", "--out", tmp_path / "out", *files)
    assert done.returncode == 0 and "7 cells, 7 to measure" in done.stdout
    assert not (tmp_path / "out").exists()


def test_ctrl_c_keeps_what_is_finished_and_judges_it(files, tmp_path):
    process = start("reproduce", "--source", "controls", "--jobs", 1, "--json", "--out", tmp_path / "out", *files)
    deadline = time.monotonic() + PATIENCE_S
    while not list((tmp_path / "out").glob("cells/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        out, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    verdicts = [json.loads(line)["verdict"] for line in out.splitlines()]
    assert process.returncode == 130 and "not run" in verdicts
    assert json.loads((tmp_path / "out/verdicts.json").read_text())["verdicts"]


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["reproduce"], 2, "--all"), (["reproduce", "same-score", "--all"], 2, "name claims by id"),
    (["reproduce", "same-scor"], 2, "unknown claim 'same-scor'; did you mean 'same-score'"),
    (["reproduce", "--source", "nobody"], 2, "unknown source of claims 'nobody'"),
    (["reproduce", "--all", "--scale", "tpu"], 2, "--scale must be cpu or gpu"),
    (["reproduce", "--all", "--timeout", "0"], 2, "--timeout at least 1"),
])
def test_a_mistake_is_one_line(command, files, tmp_path, arguments, code, words):
    done = command(*arguments, "--out", tmp_path / "out", *files)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_claims_are_listed_and_filtered(command, files, plugin):
    done = command("claims", "--source", "controls", *files)
    assert done.returncode == 0 and "planted-true" in done.stdout and "wave-speed" not in done.stdout
    lines = command("claims", "--plugin", "bring", "--json", *files).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines][:2] == ["same-score", "planted-false"]
    bad = plugin("bad.py", HOOK.replace("claims.toml", "none.toml"))
    done = command("claims", "-p", bad)
    assert done.returncode == 4 and "none.toml" in done.stderr and "wave-speed" in done.stdout


@pytest.mark.parametrize("width", [40, 80])
def test_verdicts_lose_no_word_on_a_narrow_terminal(command, tmp_path, width):
    reproduce = ("reproduce", "qelm-seconds", "wave-density", "--quick", "-q", "--out", tmp_path / "run")
    told = [command(*reproduce, COLUMNS=columns) for columns in (str(width), "400")]
    narrow, wide = (done.stdout.splitlines()[:-1] for done in told)             # the last line is a path
    assert "unmeasurable" in " ".join(wide)
    assert sorted(" ".join(narrow).split()) == sorted(" ".join(wide).split())
    assert max(map(len, narrow)) <= width
