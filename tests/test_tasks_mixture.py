"""The mixture of the suite recall: tasks of the table by load and distance, every answer in its text, nothing else."""

import hashlib

import numpy as np
import pytest

from harness.data.abilities import mixture, table
from harness.data.abilities.mixture import CASES as TASKS
from harness.data.abilities.mixture import LETTERS, Case, cases, practice_length, practised
from harness.data.abilities.stream import IGNORED, Stream
from harness.errors import UsageError

SEQ_LEN = 64
CASES = cases(SEQ_LEN)
FILLER = LETTERS[0]
KEYS, VALUES = set(LETTERS[1:1 + mixture.KEYS].tolist()), set(LETTERS[mixture.VOCAB // 2:].tolist())


def draw(case, rows=64, seq_len=SEQ_LEN, seed=0, part="test"):
    """Inputs and targets, (rows, seq_len) each."""
    texts = [case.text(seq_len, part, seed, index) for index in range(rows)]
    return np.stack([text.inputs for text in texts]), np.stack([text.targets for text in texts])


def practice(n, seq_len=SEQ_LEN):
    """The first n cases that are drawn to practise on."""
    stream = Stream("a mixture", "order", 0, 0)
    return [practised(stream, seq_len) for _ in range(n)]


def right_at_lag(case, seq_len, index):
    """Of what a text asks: whether the answer stood so many places back, (questions, seq_len), by brute force."""
    inputs, targets = case.text(seq_len, "train", 0, index)
    asked = np.flatnonzero(targets != IGNORED)
    return np.array([[lag <= at and inputs[at - lag] == targets[at] for lag in range(seq_len)] for at in asked])


def lookup(case, inputs, targets):
    """Answers of a reader who follows each task's rule by hand: (place, answer)."""
    text = inputs.tolist()
    for at in np.flatnonzero(targets != IGNORED):
        if case.name == "copy":                                 # a string and a mark ago
            yield at, text[at - case.size]
        else:                                                   # what followed the cue the first time
            yield at, text[text.index(text[at]) + 1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_lookup_answers_everything(case):
    inputs, targets = draw(case)
    assert inputs.shape == targets.shape == (64, SEQ_LEN)
    assert set(inputs.ravel().tolist()) <= {FILLER, *KEYS, *VALUES}
    for row, asked in zip(inputs, targets, strict=True):
        assert all(asked[at] == answer for at, answer in lookup(case, row, asked))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_how_much_is_asked(case):
    """Every pair, every letter after the first mark, one answer of the others."""
    _, targets = draw(case)
    letters = sum((place + 1) % (case.size + 1) > 0 for place in range(case.size + 1, SEQ_LEN + 1))
    assert set((targets != IGNORED).sum(1)) == {{"mqar": case.size, "copy": letters}.get(case.name, 1)}


@pytest.mark.parametrize("case", [case for case in CASES if "needle" in str(case) or "mqar" in str(case)], ids=str)
def test_a_binding_comes_once_and_its_answer_not_again_before_the_query(case):
    for text, asked in zip(*draw(case), strict=True):
        for at in np.flatnonzero(asked != IGNORED):
            assert len(np.flatnonzero(text[:at] == text[at])) == 1


@pytest.mark.parametrize(("name", "pairs"), [("needle", 1), ("needle4", 4)])
def test_needles_lie_as_far_apart_as_they_say_among_as_many(name, pairs):
    for case in CASES:
        if case.name == name:
            for text in draw(case)[0].tolist():
                assert SEQ_LEN - 1 - (text.index(text[-1]) + 1) == case.size
                assert sum(token in KEYS for token in text[:-1]) == pairs


def test_mqar_binds_distinct_keys_and_asks_them_in_another_order():
    inputs, targets = draw(Case("mqar", 16), rows=1)
    bound, asked = inputs[0, :32:2], inputs[targets != IGNORED]
    assert sorted(bound) == sorted(asked) == sorted(KEYS)
    assert bound.tolist() != asked.tolist()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bigram_table_stays_at_chance(case):
    """Counts of which answer follows which query, over many texts, then scored on others: five standard errors."""
    counts = np.zeros((128, 128))
    (inputs, targets), (others, answers) = draw(case, 400, seed=1), draw(case, 400, seed=2)
    np.add.at(counts, (inputs[targets != IGNORED], targets[targets != IGNORED]), 1)
    cues, known = others[answers != IGNORED], answers[answers != IGNORED]
    right, chance = counts.argmax(1)[cues] == known, case.chance
    assert abs(right.mean() - chance) < 5 * (chance * (1 - chance) / 400) ** 0.5


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answers_are_uniform(case):
    """As many as chance says. Answers of one text may depend on each other: the spread is that of texts."""
    _, targets = draw(case, 600)
    counts = np.bincount(targets[targets != IGNORED])
    found = counts[counts > 0]
    assert len(found) == round(1 / case.chance)
    expected = found.sum() / len(found)
    assert (abs(found - expected) < 5 * expected / (600 / len(found)) ** 0.5).all()


@pytest.mark.parametrize("seq_len", [16, 37, 64])
def test_no_fixed_lag_answers_what_is_practised(seq_len):
    """Of every task the best lag answers a small share: some texts as they were drawn, some by chance. A lag of two
    strings with their marks copies either of them."""
    found = {name: [] for name in TASKS}
    for index, case in enumerate(practice(2500, seq_len)):
        found[case.name].append(right_at_lag(case, seq_len, index))
    for name, texts in found.items():
        assert len(texts) > 400
        best = np.concatenate(texts).mean(0).max()
        assert best < {"mqar": 0.25, "copy": 0.35}.get(name, 2.5 / seq_len + 0.05), (name, best)


def test_cases_share_no_random_numbers(monkeypatch):
    """Every size of a task, to practise on and held out, has a stream of its own."""
    drawn = []

    class Seen(Stream):
        def __init__(self, *key):
            super().__init__(*key)
            drawn.append(tuple(Stream(*key).bits(2).tolist()))

    for module in (mixture, table):
        monkeypatch.setattr(module, "Stream", Seen)
    for case in CASES:
        for part in ("train", "test"):
            case.text(SEQ_LEN, part, 0, 3)
    assert len(set(drawn)) == len(drawn) == 2 * len(CASES)


def test_texts_depend_on_the_seed_alone():
    """The digest pins them down: a change of the texts is a change of the benchmark."""
    digest = hashlib.sha256()
    for case in [*CASES, *practice(12)]:
        inputs, targets = draw(case, rows=8)
        assert (draw(case, rows=8)[0] == inputs).all()
        for other in (draw(case, rows=8, seed=1), draw(case, rows=8, part="train")):
            assert (other[0] != inputs).any()
        digest.update(inputs.astype("<i8").tobytes() + targets.astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == "a02c149e95bfdecc"


def test_longer_texts_hold_further_cases():
    assert [str(case) for case in cases(16)] == ["mqar@4", "copy@8", "induction@8", "needle@8", "needle4@8"]
    assert {"mqar@16", "copy@128", "induction@128", "needle@128"} <= {str(case) for case in cases(256)}
    assert "mqar@32" not in {str(case) for case in cases(256)}
    for length in (16, 24, 37, 100, 256):
        for case in practice(100, length):
            assert draw(case, rows=2, seq_len=length)[0].shape == (2, length)
    with pytest.raises(UsageError, match="at least 16 tokens"):
        cases(15)


def test_practice_grows_to_the_scored_length():
    """Five eighths of it at 16 tokens, the rest in equal parts: 32, 64 and what is asked for."""
    shares = (0, 0.62, 0.625, 0.74, 0.76, 0.87, 0.88, 1.0, 1.1)
    assert [practice_length(done, 100) for done in shares] == [16, 16, 32, 32, 64, 64, 100, 100, 100]
    assert [practice_length(done, 24) for done in (0.6, 0.625, 1.0)] == [16, 24, 24]
