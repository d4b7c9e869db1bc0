"""Scored weights: kept beside their cell as a training run's, sized in bytes, scored again to the same bits."""

import zlib
from types import SimpleNamespace

import pytest
from safetensors.torch import load as load_tensors

from harness.bench.artifact import artifact_bytes
from harness.checkpoint import BEST, CONFIG, TOKENIZER, open_checkpoint
from harness.registry import load
from harness.run.cells import Cell
from harness.run.digest import data_files
from harness.run.worker import Setup, run_cell
from harness.store import CellResult, Row, Store

LEARNS = "morphological:roots=10"


def score(toy, tokenizer="bytes", options=(), checkpoint=""):
    """What a cell that scores the toy leaves: rows by metric, raw measurements, the files that it hands over."""
    protocol = (("budget_bytes", 2000), ("lr", 1e-2), ("role", "score"))
    cell = Cell("perplexity", "toy", options, corpus="pydoc", tokenizer=tokenizer, seq_len=16, batch_size=16,
                checkpoint=checkpoint, protocol=protocol)
    heard = {}
    parent = SimpleNamespace(send=lambda message: heard.update([message]) if message[0] == "weights" else None)
    context = {"limits": {}, "needs": {}, "spec": load([toy]).models["toy"], "sources": {toy}}
    rows, raw = run_cell(parent, Setup((str(toy),)), cell, context)
    return SimpleNamespace(cell=cell, raw=raw, rows={row.metric: row for row in rows}, files=heard.get("weights", {}))


@pytest.fixture(scope="module")
def scored(toy):
    return score(toy)


def test_an_artifact_is_weights_and_files_each_once(tmp_path):
    source, data = tmp_path / "model.py", tmp_path / "table.bin"
    source.write_bytes(b"x" * 100)
    data.write_bytes(b"y" * 1000)
    weights = bytes(10_000)
    packed = zlib.compressobj(1)
    size = len(packed.compress(weights) + packed.flush())
    assert artifact_bytes(weights, [source]) == size + 100
    assert artifact_bytes(weights, [source, data, data]) == size + 1100


def test_data_is_what_else_lies_in_the_packages_of_a_model(tmp_path):
    for name in ("own/__init__.py", "own/model.py", "own/table.bin", "own/data/more.bin", "own/__pycache__/model.pyc",
                 "own/other/__init__.py", "own/other/its.bin", "alone.py", "beside.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert data_files([tmp_path / "own/model.py", tmp_path / "alone.py"]) == {
        tmp_path / "own/table.bin", tmp_path / "own/data/more.bin"}


def test_a_score_says_how_many_bytes_it_takes(scored, toy):
    row = scored.rows["artifact_bytes"]
    assert (row.status, row.unit, row.better) == ("ok", "B", "lower")
    assert row.value == len(zlib.compress(scored.files[BEST], 1)) + toy.stat().st_size


def test_the_files_are_a_training_run_of_the_cell(scored, toy, tmp_path):
    rows = list(scored.rows.values())
    Store(tmp_path / "run").write(CellResult(scored.cell.record(), rows, scored.raw, "", scored.files))
    found = open_checkpoint(str(tmp_path / "run" / "weights" / scored.cell.id))
    assert found.config.run_id == scored.cell.id
    assert (found.config.plugin, found.config.tokenizer) == ("toy", "bytes")
    assert found.config.corpus_sha256 == scored.rows["bits_per_byte"].corpus_sha256
    assert found.bytes_seen == scored.rows["bits_per_byte"].bytes_seen
    assert set(load_tensors(scored.files[BEST])) == {
        f"model.{name}" for name in ("embed.weight", "mix.weight", "mix.bias", "head.weight", "head.bias")}


def test_scored_again_from_its_files_it_is_the_same_number_with_a_tokenizer_that_learns_too(scored, toy, tmp_path):
    first = score(toy, LEARNS)
    assert (set(scored.files), set(first.files)) == ({CONFIG, BEST}, {CONFIG, BEST, TOKENIZER})
    for name, content in first.files.items():
        (tmp_path / name).write_bytes(content)
    again = score(toy, LEARNS, checkpoint=str(tmp_path))
    assert again.raw["document_bits"] == first.raw["document_bits"]
    assert not again.files                                  # they lie where they came from


def test_a_config_that_options_cannot_write_costs_the_weights_and_not_the_score(toy, plugin):
    odd = plugin("odd.py", toy.read_text().replace("rate: float = 0.5", "rate: float = 0.5\n    odd: object = print"))
    found = score(odd)
    assert {row.status for row in found.rows.values()} == {"ok"}
    assert found.rows["artifact_bytes"].reason.startswith("its weights are not kept: no options rebuild its config")
    assert not found.files
    assert found.rows["artifact_bytes"].value > odd.stat().st_size


def test_a_model_that_fails_its_audit_keeps_nothing(toy):
    found = score(toy, options=(("fault", "leak"),))
    assert found.rows["bits_per_byte"].status == "audit_failed"
    assert not found.files


def test_a_run_keeps_weights_of_its_scores_and_text_is_generated_from_them(toy, command, tmp_path):
    out = tmp_path / "run"
    done = command("run", "-p", toy, "--suite", "perplexity", "--plugins", "toy", "--params", "2k", "--budget", "2k",
                   "--seq-len", "16", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "cells/, weights/" in done.stdout
    (scored,) = [result for result in Store(out).results() if "document_bits" in result.raw]
    assert [path.name for path in (out / "weights").iterdir()] == [scored.id]
    said = command("generate", "-p", toy, out / "weights" / scored.id, "The ", "--tokens", "5")
    assert (said.returncode, said.stdout[:4]) == (0, "The "), said.stderr


def test_weights_are_there_before_their_cell_and_take_the_place_of_older_ones(tmp_path, monkeypatch):
    store = Store(tmp_path / "run")
    found = CellResult(Cell("s", "p").record(), [Row(metric="m", value=1.0)], {}, "", {"a": b"old", "b": b""})
    store.write(found)
    monkeypatch.setattr("harness.store.write_atomically", lambda path, text: (_ for _ in ()).throw(KeyboardInterrupt))
    found.weights = {"a": b"new"}
    with pytest.raises(KeyboardInterrupt):
        store.write(found)
    folder = store.weights / found.id
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"new"}
    assert [path.name for path in store.weights.iterdir()] == [found.id]


