"""Worker: a failure inside a cell becomes a row with its reason, and what leaves the worker is plain JSON."""

import json
from dataclasses import asdict

import pytest
import torch
from parents import Parent

from harness import registry
from harness.data.corpora import load_documents
from harness.data.morphology import Morphological, learn
from harness.data.tokenizers import vocabulary
from harness.registry import load
from harness.run.cells import Cell
from harness.run.worker import Abort, Setup, run_cell
from harness.suite import Suite


def perform(toy, fault="none", suite="poke", parent=None, plugin="toy", **fields):
    cell = Cell(suite, plugin, (("fault", fault),), tokenizer="bytes", **fields)
    return run_cell(parent or Parent(), Setup((str(toy),)), cell, {"limits": {}, "needs": {}})


@pytest.mark.parametrize(("fault", "statuses", "reason"), [
    ("none", ["ok"], ""),
    ("raise", ["ok", "error"], "ValueError: a reason in two lines (toy.py:"),
    ("sysexit", ["ok", "error"], "SystemExit: enough (toy.py:"),
    ("memory", ["ok", "oom"], "out of memory"),
    ("nan", ["ok", "error"], "number is not a number"),
    ("infinite", ["ok", "error"], "number is infinite"),
    ("rows", ["error"], "a row that no table can hold: seed: must be an integer, not text"),
    ("raw", ["ok", "error"], "raw measurements that are not JSON: Object of type object"),
])
def test_a_failure_becomes_a_row_behind_those_before(toy, fault, statuses, reason):
    rows, raw = perform(toy, fault, seed=3)
    assert [row.status for row in rows] == statuses
    assert rows[-1].reason.startswith(reason)
    assert {(row.seed, row.plugin, row.options) for row in rows} == {(3, "toy", f"fault={fault}")}
    json.dumps([[asdict(row) for row in rows], raw])


def test_raw_measurements_are_what_a_store_reads_back(toy):
    assert perform(toy)[1] == {"marks": [1, 2]}


def test_a_plugin_that_does_not_load_here_says_why(plugin):
    broken = plugin("broken.py", "raise ValueError('only here')")
    (row,), _ = perform(broken)
    assert row.status == "error"
    assert row.reason == "toy did not load in the worker: ValueError: only here"
    assert (row.suite, row.plugin) == ("poke", "toy")


@pytest.mark.parametrize(("fields", "words"), [
    ({"plugin": "absent"}, "absent needs no_such_package"),
    ({"suite": "pook"}, "unknown suite 'pook'; did you mean 'poke'"),
    ({"device": "cuda"}, "no usable CUDA device"),
])
def test_a_cell_that_cannot_begin_says_why(toy, fields, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    rows, _ = perform(toy, **fields)
    assert [row.status for row in rows] == ["error"]
    assert words in rows[0].reason


def test_a_missed_parameter_target_and_a_failure_do_not_collide(toy):
    """The note on the size stands in `reason` of every row, where a failure puts its own."""
    def measure(cell, bench):
        bench.build()
        bench.row("built", 1)
        raise ValueError("later")

    rows = with_suite(measure, toy, params=1)
    assert rows[0].reason.startswith("nearest reachable to 1 parameters is 2")
    assert rows[1].reason.startswith("ValueError: later")
    assert rows[1].params == rows[0].params == 2


def with_suite(measure, toy, **fields):
    """The rows of a cell of a suite that is made on the spot."""
    found = load([toy])
    found.suites["made"] = Suite("made", "", lambda request: [], measure)
    cell = Cell("made", "toy", **{"tokenizer": "bytes"} | fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "load", lambda files=(), installed=True: found)
        return run_cell(Parent(), Setup(), cell, {"limits": {}, "needs": {}})[0]


@pytest.mark.parametrize(("fault", "words"), [
    ("shape", "returns torch.float32 logits of shape (2, 2, 257)"),
    ("nan", "gives NaN or infinite logits at position 0"),
    ("raise", "raises RuntimeError: no more"),
])
@pytest.mark.parametrize("use", ["train_step", "inference"])
def test_a_model_that_breaks_the_contract_is_told_as_such(toy, fault, words, use):
    def measure(cell, bench):
        getattr(bench, use)(bench.build())

    (row,) = with_suite(measure, toy, options=(("fault", fault),))
    assert row.status == "error"
    assert row.reason.startswith(f"the model breaks the contract: forward of 2 x 3 tokens {words}")


@pytest.mark.parametrize("named", [True, False])
def test_a_trained_tokenizer_learns_from_the_training_text_of_the_cell_or_of_the_default_corpus(toy, tmp_path, named):
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(f"{k} {'abcdefgh'[k % 8] * 5} {'ijklmnop'[k % 7] * 5} words" for k in range(200)))
    corpus = f"file:{path}" if named else ""

    def measure(cell, bench):
        text = load_documents(*bench.registry.corpus(corpus or "pydoc"))
        learned = learn(text.train, roots=10)
        assert learned != learn(text.heldout, roots=10)
        assert vocabulary(bench.tokenizer) == vocabulary(Morphological(learned))
        assert bench.build().embed.num_embeddings == bench.tokenizer.vocab_size > 257
        bench.row("roots", len(bench.tokenizer.own.zones["roots"]))

    (row,) = with_suite(measure, toy, tokenizer="morphological:roots=10", corpus=corpus)
    assert (row.status, row.reason) == ("ok", "")
    assert bool(row.corpus_sha256) == named
    assert row.value == 10


def test_a_model_is_in_the_mode_that_its_use_asks_for(toy):
    def measure(cell, bench):
        for use in ("train_step", "inference", "train_step"):
            model = bench.build()
            getattr(bench, use)(model)
            bench.row(use, float(model.training))

    assert [row.value for row in with_suite(measure, toy)] == [1.0, 0.0, 1.0]


def test_every_turn_asks_for_the_baton(toy):
    parent = Parent()
    rows, raw = perform(toy, suite="rounds", group="g", protocol=(("rounds", 5),), parent=parent)
    assert [row.value for row in rows] == [5.0]
    assert len(raw["turns"]) == 5
    assert parent.heard.count(("turn",)) == 6                       # one before the work begins


@pytest.mark.parametrize(("answer", "error"), [(None, EOFError), (("cell",), Abort)])
def test_a_parent_that_went_away_ends_the_work_without_a_row(toy, answer, error):
    with pytest.raises(error):
        perform(toy, suite="rounds", group="g", protocol=(("rounds", 5),), parent=Parent(answer))
