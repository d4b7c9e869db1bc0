"""RegBench: minimal forms accept the same strings, texts are walks, and their chances are those of counted walks."""

import random
from itertools import product

import numpy as np
import pytest
from slowly import furthest, texts

from harness.data.abilities.automata import (
    automaton_text,
    drawn_automaton,
    minimal,
    next_token_chances,
    random_automaton,
)
from harness.data.abilities.stream import IGNORED, Stream
from harness.errors import UsageError

SMALL = {"letters": 5, "states": 5, "strings": (2, 3), "longest": 4, "length": 16}


def allowed(automaton, depth, state=0):
    """Every string of up to `depth` letters, by following all edges."""
    if not depth:
        return {()}
    return {()} | {(letter, *rest) for letter, after in automaton[state]
                   for rest in allowed(automaton, depth - 1, after)}


def automata(n, letters=5, states=6):
    return [random_automaton(Stream("a task", "test", 1, index), letters, states) for index in range(n)]


def test_random_automata_are_as_specified():
    for automaton in automata(200, 18, 12):
        letters = {letter for edges in automaton for letter, _ in edges}
        assert 4 <= len(automaton) <= 12
        assert letters <= set(range(18))
        for state, edges in enumerate(automaton):
            assert 1 <= len(edges) == len({letter for letter, _ in edges}) <= 3
            assert all(after != state and 0 <= after < len(automaton) for _, after in edges)
    assert {len(automaton) for automaton in automata(200, 18, 12)} == set(range(4, 13))


def test_a_minimal_form_allows_the_same_strings_and_no_two_of_its_states_do():
    """Strings of n - 1 letters tell any two states of n apart (Moore 1956)."""
    smaller = 0
    for automaton in automata(60):
        small = minimal(automaton)
        assert allowed(small, 6) == allowed(automaton, 6)
        assert minimal(small) == small
        depth = len(small)
        languages = [allowed(small, depth, state) for state in range(len(small))]
        assert all(languages.count(language) == 1 for language in languages)
        assert {state for state, _ in walk(small, depth)} == set(range(len(small)))
        smaller += len(small) < len(automaton)
    assert smaller > 0


def walk(automaton, depth, state=0):
    """Every (state, depth left) on the way."""
    yield state, depth
    if depth:
        for _, after in automaton[state]:
            yield from walk(automaton, depth - 1, after)


def test_the_minimal_form_does_not_depend_on_how_states_are_numbered_or_doubled():
    generator = random.Random(0)
    for automaton in automata(30):
        n = len(automaton)
        double = [tuple((letter, after + n * generator.randrange(2)) for letter, after in edges)
                  for edges in automaton * 2]
        order = [0, *generator.sample(range(1, 2 * n), 2 * n - 1)]             # the state that stands at each place
        shuffled = tuple(tuple((letter, order.index(after)) for letter, after in double[state]) for state in order)
        assert minimal(shuffled) == minimal(automaton)


def test_no_automaton_is_in_training_and_in_tests():
    """Of so few letters and states the same one is drawn again and again."""
    parts = [{drawn_automaton(Stream("a task", part, 0, index), 4, 4) for index in range(300)}
             for part in ("train", "test")]
    assert not parts[0] & parts[1]
    assert len(parts[1]) < 300                              # some come twice within a part


def test_texts_are_walks_with_separators():
    counts, lengths = set(), set()
    for index, text in enumerate(texts(automaton_text, 200, **SMALL)):
        tokens = [*text.inputs[:1].tolist(), *text.targets[text.targets != IGNORED].tolist()]
        assert tokens[:-1] == text.inputs[text.targets != IGNORED].tolist()
        assert (text.inputs[len(tokens):] == 6).all()
        automaton = drawn_automaton(Stream("a task", "test", 0, index), 5, 5)
        strings = "".join(map(str, tokens)).split("5")
        assert strings.pop() == ""
        counts.add(len(strings))
        for string in strings:
            assert tuple(map(int, string)) in allowed(automaton, len(string))
            lengths.add(len(string))
    assert counts == {2, 3}
    assert lengths == {1, 2, 3, 4}


def slow_text(index):
    """The same automaton, its strings drawn letter by letter."""
    automaton, tokens = drawn_automaton(Stream("a task", "test", 0, index), 5, 5), []
    for _ in range(random.randint(2, 3)):
        state = 0
        for _ in range(random.randint(1, 4)):
            letter, state = random.choice(automaton[state])
            tokens.append(letter)
        tokens.append(5)
    inputs = tokens + [6] * (17 - len(tokens))
    return inputs[:-1], [token if token < 6 else IGNORED for token in inputs[1:]]


def test_texts_are_those_of_the_slow_generator_on_average():
    random.seed(0)
    assert furthest(texts(automaton_text, 400, **SMALL), [slow_text(index) for index in range(400)], 7) < 5


def test_chances_are_those_of_all_strings_counted():
    """Every string of 1 … 4 letters with its chance; what follows a prefix is a ratio of sums over strings."""
    automaton = minimal(automata(1, 5, 5)[0])
    chance = {}
    for size in range(1, 5):
        for string in product(range(5), repeat=size):
            state, here = 0, 1 / 4
            for letter in string:
                edges = dict(automaton[state])
                if letter not in edges:
                    break
                here, state = here / len(edges), edges[letter]
            else:
                chance[(*string, 5)] = here
    assert sum(chance.values()) == pytest.approx(1)
    for string in chance:
        found = next_token_chances(automaton, np.array([5, *string, 6]), 5, 4)
        for place in range(len(string)):
            prefix = string[:place]
            whole = sum(share for other, share in chance.items() if other[:place] == prefix)
            for token in range(7):
                part = sum(share for other, share in chance.items() if other[:place + 1] == (*prefix, token))
                assert found[place, token] == pytest.approx(part / whole)
        assert (found[-1] == 0).all()


@pytest.mark.parametrize("changed", [{"length": 13}, {"letters": 3}, {"states": 3}])
def test_what_cannot_hold_the_task_is_said(changed):
    with pytest.raises(UsageError, match="need a length of 14, 4 letters and 4 states"):
        texts(automaton_text, 1, **{**SMALL, **changed})
