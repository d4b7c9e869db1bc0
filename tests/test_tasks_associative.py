"""Multi-query recall: a reader who keeps the last value of each key finds every target; a slow generator agrees."""

import random

import numpy as np
import pytest
from slowly import answers, furthest, texts

from harness.data.abilities.associative import POWER, multi_query_recall
from harness.data.abilities.stream import IGNORED
from harness.errors import UsageError

PLAIN = {"vocab": 32, "length": 24, "pairs": 4}
SETTINGS = {
    "plain": PLAIN, "random": {**PLAIN, "filler": "random"}, "other": {**PLAIN, "filler": "other"},
    "reassigned": {**PLAIN, "length": 32, "bindings": 2}, "grid": {**PLAIN, "length": 30, "grid": 3},
    "grid reassigned": {**PLAIN, "length": 40, "grid": 3, "bindings": 2}, "full": {**PLAIN, "length": 16},
}


def slow(vocab, length, pairs, filler="zero", bindings=1, grid=0):
    """Keys one after the other; each query takes a free place, drawn again until it is free."""
    cells = [(1 + row, 1 + grid + column) for row in range(grid) for column in range(grid)]
    keys = random.sample(cells or [(key,) for key in range(1, vocab // 2)], pairs)
    values = random.sample(range(vocab // 2, vocab), pairs * bindings)
    bound = keys * bindings
    random.shuffle(bound)
    inputs = [token for key, value in zip(bound, values, strict=True) for token in (*key, value)]
    begin, wide, latest = len(inputs), len(keys[0]), dict(zip(bound, values, strict=True))
    targets, taken = [IGNORED] * length, {}
    places = list(range((length - begin) // (wide + 1)))
    weights = [(place + 1) ** (POWER - 1) for place in places]
    for key in keys:
        while (place := random.choices(places, weights)[0]) in taken:
            pass
        taken[place] = key
    for _ in range(begin, length):
        token = 0 if filler == "zero" else random.randrange(vocab)
        inputs.append(0 if filler == "other" and any(token in key for key in keys) else token)
    for place, key in taken.items():
        at = begin + place * (wide + 1)
        inputs[at:at + wide] = key
        targets[at + wide - 1] = latest[key]
    return inputs, targets


@pytest.mark.parametrize("name", SETTINGS)
def test_texts_are_those_of_the_slow_generator_on_average(name):
    random.seed(1)
    there = [slow(**SETTINGS[name]) for _ in range(400)]
    assert furthest(texts(multi_query_recall, 400, **SETTINGS[name]), there, 32) < 5


def test_queries_that_come_later_are_told_apart(monkeypatch):
    monkeypatch.setattr("harness.data.abilities.associative.POWER", 1.0)
    random.seed(1)
    there = [slow(**PLAIN) for _ in range(400)]
    assert furthest(texts(multi_query_recall, 400, **PLAIN), there, 32) > 5


@pytest.mark.parametrize("name", SETTINGS)
def test_the_last_value_of_a_key_is_asked_once_where_the_key_stands(name):
    setting = SETTINGS[name]
    wide, pairs, bindings = 2 if setting.get("grid") else 1, setting["pairs"], setting.get("bindings", 1)
    for text in texts(multi_query_recall, 50, **setting):
        tokens, latest = text.inputs.tolist(), {}
        context = pairs * bindings * (wide + 1)
        for place in range(0, context, wide + 1):
            latest[tuple(tokens[place:place + wide])] = tokens[place + wide]
        asked = {tuple(tokens[place - wide + 1:place + 1]): answer for place, answer in answers(text)}
        assert asked == latest
        assert len(latest) == pairs == len(answers(text))
        assert all((place - wide + 1 - context) % (wide + 1) == 0 for place, _ in answers(text))
        assert all(0 < token < 16 <= answer < 32 for key, answer in latest.items() for token in key)


def test_random_filler_repeats_keys_and_other_filler_does_not():
    for filler, repeats in (("random", True), ("other", False)):
        found = 0
        for text in texts(multi_query_recall, 50, **{**PLAIN, "filler": filler}):
            quiet = (text.targets == IGNORED) & (np.arange(24) >= 8)
            found += int(np.isin(text.inputs[quiet], text.inputs[:8:2]).sum())
        assert (found > 0) is repeats


def test_no_token_of_a_grid_key_tells_its_value_alone():
    """Over 9 of 9 cells every row and every column has three values."""
    (text,) = texts(multi_query_recall, 1, vocab=32, length=54, pairs=9, grid=3)
    context = text.inputs[:27].reshape(9, 3)
    for side in (0, 1):
        assert all(len(set(context[context[:, side] == token, 2])) == 3 for token in set(context[:, side]))


@pytest.mark.parametrize(("changed", "said"), [
    ({"length": 15}, "length of 16"), ({"vocab": 8}, "vocabulary of 8"), ({"pairs": 0}, "0 pairs"),
    ({"grid": 2, "pairs": 5, "length": 60}, "grid of 2"), ({"grid": 8, "length": 60}, "grid of 8"),
    ({"bindings": 5, "length": 99}, "bound 5 times"), ({"filler": "none"}, "filler is one of")])
def test_what_cannot_hold_the_task_is_said(changed, said):
    with pytest.raises(UsageError, match=said):
        texts(multi_query_recall, 1, **{**PLAIN, **changed})
