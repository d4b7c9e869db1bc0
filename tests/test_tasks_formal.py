"""Parity and modular arithmetic: Python's own arithmetic gives the answers, lengths are uniform."""

import random

import pytest
from slowly import answers, furthest, texts

from harness.data.abilities.formal import modular_arithmetic, parity
from harness.data.abilities.stream import IGNORED
from harness.errors import UsageError


def slow_parity(shortest, length):
    n, odd = random.randint(shortest, length), False
    bits = [random.randint(0, 1) for _ in range(n)]
    for bit in bits:
        odd ^= bit
    return bits + [2] * (length - n), [IGNORED] * (n - 1) + [int(odd)] + [IGNORED] * (length - n)


def slow_arithmetic(shortest, length):
    n = random.randint(-(-shortest // 2), length // 2)
    tokens = [random.randrange(5) if place % 2 == 0 else random.randrange(5, 8) for place in range(2 * n - 1)]
    answer = eval("".join("01234+-*"[token] for token in tokens)) % 5
    rest = length - 2 * n
    return [*tokens, 8] + [9] * rest, [IGNORED] * (2 * n - 1) + [answer] + [IGNORED] * rest


@pytest.mark.parametrize(("draw", "slow", "vocab"), [
    (parity, slow_parity, 3), (modular_arithmetic, slow_arithmetic, 10)])
def test_texts_are_those_of_the_slow_generator_on_average(draw, slow, vocab):
    random.seed(0)
    there = [slow(3, 16) for _ in range(600)]
    assert furthest(texts(draw, 600, shortest=3, length=16), there, vocab) < 5


def test_parity_is_that_of_the_ones_before_the_padding():
    lengths = set()
    for text in texts(parity, 200, shortest=3, length=9):
        bits = [token for token in text.inputs.tolist() if token < 2]
        assert answers(text) == [(len(bits) - 1, bits.count(1) % 2)]
        assert text.inputs.tolist() == bits + [2] * (9 - len(bits))
        lengths.add(len(bits))
    assert lengths == set(range(3, 10))


def test_arithmetic_is_pythons():
    lengths = set()
    for text in texts(modular_arithmetic, 200, shortest=3, length=16):
        end = text.inputs.tolist().index(8)
        assert answers(text) == [(end, eval("".join("01234+-*"[token] for token in text.inputs[:end])) % 5)]
        assert (text.inputs[end + 1:] == 9).all()
        lengths.add(end + 1)
    assert lengths == {4, 6, 8, 10, 12, 14, 16}


@pytest.mark.parametrize(("shortest", "length"), [(0, 8), (9, 8)])
def test_impossible_lengths_are_said(shortest, length):
    for draw in (parity, modular_arithmetic):
        with pytest.raises(UsageError, match="no string has"):
            texts(draw, 1, shortest=shortest, length=length)
