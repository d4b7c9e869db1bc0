"""Compressors beside scores: what they reach on known text, and which scores a person is asked to look at."""

import math
import random
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from harness.suites.perplexity import evaluate
from harness.suites.scoring import doubtful

from harness.bench.score import Score
from harness.data import compressors
from harness.data.compressors import PRIMED_BYTES, compressed_bits
from harness.data.corpora import load_documents
from harness.data.windows import limit_documents
from harness.registry import load
from harness.run.cells import Cell
from harness.store import Row

PPMD = pytest.mark.skipif("PPMd" not in compressors.compressors(), reason="pyppmd is not installed")
MOST_OVERHEAD = 0.35                        # bits per byte: a model that learns on the way, headers, whole bytes


def noise(seed: int, length: int, letters: int) -> bytes:
    draw = random.Random(seed)
    return bytes(draw.randrange(letters) for _ in range(length))


@pytest.mark.parametrize("letters", [2, 16, 256])
def test_independent_letters_take_their_entropy(letters):
    found = compressed_bits([noise(1, 100_000, letters)], [noise(2, 20_000, letters)])
    for name, bits in found.items():
        assert math.log2(letters) - 0.01 <= bits <= math.log2(letters) + MOST_OVERHEAD, name


def test_held_out_text_that_was_trained_on_takes_nearly_nothing():
    text = noise(3, 40_000, 256)
    assert max(compressed_bits([text], [text[10_000:30_000]]).values()) < 0.3
    assert min(compressed_bits([noise(4, 40_000, 256)], [text[10_000:30_000]]).values()) > 7.9


def test_of_a_long_training_text_the_end_is_read():
    text = noise(5, 4_000, 256)
    far, near = [text, b"." * PRIMED_BYTES], [b"." * PRIMED_BYTES, text]
    assert min(compressed_bits(far, [text]).values()) > 7.9
    assert max(compressed_bits(near, [text]).values()) < 0.3
    assert b"".join(near)[-PRIMED_BYTES:] == compressors._end(near)
    assert compressors._end([b"a", b"", b"bc"]) == b"abc"


@PPMD
def test_ppmd_knows_prose_better_than_xz_and_both_better_than_deflate():
    corpus = load_documents(*load([]).corpus("pydoc"))
    primer, text = b"".join(corpus.train), b"".join(corpus.heldout)
    deflate = 8 * (len(zlib.compress(primer + text, 9)) - len(zlib.compress(primer, 9))) / len(text)
    found = compressed_bits(corpus.train, corpus.heldout)
    assert found["PPMd"] < found["xz"] < deflate


def test_without_pyppmd_there_is_xz_alone(monkeypatch):
    monkeypatch.setattr(compressors, "find_spec", lambda name: None)
    assert set(compressed_bits([b"some text"], [b"more text"])) == {"xz"}


def test_a_score_is_doubted_below_half_of_the_best_compressor():
    compressed = {"xz": 2.0, "PPMd": 1.5}
    assert "1.5 bits/byte that PPMd reaches" in doubtful(0.749, compressed)
    assert doubtful(0.75, compressed) == ""
    assert "2 bits/byte that xz reaches" in doubtful(0.9, {"xz": 2.0})


@pytest.mark.parametrize("name", ["markov", "hmm", "copy"])
def test_compressors_do_not_beat_a_known_entropy(name):
    corpus = load_documents(*load([]).corpus(name))
    text = limit_documents(corpus.heldout, 32 << 10)
    floor = sum(bits.sum() for bits in corpus.oracle.log_loss(text, [[0] * len(t) for t in text])) / sum(map(len, text))
    assert min(compressed_bits(corpus.train, text).values()) > floor


def score_row(bits_per_byte, compressed, oracle=None):
    """The rows that the suite leaves of two documents of 1000 bytes, by metric."""
    bits, sizes, rows = np.full(2, 1000 * bits_per_byte), np.full(2, 1000.0), {}
    bench = SimpleNamespace(
        documents=SimpleNamespace(oracle=oracle, heldout=[]), heldout=lambda limit: [b"." * 1000] * 2,
        build=lambda: None, checkpoint=SimpleNamespace(bytes_seen=1),
        audit=lambda model, lengths: SimpleNamespace(passed=True, findings=[]),
        score=lambda model, texts: Score(bits, sizes, np.zeros(2, int), np.arange(2), 1), diagnostics=lambda model: {},
        breakdown=lambda score, texts: [],
        seal=lambda model: SimpleNamespace(passed=True), compressed_bits=lambda texts: compressed,
        oracle_bits=lambda texts: [1000 * oracle] * 2, keep=lambda model, bytes_seen: 1, raw={},
        row=lambda metric, *given, **fields: rows.update({metric: Row(metric=metric, value=given[0], **fields)}))
    evaluate(Cell("perplexity", "toy", seq_len=16), bench)
    return rows


def test_a_score_far_below_compressors_stands_and_asks_for_a_person():
    compressed = {"xz": 2.5, "PPMd": 2.0}
    honest, flagged = (score_row(bits, compressed) for bits in (1.1, 0.9))
    assert [rows["bits_per_byte"].status for rows in (honest, flagged)] == ["ok", "ok"]
    assert [rows["bits_per_byte"].value for rows in (honest, flagged)] == [1.1, 0.9]
    assert honest["bits_per_byte"].reason == ""
    assert flagged["bits_per_byte"].reason.startswith("far below the 2 bits/byte that PPMd reaches")
    assert flagged["compressor_bits_per_byte"].value == 2.0
    assert flagged["compressor_bits_per_byte"].reason == "xz 2.500, PPMd 2.000"
    assert "no PPMd without pyppmd" in score_row(1.1, {"xz": 2.5})["compressor_bits_per_byte"].reason


@pytest.mark.parametrize(("bits", "words"), [(2.1, ""), (2.0, ""), (1.9, "below the entropy of the source")])
def test_of_a_known_source_the_entropy_decides_and_no_compressor(bits, words):
    assert score_row(bits, {"xz": 9.0}, oracle=2.0)["bits_per_byte"].reason.partition(",")[0] == words
