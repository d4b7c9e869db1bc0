"""Whatever is read back, from a results directory, a checkpoint or a claim file: it is read, or one line refuses it.

A valid file with parts that are replaced, taken away or repeated, or with bytes that are changed. FUZZ_EXAMPLES says
how many of each; `make fuzz` tries many.
"""

import copy
import json
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import SUITES, documents, run, scored, timed

from harness.bench.weights import read_metadata, read_tensors
from harness.checkpoint import parse_config, to_toml
from harness.errors import FileError, HarnessError
from harness.evidence.claims.file import parse_claims
from harness.evidence.claims.verdict_file import load_verdicts
from harness.evidence.comparison.compare import compare_runs
from harness.evidence.laws.rungs import rung_points
from harness.gguf.file import read_gguf, write_gguf
from harness.reading import conclude
from harness.run.config_file import read_config_file
from harness.run.training_log import standing
from harness.store import Store, cell_text, parse_cell, to_frame
from harness.untrusted import Malformed

FUZZED = settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "25")), deadline=None,
                  suppress_health_check=list(HealthCheck))
MOST_BYTES = 256 << 20                      # that reading a small file may take

numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 1e308, -0.0, 1 << 63, 1 << 200])
texts = st.text(max_size=20) | st.sampled_from(["", "../../x", "/dev/zero", "\ud800", "\x1b[2J", "a" * 5000, "c1"])
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
                      max_leaves=8)


@st.composite
def spoiled(draw, sound):
    """`sound` with up to three of its parts replaced, taken away, repeated or given a stranger beside them."""
    value = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 3))):
        inner = value
        while isinstance(inner, dict | list) and inner:
            key = draw(st.sampled_from(sorted(inner))) if isinstance(inner, dict) else draw(
                st.integers(0, len(inner) - 1))
            if not isinstance(inner[key], dict | list) or not inner[key] or draw(st.integers(0, 2)) == 0:
                match draw(st.integers(0, 3)):
                    case 0:
                        inner[key] = draw(values)
                    case 1:
                        del inner[key]
                    case 2:
                        inner[key] = [copy.deepcopy(inner[key])] * draw(st.integers(0, 300))
                    case 3 if isinstance(inner, dict):
                        inner[draw(texts)] = draw(values)
                break
            inner = inner[key]
    return value


@st.composite
def changed(draw, sound):
    """`sound` bytes, cut, with some overwritten or put in between."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        new = draw(st.binary(max_size=12))
        content[place:place + draw(st.sampled_from([0, len(new), 40]))] = new
    return bytes(content[:draw(st.integers(0, len(content)))] if draw(st.integers(0, 4)) == 0 else content)


def refused_or_read(action, *allowed):
    """What the action gives, None where it refuses in one line; never another error, never much memory."""
    tracemalloc.start()
    try:
        return action()
    except (HarnessError, *allowed) as told:
        assert "\n" not in str(told)
        return None
    finally:
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
        tracemalloc.stop()


def sound_cells():
    sizes, bits = documents(np.random.default_rng(0), 4)
    return [scored("baseline", bits, sizes), timed("ssm", [0.1, 0.2, 0.3], group="g")]


CELLS = [json.loads(cell_text(result)) for result in sound_cells()]


@FUZZED
@given(st.sampled_from(CELLS).flatmap(spoiled))
def test_a_cell(record):
    """What is taken for a cell can be tabulated, concluded and compared."""
    content = json.dumps(record).encode()
    result = refused_or_read(lambda: parse_cell(content, CELLS[0]["cell"]["id"]), Malformed)
    if result is not None:
        refused_or_read(lambda: to_frame(result.rows))
        refused_or_read(lambda: rung_points([result]))
        refused_or_read(lambda: conclude(SUITES, [result], "r"))
        refused_or_read(lambda: compare_runs(run(result), run(*sound_cells()), SUITES))


@FUZZED
@given(changed(cell_text(sound_cells()[0]).encode()))
def test_the_bytes_of_a_cell(content):
    refused_or_read(lambda: parse_cell(content, CELLS[0]["cell"]["id"]), Malformed)


MANIFEST = {"schema": 1, "harness": "0", "run_id": "r1", "commands": [{"at": "2030", "argv": ["harness", "run"]}],
            "environments": {"e": {"python": "3.11", "packages": {"torch": "2"}, "cpu": {"model": "x", "cores": 2}}},
            "limits": {"e": {"cpu": {"copy_bytes_per_s": 1.0}}}, "planned": ["c1"]}
VERDICTS = {"verdicts": [{"claim": "c", "quote": "q", "source": "s", "verdict": "refuted", "findings": [
    {"rule": "r < 1", "verdict": "refuted", "value": 1.5, "low": 1.2, "high": 1.8, "cells": ["c1"]}]}]}


@FUZZED
@given(spoiled(MANIFEST))
def test_a_manifest(tmp_path_factory, record):
    folder = fresh(tmp_path_factory, "manifest.json", json.dumps(record).encode())
    refused_or_read(lambda: Store(folder, create=False).manifest())


@FUZZED
@given(spoiled(VERDICTS))
def test_verdicts(tmp_path_factory, record):
    folder = fresh(tmp_path_factory, "verdicts.json", json.dumps(record).encode())
    verdicts = refused_or_read(lambda: load_verdicts(folder))
    for verdict in verdicts or ():
        refused_or_read(lambda verdict=verdict: (verdict.lines, verdict.effect, verdict.told))


def fresh(tmp_path_factory, name, content):
    """A folder with one file."""
    folder = Path(tmp_path_factory.mktemp("fuzz", numbered=True))
    (folder / name).write_bytes(content)
    return folder


CONFIG = to_toml({"run": {"plugin": "ssm", "tokenizer": "bytes", "params": 1000}, "model": {"hidden": 8}}).encode()
CLAIMS = b"""
[protocol.q]
params = "1k"
[[claim]]
id = "a"
quote = "b"
source = "c"
section = "d"
failure = "e"
[[claim.test]]
protocol = "q"
kind = "ratio"
quantity = "memory.peak_bytes@train"
of = "ssm"
to = "baseline"
below = 0.5
"""
OPTIONS = b'suite = "memory"\nplugins = ["ssm", "baseline"]\nparams = "30k"\nseeds = 3\n'
LOG = b'{"event": "start", "step": 0, "at": 1.0, "pid": 1, "host": "h", "plugin": "ssm", "device": "cpu", ' \
      b'"dtype": "float32", "world": 1, "params": 5}\n{"event": "end", "step": 3, "at": 2.0, "outcome": "finished", ' \
      b'"seconds": 1.0}\n'


@FUZZED
@given(changed(CONFIG))
def test_the_config_of_a_checkpoint(content):
    refused_or_read(lambda: parse_config(content, Path("run.toml")))


@FUZZED
@given(changed(CLAIMS))
def test_a_claim_file(tmp_path_factory, content):
    folder = fresh(tmp_path_factory, "claims.toml", content)
    refused_or_read(lambda: parse_claims(folder / "claims.toml"))


@FUZZED
@given(changed(OPTIONS))
def test_a_file_of_options(tmp_path_factory, content):
    folder = fresh(tmp_path_factory, "run.toml", content)
    refused_or_read(lambda: read_config_file(folder / "run.toml"))


@FUZZED
@given(changed(LOG))
def test_a_training_log(tmp_path_factory, content):
    folder = fresh(tmp_path_factory, "log.jsonl", content)
    refused_or_read(lambda: standing(folder))


HEADER = json.dumps({"__metadata__": {"at": "{}"}, "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                     "b": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]}}).encode()


@FUZZED
@given(changed(struct.pack("<Q", len(HEADER)) + HEADER + bytes(32)))
def test_weights(tmp_path_factory, content):
    path = fresh(tmp_path_factory, "w.safetensors", content) / "w.safetensors"
    refused_or_read(lambda: read_metadata(path))
    refused_or_read(lambda: read_tensors(path))


@pytest.fixture(scope="module")
def gguf(tmp_path_factory):
    pytest.importorskip("gguf", reason="gguf is not installed (pip install -e '.[gguf]')")
    path = tmp_path_factory.mktemp("gguf") / "sound.gguf"
    write_gguf(path, {"a": np.ones((4, 32), np.float32), "b": np.arange(3, dtype=np.float32)}, {"k": "v"}, "f32")
    return path.read_bytes()


@FUZZED
@given(st.data())
def test_gguf(gguf, tmp_path_factory, data):
    path = fresh(tmp_path_factory, "w.gguf", data.draw(changed(gguf))) / "w.gguf"
    refused_or_read(lambda: read_gguf(path))


def test_what_it_looks_for_is_found():
    """The check itself: a traceback, two lines and much memory are all noticed."""
    with pytest.raises(KeyError):
        refused_or_read(lambda: {}["x"])
    with pytest.raises(AssertionError):
        refused_or_read(lambda: bytearray(MOST_BYTES + 1))
    with pytest.raises(AssertionError):
        refused_or_read(lambda: (_ for _ in ()).throw(FileError("one\ntwo")))
