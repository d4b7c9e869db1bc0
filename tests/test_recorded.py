"""Recorded scores: which are kept, under which protocol plugins are looked up, what `harness power` says of them."""

from __future__ import annotations

import json
import re

import pytest

from harness.errors import FileError
from harness.evidence.comparison.recorded import (
    FILE,
    Protocol,
    Scored,
    best_protocol,
    load_scores,
    scores_of,
    scores_text,
)
from harness.store import CellResult, Row


def cell(plugin="a", seed=0, lr=0.1, params=1000, bits=(80.0, 40.0), sizes=(40.0, 20.0), status="ok"):
    what = {"id": f"{plugin}{seed}{lr}", "suite": "perplexity", "plugin": plugin, "options": {}, "params": params,
            "corpus": "text", "seed": seed, "protocol": {"budget_bytes": 500, "lr": lr}, "code": plugin}
    return CellResult(what, [Row(metric="bits_per_byte", value=2.0, status=status, wall_s=4.0)],
                      {"document_bits": list(bits), "document_bytes": list(sizes)})


def test_seeds_of_one_protocol_are_one_record():
    found, = scores_of([cell(seed=1, bits=(82.0, 41.123456789)), cell(seed=0)])
    assert found == Scored("a", Protocol("text", 1000, 500, (40.0, 20.0)), 4.0, ((80.0, 40.0), (82.0, 41.12346)))


def test_one_seed_one_document_and_refused_scores_are_no_record():
    assert scores_of([cell(), cell("b", 0, bits=(1.0,), sizes=(1.0,)), cell("b", 1, bits=(1.0,), sizes=(1.0,))]) == []
    assert scores_of([cell(status="audit_failed"), cell(seed=1, status="audit_failed")]) == []


def test_of_two_learning_rates_the_better_counts():
    cells = [cell(seed=s, lr=lr, bits=bits) for s in (0, 1) for lr, bits in ((0.1, (80.0, 40.0)), (0.2, (70.0, 40.0)))]
    found, = scores_of(cells)
    assert found.document_bits == ((70.0, 40.0), (70.0, 40.0))


def test_the_protocol_is_that_of_most_plugins_asked_for():
    small, large = (Protocol("text", params, 500, (40.0, 20.0)) for params in (1000, 9000))
    scores = [Scored(name, protocol, 1.0, ((1.0, 1.0),) * 2) for name, protocol in (
        ("a", small), ("b", small), ("a", large), ("c", large), ("d", large))]
    assert best_protocol(scores, ["a", "b"]) == small and best_protocol(scores, ["a"]) == large
    assert best_protocol(scores, ["a"], "other") is None and best_protocol([], ["a"]) is None


def test_scores_come_back_from_their_file(tmp_path):
    scores = scores_of([cell(plugin, seed) for plugin in "ab" for seed in (0, 1)])
    (tmp_path / FILE).write_text(scores_text(scores))
    assert load_scores(tmp_path) == scores and load_scores(tmp_path / "none") == []
    (tmp_path / FILE).write_text('{"scores": [{"plugin": 3}]}')
    with pytest.raises(FileError, match=r"scores.json is corrupt \(.*\); `make readme` makes it anew"):
        load_scores(tmp_path)


# The command

def test_power_is_told_of_every_pair(invoke):
    code, out, _ = invoke("power", "--plugins", "ssm,phasefield,wave", "--difference", "2%", "--seeds", "5")
    assert code == 0
    lines = out.splitlines()
    recorded = re.match(r"recorded: \d+ plugins with \d+ seeds or more, on (\d+) documents of \w+, "
                        r"which count as ([\d.]+) of one size", lines[0])
    assert recorded and 1 <= float(recorded[2]) <= int(recorded[1])
    for other in ("phasefield", "wave"):
        seen = f"{other} beside ssm: 5 seeds, {recorded[1]} documents: 0.02 is seen with a power of "
        assert any(line.startswith(seen) for line in lines)
        assert any(line.startswith(f"{other} beside ssm: enough for 80 %: ") for line in lines)


def test_more_seeds_see_more_and_records_are_numbers(invoke):
    found = [json.loads(invoke("power", "--plugins", "ssm,phasefield", "--seeds", seeds, "--json")[1])
             for seeds in ("1", "3", "12")]
    assert [one["kind"] for one in found] == ["power"] * 3
    assert found[0]["power"] == 0 and "no difference at all" in invoke(
        "power", "--plugins", "ssm,phasefield", "--seeds", "1")[1]
    assert found[1]["power"] < found[2]["power"] and found[1]["detectable"] > found[2]["detectable"]


def test_a_plugin_without_a_record_has_medians_in_its_place(invoke):
    code, out, _ = invoke("power", "--plugins", "ssm,wave:ratio=0.3")
    assert code == 0 and "wave:ratio=0.3 beside ssm: no record of wave:ratio=0.3; medians of the others stand in" in out


@pytest.mark.parametrize(("arguments", "words"), [
    (["--plugins", "ssm,phasefeild"], "unknown plugin 'phasefeild'; did you mean 'phasefield'?"),
    (["--plugins", "ssm"], "--plugins must name two plugins or more"),
    (["--plugins", "ssm,wave", "--difference", "150%"], "--difference must be a share such as 1% or 0.01"),
    (["--plugins", "ssm,wave", "--metric", "accuracy"], "--metric must be bits_per_byte"),
    (["--plugins", "ssm,wave", "--corpus", "nope"], "recorded no plugin with two seeds on nope"),
    (["--plugins", "ssm,wave", "--rungs", "0"], "--rungs must lie between 1 and 100, got 0")])
def test_what_is_wrong_is_one_line(invoke, arguments, words):
    code, out, err = invoke("power", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1) and words in err
