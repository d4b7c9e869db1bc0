"""Words: those that a regular expression finds, hashes that are equal where words are, runs, and looking them up."""

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.words import Wanted, grams, words

PATTERN = re.compile(rb"[\w\x80-\xff]+")
PARTS = [b"Alpha", b"alpha", b"be ta", b"_x9", "é".encode(), b" ", b"\n", b"-", b"'", b".", b"\x00", b"a" * 300]
texts = st.lists(st.sampled_from(PARTS), max_size=40).map(b"".join)


@given(texts)
def test_words_are_those_of_a_regular_expression(text):
    found = words(text)
    assert [text[a:b] for a, b in zip(found.start, found.stop, strict=True)] == PATTERN.findall(text)
    assert len(found.hashes) == len(found.start)


@given(texts, texts)
def test_hashes_are_equal_where_words_are(one, other):
    spelled = [word.lower() for text in (one, other) for word in PATTERN.findall(text)]
    hashes = np.concatenate([words(one).hashes, words(other).hashes]).tolist()
    assert len(set(hashes)) == len(set(spelled)) == len(set(zip(hashes, spelled, strict=True)))


def test_no_two_of_many_words_have_one_hash():
    many = {b"%x" % random.Random(1).getrandbits(bits) for bits in (8, 16, 32) for _ in range(20)}
    many |= {b"%d" % n for n in range(50_000)} | {bytes([a, b]) for a in range(97, 123) for b in range(97, 123)}
    assert len(np.unique(words(b" ".join(many)).hashes)) == len(many)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_grams_are_equal_where_their_words_are_in_order(n):
    text = b" ".join(random.Random(2).choices([b"a", b"b", b"c"], k=200))
    hashes, split = words(text).hashes, text.split()
    spelled = [tuple(split[i:i + n]) for i in range(len(split) - n + 1)]
    found = grams(hashes, n).tolist()
    assert len(found) == len(spelled) and len(set(found)) == len(set(spelled)) == len(set(zip(found, spelled,
                                                                                              strict=True)))
    assert len(grams(hashes[:n - 1], n)) == 0


def test_what_is_wanted_is_found_and_nothing_else():
    draw = np.random.default_rng(0)
    pool = draw.integers(0, 2**64, 5000, np.uint64)
    wanted = Wanted(pool[:1000])
    places, at = wanted.places(pool[500:])
    assert places.tolist() == list(range(500)) and (wanted.hashes[at] == pool[500:1000]).all()
    assert wanted.look([pool[900:], pool[:10]]).tolist() == sorted({*pool[900:1000].tolist(), *pool[:10].tolist()})
    assert len(Wanted(pool[:0]).look([pool])) == 0
