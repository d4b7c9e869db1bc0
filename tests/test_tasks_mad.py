"""MAD's tasks: who follows each rule by hand finds every target; slow generators give the same texts on average."""

import random
from itertools import groupby

import numpy as np
import pytest
from slowly import answers, furthest, texts

from harness.data.abilities.mad import compression, context_recall, fuzzy_recall, memorisation, selective_copy
from harness.data.abilities.stream import IGNORED
from harness.errors import UsageError

NOISY = {"vocab": 12, "length": 24, "noise_vocab": 4, "noise": 0.3}
FUZZY = {"vocab": 8, "length": 40}
COPY = {"vocab": 6, "length": 20, "tokens": 5}
N = 400


def shifted(flat, asked):
    """Inputs and targets of a text whose next tokens are asked where it says so."""
    return flat[:-1], [token if ask else IGNORED for token, ask in zip(flat, asked, strict=True)][1:]


def slow_recall(part, vocab, length, noise_vocab=0, noise=0.0):
    meaning, flat, asked, value = vocab - noise_vocab, [], [], {}
    spared = random.randrange(length // 2 - 1)
    for pair in range(length // 2 - 1):
        if pair != spared and random.random() < noise:
            flat += random.choices(range(meaning, vocab), k=2)
            asked += [False, False]
        else:
            key = random.randrange(meaning // 2)
            asked += [False, key in value]
            value.setdefault(key, random.randrange(meaning // 2, meaning))
            flat += [key, value[key]]
    key = random.choice(list(value))
    return shifted([*flat, key, value[key]], [part == "train" or ask for ask in [*asked, False, True]])


def slow_fuzzy(part, vocab, length):
    half, flat, asked, value = (vocab - 1) // 2, [], [], {}
    while len(flat) + 12 <= length + 1:
        key = tuple(random.sample(range(half), random.randint(1, 3) if part == "train" else 3))
        seen = key in value
        value.setdefault(key, random.sample(range(half, vocab - 1), random.randint(1, 3)))
        flat += [*key, *value[key]]
        asked += [False] * len(key) + [seen] * len(value[key])
    key = random.choice(list(value))
    flat += [*key, *value[key]]
    asked += [False] * len(key) + [True] * len(value[key])
    pads = length + 1 - len(flat)
    return shifted([vocab - 1] * pads + flat, [part == "train" or ask for ask in [False] * pads + asked])


def slow_copy(part, vocab, length, tokens):
    data = [random.randrange(vocab - 2) for _ in range(tokens)]
    places = [(place, 1, token) for place, token in enumerate(data)]
    places += [(random.randrange(tokens), 0, vocab - 2) for _ in range(length - 2 * tokens - 1)]
    body = [token for _, _, token in sorted(places, key=lambda item: item[:2])]
    return body + [vocab - 1] + [vocab - 2] * tokens, [IGNORED] * (length - tokens) + data


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(("draw", "slow", "setting"), [
    (context_recall, slow_recall, {"vocab": 8, "length": 16}), (context_recall, slow_recall, NOISY),
    (fuzzy_recall, slow_fuzzy, FUZZY), (selective_copy, slow_copy, COPY)], ids=["recall", "noisy", "fuzzy", "copy"])
def test_texts_are_those_of_the_slow_generator_on_average(draw, slow, setting, part):
    random.seed(0)
    there = [slow(part, **setting) for _ in range(N)]
    assert furthest(texts(draw, N, part, **setting), there, setting["vocab"]) < 5


def test_a_slow_generator_of_another_noise_is_told_apart():
    random.seed(0)
    there = [slow_recall("test", **{**NOISY, "noise": 0.2}) for _ in range(N)]
    assert furthest(texts(context_recall, N, **NOISY), there, 12) > 5


def known_values(tokens, meaning):
    """What a reader of pairs answers at each key that came before, by place."""
    value, found = {}, {}
    for place in range(0, len(tokens), 2):
        key, after = tokens[place], tokens[place + 1] if place + 1 < len(tokens) else None
        if key < meaning // 2:
            if key in value:
                found[place] = value[key]
            value[key] = value.get(key, after)
    return found


@pytest.mark.parametrize("setting", [{"vocab": 16, "length": 32}, NOISY], ids=["recall", "noisy"])
def test_recall_asks_each_key_seen_before_for_its_value(setting):
    meaning = setting["vocab"] - setting.get("noise_vocab", 0)
    for text in texts(context_recall, 50, **setting):
        assert dict(answers(text)) == known_values(text.inputs.tolist(), meaning)
        assert len(text.inputs) == setting["length"] - 1
        assert text.targets[-1] != IGNORED


def test_recall_is_trained_on_every_next_token():
    for text in texts(context_recall, 10, "train", **NOISY):
        assert (text.targets[:-1] == text.inputs[1:]).all()


def test_fuzzy_keys_are_told_by_their_alphabet_and_the_last_has_come():
    half = (FUZZY["vocab"] - 1) // 2
    for text in texts(fuzzy_recall, 50, **FUZZY):
        tokens = [*text.inputs.tolist(), int(text.targets[-1])]
        pads = tokens.count(FUZZY["vocab"] - 1)
        assert tokens[:pads] == [FUZZY["vocab"] - 1] * pads
        runs = [list(run) for _, run in groupby(enumerate(tokens[pads:], pads), key=lambda item: item[1] >= half)]
        value, expected = {}, {}
        for key, after in zip(runs[::2], runs[1::2], strict=True):
            name = tuple(token for _, token in key)
            assert len(name) == 3
            assert len(set(name)) == 3
            if name in value:
                expected |= {place - 1: token for place, token in zip((p for p, _ in after), value[name], strict=True)}
            value.setdefault(name, [token for _, token in after])
        assert dict(answers(text)) == expected
        assert expected[len(text.inputs) - 1] == text.targets[-1]


def test_copies_are_the_data_in_order():
    for text in texts(selective_copy, 50, **COPY):
        data = [token for token in text.inputs if token < 4]
        assert answers(text) == list(zip(range(15, 20), data, strict=True))
        assert text.inputs.tolist().index(5) == 14
        assert text.inputs[13] < 4                          # no blank between the last of the data and the mark


def test_compression_asks_for_its_inputs_with_their_mark_or_without():
    theirs, ours = (texts(compression, 5, vocab=6, length=8, marker=marker) for marker in (True, False))
    for text, without in zip(theirs, ours, strict=True):
        assert (text.inputs == text.targets).all()
        assert answers(without) == answers(text)[:-1]
        assert text.inputs[-1] == 5 > text.inputs[:-1].max()


def test_memorised_values_are_one_map_in_training_and_in_tests():
    value = {}
    for part in ("train", "test"):
        for text in texts(memorisation, 50, part, vocab=16, length=8):
            assert (text.inputs[1::2] == 15).all()
            for place, answer in answers(text):
                assert value.setdefault(text.inputs[place - 1], answer) == answer
    assert set(value) == set(range(7))
    assert len(set(value.values())) == 7
    assert set(value.values()) <= set(range(7, 15))
    (other,) = texts(memorisation, 1, seed=1, vocab=16, length=8)
    assert [value[key] for key in other.inputs[::2]] != other.targets[1::2].tolist()


@pytest.mark.parametrize(("draw", "setting", "said"), [
    (context_recall, {"vocab": 4, "length": 7}, "even length"),
    (context_recall, {"vocab": 5, "length": 8, "noise_vocab": 4}, "2 tokens beside noise"),
    (fuzzy_recall, {"vocab": 6, "length": 40}, "7 tokens"), (fuzzy_recall, {"vocab": 8, "length": 11}, "length of 12"),
    (selective_copy, {"vocab": 6, "length": 10, "tokens": 5}, "length of 11"),
    (compression, {"vocab": 1, "length": 8}, "2 tokens"), (memorisation, {"vocab": 2, "length": 8}, "3 tokens")])
def test_what_cannot_hold_the_task_is_said(draw, setting, said):
    with pytest.raises(UsageError, match=said):
        texts(draw, 1, **setting)


def test_the_smallest_settings_work():
    assert len(texts(context_recall, 20, vocab=2, length=4)) == 20
    assert all((text.inputs < 8).all() for text in texts(fuzzy_recall, 20, "train", vocab=8, length=12))
    assert np.array_equal(texts(selective_copy, 1, vocab=3, length=3, tokens=1)[0].inputs, [0, 2, 1])
