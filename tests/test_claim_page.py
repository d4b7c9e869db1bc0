"""The page of a claim holds its words, protocol, controls, cells, effect, sensitivity and the command; unknown ids are
told with the nearest."""

import json
from dataclasses import replace

import pytest

from harness.evidence.claims.claim import Claim, ClaimTest, Quantity, Rule
from harness.evidence.claims.page import page
from harness.evidence.claims.verdict import RuleFinding, Verdict
from harness.evidence.claims.verdict_file import save_verdicts

RULE = Rule("ratio", Quantity("memory", "peak_bytes", "train"), "wave", "below", 0.6, "baseline")
TEST = ClaimTest(RULE, "by default", subject="redesign", because="source", flags=(("seq_len", 1024),),
                 positive=replace(RULE, of="ssm"), negative=replace(RULE, of="brain"), plugins=("wave", "baseline"))
CLAIM = Claim("ours", "half the memory", "seed 003", "Abstract", "It takes as much.", (TEST,), composed=True)
FINDING = RuleFinding(
    str(RULE), "confirmed", "seq len 1024", 0.5, 0.45, 0.55, "ratio", cells=("c1",), because="source",
    sensitivity="confirmed for every threshold above 0.55",
    positive=RuleFinding(str(TEST.positive), "confirmed", value=0.1, cells=("c2",), name="ssm"))
VERDICT = Verdict("ours", "half the memory", "seed 003", "confirmed", "by default", "cpu", findings=(FINDING,),
                  at="at 100k parameters", subject="redesign")


def facts(parts):
    return [(name, text) for part in parts for name, text in part.facts]


def test_a_page_holds_all_that_a_verdict_rests_on():
    parts = page(replace(CLAIM, tests=(replace(TEST, negative=None),)), [VERDICT])
    assert [part.heading for part in parts] == ["ours", "by default · our redesign · cpu"]
    assert [one for one in facts(parts) if one[0] not in ("if refuted", "rule")] == [
        ("words", "“half the memory” (composed)"), ("source", "seed 003, Abstract"),
        ("verdict", "confirmed at 100k parameters"), ("measured", "0.50 ± 0.05×: confirmed"),
        ("protocol", "seq len 1024"), ("threshold", "the source's own number"),
        ("turns", "confirmed for every threshold above 0.55"),
        ("controls", "positive control ssm 0.100, without a negative control"), ("cells", "c1 c2"),
        ("again", "harness reproduce ours")]


def test_a_verdict_by_an_earlier_rule_says_so():
    """Here one that knew no negative control."""
    assert ("verdict", "confirmed at 100k parameters (by an earlier rule)") in facts(page(CLAIM, [VERDICT]))


def test_without_a_verdict_it_shows_the_protocol():
    found = dict(facts(page(CLAIM, [])))
    assert found["verdict"] == "not measured here" and found["protocol"] == "seq len 1024"
    assert found["controls"] == f"positive {TEST.positive}; negative {TEST.negative}"
    assert (found["models"], found["again"]) == ("wave, baseline", "harness reproduce ours")


def test_a_claim_without_tests_says_why_and_a_gpu_is_named():
    assert ("not a claim", "a definition") in facts(page(replace(CLAIM, tests=(), no_claim="a definition"), []))
    found = dict(facts(page(replace(CLAIM, tests=(replace(TEST, scale="gpu"),)), [])))
    assert found["again"] == "harness reproduce ours --scale gpu"


@pytest.mark.parametrize("width", ["50", "400"])
def test_the_command_shows_the_page_from_a_run(command, tmp_path, width):
    save_verdicts(tmp_path, [replace(VERDICT, claim="wave-memory")])
    done = command("claim", "wave-memory", "--results", tmp_path, COLUMNS=width)
    assert done.returncode == 0 and max(map(len, done.stdout.splitlines())) <= int(width)
    for words in ("seed 003", "Performance Characteristics", "harness reproduce wave-memory"):
        assert words in " ".join(done.stdout.split())


def test_the_command_as_json_without_verdicts_and_for_what_there_is_not(command, tmp_path):
    done = command("claim", "wave-memory", "--results", tmp_path, "--json")
    record, = map(json.loads, done.stdout.splitlines())
    assert (record["kind"], record["id"], record["verdicts"]) == ("claim", "wave-memory", [])
    done = command("claim", "wave-memry")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "unknown claim 'wave-memry'; did you mean 'wave-memory'" in done.stderr
