"""A tokenizer that loses text, miscounts it or does not repeat itself fails in its line; the built-in ones pass."""

import numpy as np
import pytest

from harness.conformance.tokenizer_checks import check_tokenizer
from harness.data.tokenizers import Bytes
from harness.registry import load
from harness.specs import TokenizerSpec

REGISTRY = load()


class Text(Bytes):
    """Encodes what is UTF-8, drops the rest."""

    def encode(self, text):
        return super().encode(text.decode(errors="ignore").encode())


class Short(Bytes):
    def __init__(self):
        super().__init__()
        self.vocab_size, self.token_bytes = 200, self.token_bytes[:200]


class Counts(Bytes):
    def __init__(self):
        super().__init__()
        self.token_bytes[65] = 2


class Beyond(Bytes):
    def encode(self, text):
        return super().encode(text) + 300

    def decode(self, tokens):
        return super().decode(np.asarray(tokens) - 300)


class Random(Bytes):
    """Writes a text with or without marks that stand for nothing."""

    calls = 0

    def encode(self, text):
        Random.calls += 1
        return np.append(super().encode(text), [self.bos] * (Random.calls % 2))


class Learned(Bytes):
    def __init__(self, table):
        super().__init__()
        self.marks = [self.bos] * len(table)

    def encode(self, text):
        return np.append(super().encode(text), self.marks)


def nothing():
    return 3


def learned_set(documents):
    return {len(documents)}


def learned_numbers(documents):
    return {1: "a", "1": "b"}


def learned_list(documents):
    return [1, 2]


def lines(target, learn="", **fields):
    learn = f"{__name__}:{learn}" if learn else ""
    spec = TokenizerSpec("mine", f"{__name__}:{target}", "of a test", learn=learn, **fields)
    return {line.check: line for line in check_tokenizer(REGISTRY, spec)}


@pytest.mark.parametrize("name", ["bytes", "morphological"])
def test_what_is_built_in_passes(name):
    assert all(line.status == "ok" for line in check_tokenizer(REGISTRY, REGISTRY.tokenizers[name]))


def test_what_learns_passes():
    assert [line.status for line in lines("Learned", "learned_list").values()] == ["ok"] * 5


@pytest.mark.parametrize(("target", "learn", "fields", "line", "words"), [
    ("nothing", "", {}, "tokenizer", "has no name"),
    ("absent", "", {}, "tokenizer", "absent"),
    ("Text", "", {}, "round trip", "comes back other"),
    ("Counts", "", {}, "round trip", "token_bytes make"),
    ("Beyond", "", {}, "round trip", "of a vocabulary of 257"),
    ("Short", "", {}, "round trip", "of a vocabulary of 200"),
    ("Short", "", {}, "vocabulary", "bos=256 must be an id"),
    ("Bytes", "", {"vocab_size": 256}, "vocabulary", "says 256 ids, there are 257"),
    ("Random", "", {}, "repeatable", "other ids"),
    ("Learned", "learned_set", {}, "learned table", "is no JSON"),
    ("Learned", "learned_numbers", {}, "learned table", "other ids"),
])
def test_a_fault_fails_in_its_line(target, learn, fields, line, words):
    found = lines(target, learn, **fields)
    assert found[line].status == "fail" and words in found[line].detail
    assert found[line].mend
    if line == "tokenizer":
        assert {one.status for one in found.values()} == {"fail", "skipped"}
