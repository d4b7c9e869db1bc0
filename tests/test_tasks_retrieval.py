"""Copying, induction, needles: a reader who looks the text up finds every answer; slow generators agree."""

import random

import numpy as np
import pytest
from slowly import answers, furthest, texts

from harness.data.abilities.retrieval import induction, needle, string_copy
from harness.data.abilities.stream import IGNORED
from harness.errors import UsageError

COPY = {"vocab": 8, "shortest": 4, "length": 13}
NEEDLES = {"vocab": 14, "length": 17, "pairs": 3, "queries": 2}


def slow_copy(vocab, shortest, length, most=0):
    letters = random.randint(shortest // 2, most or length // 2)
    text = [random.randrange(1, vocab) for _ in range(letters)] + [0]
    while len(text) <= length:
        text.append(text[-letters - 1])
    answers = [token if token and place > letters else IGNORED for place, token in enumerate(text)]
    return text[:length], answers[1:length + 1]


def slow_induction(vocab, length, distance=0):
    inputs = [random.randrange(1, vocab) for _ in range(length - 1)] + [0]
    at = length - 2 - distance if distance else random.randrange(length - 2)
    inputs[at] = 0
    return inputs, [IGNORED] * (length - 1) + [inputs[at + 1]]


def slow_needle(vocab, length, pairs, queries, distance=0):
    """Pairs one after the other, each where no other lies; with a distance on its own side of even and odd places."""
    keys, free = random.sample(range(1, vocab // 2), pairs), length - queries
    fixed = free - 1 - distance if distance else None
    starts = list(range((free if fixed is None else fixed) % 2, free - 1, 2))
    inputs, bound, taken = [0] * free, {}, set()
    for key in keys:
        while (at := random.choice(starts) if fixed is None or taken else fixed) in taken:
            pass
        taken.add(at)
        bound[key] = random.randrange(vocab // 2, vocab)
        inputs[at:at + 2] = key, bound[key]
    return inputs + keys[:queries], [IGNORED] * free + [bound[key] for key in keys[:queries]]


CASES = {
    "copy": (string_copy, slow_copy, COPY, 8), "short copies": (string_copy, slow_copy, {**COPY, "most": 4}, 8),
    "induction": (induction, slow_induction, {"vocab": 6, "length": 11}, 6),
    "induction at 4": (induction, slow_induction, {"vocab": 6, "length": 11, "distance": 4}, 6),
    "needles": (needle, slow_needle, NEEDLES, 14), "full": (needle, slow_needle, {**NEEDLES, "length": 8}, 14),
    "one needle": (needle, slow_needle, {"vocab": 14, "length": 12, "pairs": 1, "queries": 1}, 14),
    "needle at 6": (needle, slow_needle, {"vocab": 14, "length": 12, "pairs": 3, "queries": 1, "distance": 6}, 14),
    "needle at 7": (needle, slow_needle, {"vocab": 14, "length": 12, "pairs": 3, "queries": 1, "distance": 7}, 14),
}


@pytest.mark.parametrize("name", CASES)
def test_texts_are_those_of_the_slow_generator_on_average(name):
    draw, slow, setting, vocab = CASES[name]
    random.seed(0)
    there = [slow(**setting) for _ in range(500)]
    assert furthest(texts(draw, 500, **setting), there, vocab) < 5


def test_a_needle_that_lies_elsewhere_is_told_apart():
    random.seed(0)
    there = [slow_needle(vocab=14, length=12, pairs=1, queries=1) for _ in range(500)]
    assert furthest(texts(needle, 500, vocab=14, length=12, distance=8), there, 14) > 5


def test_a_copy_comes_behind_the_mark_at_no_fixed_lag():
    lags = set()
    for text in texts(string_copy, 200, **COPY):
        inputs = text.inputs.tolist()
        lag = inputs.index(0) + 1
        known = [(place, inputs[place + 1 - lag]) for place in range(lag - 1, len(inputs))]
        assert answers(text) == [(place, answer) for place, answer in known if answer]
        lags.add(lag)
    assert lags == {3, 4, 5, 6, 7}


def test_what_followed_the_mark_is_asked_at_the_last_place():
    for distance in (0, 1, 9):
        for text in texts(induction, 100, vocab=6, length=11, distance=distance):
            first, last = np.flatnonzero(text.inputs == 0)
            assert answers(text) == [(10, text.inputs[first + 1])]
            assert last == 10 and distance in (0, last - first - 1)


def test_needles_have_keys_of_their_own_and_lie_as_far_away_as_they_say():
    for distance in (1, 5, 10):
        for text in texts(needle, 100, vocab=14, length=12, pairs=3, distance=distance):
            keys = [token for token in text.inputs[:-1].tolist() if 1 <= token < 7]
            assert len(set(keys)) == 3
            first = text.inputs.tolist().index(text.inputs[-1])
            assert answers(text) == [(11, text.inputs[first + 1])]
            assert 11 - (first + 1) == distance


@pytest.mark.parametrize(("draw", "setting", "words"), [
    (string_copy, {**COPY, "vocab": 1}, "copying needs 2 tokens"),
    (string_copy, {**COPY, "shortest": 14}, "texts of at least 2, not 8 and 14 to 13"),
    (induction, {"vocab": 6, "length": 8, "distance": 7}, "a length of 9, not 6 and 8"),
    (needle, {**NEEDLES, "length": 7}, "2 of 3 needles need a length of 9, not 7"),
    (needle, {**NEEDLES, "queries": 4}, "4 of 3 needles"),
    (needle, {**NEEDLES, "vocab": 6}, "a vocabulary of 6 holds 2 keys, not 3"),
    (needle, {"vocab": 14, "length": 8, "distance": 7}, "a length of 9, not 8"),
])
def test_what_does_not_fit_is_one_line(draw, setting, words):
    with pytest.raises(UsageError, match=words):
        texts(draw, 1, **setting)
