"""Recall tasks: every answer stands in its text before its query; a lookup finds it, a bigram table does not."""

import hashlib
import random

import numpy as np
import pytest

from harness.data import tasks
from harness.data.tasks import Case, cases, practice, practice_length
from harness.errors import UsageError

BOS, SEQ_LEN = 256, 64
CASES = cases(SEQ_LEN)


def draw(case, rows=64, seq_len=SEQ_LEN, seed=0):
    return case.draws(rows, seq_len, BOS, random.Random(seed))


def lookup(text, asked):
    """Answers of a reader who follows each task's rule by hand: (position, answer)."""
    text = text.tolist()
    for at in np.flatnonzero(asked):
        before, cue = text[:at], text[at - 1]
        if tasks.AGAIN in before:                               # copy: as far behind `=` as behind the last `<`
            start = max(i for i, token in enumerate(before) if token == tasks.START)
            again = max(i for i, token in enumerate(before) if token == tasks.AGAIN)
            yield at, before[start + at - again]
        else:                                                   # what followed the cue the first time
            yield at, before[before.index(cue) + 1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_lookup_answers_everything(case):
    draws = draw(case)
    assert draws.tokens.shape == draws.asked.shape == (64, SEQ_LEN + 1)
    assert (draws.tokens[:, 0] == BOS).all()
    assert draws.tokens[:, 1:].min() >= 0
    assert draws.tokens[:, 1:].max() < 256
    for text, asked in zip(draws.tokens, draws.asked, strict=True):
        assert all(text[at] == answer for at, answer in lookup(text, asked))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_how_much_is_asked(case):
    """mqar every pair; copy whole words; one needle; induction all letters but the heads of pieces of 2 to 4."""
    asked = draw(case).asked.sum(1)
    size = case.size
    if case.task.name == "induction":
        assert (asked <= size * 3 / 4).all()
        assert (asked >= size // 3).all()
    else:
        words = SEQ_LEN // (2 * size + 2)
        assert set(asked) == {{"mqar": size, "copy": size * words}.get(case.task.name, 1)}


@pytest.mark.parametrize("case", [case for case in CASES if "needle" in str(case) or "mqar" in str(case)], ids=str)
def test_a_binding_comes_once_and_its_answer_not_again_before_the_query(case):
    draws = draw(case)
    for text, asked in zip(draws.tokens.tolist(), draws.asked, strict=True):
        for at in np.flatnonzero(asked):
            assert [i for i, token in enumerate(text[:at - 1]) if token == text[at - 1]] == [text.index(text[at - 1])]


@pytest.mark.parametrize(("name", "pairs"), [("needle", 1), ("needle4", 4)])
def test_needles_lie_as_far_apart_as_they_say_among_as_many(name, pairs):
    for case in CASES:
        if case.task.name == name:
            for text in draw(case).tokens.tolist():
                assert SEQ_LEN - 1 - (text.index(text[-2]) + 1) == case.size
                assert sum(tasks.KEYS <= token < tasks.KEYS + tasks.LETTERS for token in text[:-2]) == pairs


def test_mqar_binds_distinct_keys_and_asks_them_in_another_order():
    text = draw(Case(tasks.MQAR, 16), rows=1).tokens[0, 1:]
    bound, asked = text[:32:2], text[32::2]
    assert sorted(bound) == sorted(asked) == list(range(tasks.KEYS, tasks.KEYS + 16))
    assert bound.tolist() != asked.tolist()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bigram_table_stays_at_chance(case):
    """Counts of which answer follows which query, over many texts, then scored on others: five standard errors."""
    train, test = draw(case, 4096, seed=1), draw(case, 4096, seed=2)
    counts = np.zeros((257, 257))
    at = np.nonzero(train.asked)
    np.add.at(counts, (train.tokens[at[0], at[1] - 1], train.tokens[at]), 1)
    rows, places = np.nonzero(test.asked)
    right = counts.argmax(1)[test.tokens[rows, places - 1]] == test.tokens[rows, places]
    chance = case.task.chance
    assert abs(right.mean() - chance) < 5 * (chance * (1 - chance) / 4096) ** 0.5


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answers_are_uniform(case):
    draws = draw(case, 8192)
    counts = np.bincount(draws.tokens[draws.asked] - tasks.VALUES, minlength=tasks.LETTERS)
    expected = counts.sum() / tasks.LETTERS
    assert len(counts) == tasks.LETTERS
    # Answers of one text may depend on each other, so the spread is that of texts, not of answers.
    assert (abs(counts - expected) < 5 * expected / (8192 / tasks.LETTERS) ** 0.5).all()


def test_texts_depend_on_the_seed_alone():
    """The digest pins them down: a change of the texts is a change of the benchmark."""
    digest = hashlib.sha256()
    for case in practice(SEQ_LEN):
        assert (draw(case).tokens == draw(case).tokens).all()
        assert (draw(case).tokens != draw(case, seed=1).tokens).any()
        digest.update(draw(case).tokens.astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == "0b892db1049a8e8d"


def test_longer_texts_hold_further_cases():
    assert [str(case) for case in cases(24)] == ["mqar@4", "copy@7", "induction@8", "needle@8", "needle@16",
                                                 "needle4@8", "needle4@16"]
    assert {"mqar@16", "copy@127", "needle@128"} <= {str(case) for case in cases(256)}
    for length in (24, 37, 100, 256):
        for case in practice(length):
            assert draw(case, rows=2, seq_len=length).tokens.shape == (2, length + 1)
    with pytest.raises(UsageError, match="at least 24 tokens"):
        cases(23)


def test_repeated_strings_repeat():
    draws = draw(Case(tasks.REPEAT, 16))
    (period,) = {int(asked.argmax()) - 3 for asked in draws.asked}      # asked from the second letter's follower on
    assert 3 <= period <= 16
    assert (draws.tokens[:, 1 + period:] == draws.tokens[:, 1:-period]).all()


def test_practice_grows_to_the_scored_length():
    """Five eighths of it at 16 tokens, the rest in equal parts: 32, 64 and what is asked for."""
    shares = (0, 0.62, 0.625, 0.74, 0.76, 0.87, 0.88, 1.0, 1.1)
    assert [practice_length(done, 100) for done in shares] == [16, 16, 32, 32, 64, 64, 100, 100, 100]
    assert [practice_length(done, 24) for done in (0.6, 0.625, 1.0)] == [16, 24, 24]
