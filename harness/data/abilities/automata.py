"""RegBench: strings of an automaton that has to be found out from them, and what it says comes next. (no torch)

Specification: Akyurek et al. 2024, In-Context Language Learning: Architectures and Algorithms. A random deterministic
automaton of 4 … 12 states over 4 … 18 letters, 1 … 3 edges from each state and none back to it, minimised; all states
accept. A text is 10 … 19 strings of one automaton, each of 1 … 49 letters, the next letter uniform on the edges.

Every text has an automaton of its own. One in eleven, by a hash of its minimal form, is for tests: no automaton of a
test is ever trained on, and none needs a list of the others. Unlike theirs, the last string too ends with a separator,
so that the chance of an end is the same for every string.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from ...errors import UsageError
from .stream import Stream, Text, asked

Automaton = tuple[tuple[tuple[int, int], ...], ...]         # of each state its edges (letter, next state), 0 the start
FEWEST, EDGES, TESTED = 4, 3, 11


def automaton_text(stream: Stream, *, letters: int, states: int, strings: tuple[int, int], longest: int,
                   length: int) -> Text:
    """Strings with a separator (`letters`) after each, then padding (`letters` + 1): every next token is asked."""
    needed = strings[1] * (longest + 1) - 1
    if letters < FEWEST or states < FEWEST or length < needed:
        raise UsageError(f"{strings[1]} strings of {longest} letters need a length of {needed}, {FEWEST} letters and "
                         f"{FEWEST} states, not {length}, {letters} and {states}")
    automaton, tokens = drawn_automaton(stream, letters, states), list[int]()
    for _ in range(stream.one(*strings)):
        state, size = 0, stream.one(1, longest)
        for pick in stream.bits(size).tolist():
            letter, state = automaton[state][pick % len(automaton[state])]
            tokens.append(letter)
        tokens.append(letters)
    padded = np.array(tokens + [letters + 1] * (length + 1 - len(tokens)))
    return Text(padded[:-1], asked(padded, padded <= letters)[1:])


def drawn_automaton(stream: Stream, letters: int, states: int) -> Automaton:
    """The automaton of a text: what its stream draws first."""
    while True:
        automaton = minimal(random_automaton(stream, letters, states))
        digest = blake2b(repr(automaton).encode(), digest_size=8).digest()
        if (int.from_bytes(digest, "little") % TESTED == 0) == (stream.part == "test"):
            return automaton


def random_automaton(stream: Stream, letters: int, states: int) -> Automaton:
    n = stream.one(FEWEST, states)
    alphabet = stream.distinct(letters, stream.one(FEWEST, letters))
    edges = []
    for state in range(n):
        chosen = alphabet[stream.distinct(len(alphabet), stream.one(1, EDGES))]
        targets = (state + 1 + stream.below(n - 1, len(chosen))) % n
        edges.append(tuple(sorted(zip(chosen.tolist(), targets.tolist(), strict=True))))
    return tuple(edges)


def minimal(automaton: Automaton) -> Automaton:
    """States that can be reached, those that allow the same strings as one (Moore 1956), numbered as a search in
    breadth by letters finds them: two automata of the same strings have the same minimal form."""
    block, blocks = [0] * len(automaton), 0
    while blocks < len(set(block)):
        blocks = len(set(block))
        signs = [(block[state], *((letter, block[after]) for letter, after in edges))
                 for state, edges in enumerate(automaton)]
        numbers = {sign: number for number, sign in enumerate(dict.fromkeys(signs))}
        block = [numbers[sign] for sign in signs]
    member = {number: state for state, number in enumerate(block)}
    found = [block[0]]
    for number in found:
        for _, after in automaton[member[number]]:
            if block[after] not in found:
                found.append(block[after])
    return tuple(tuple((letter, found.index(block[after])) for letter, after in automaton[member[number]])
                 for number in found)


def next_token_chances(automaton: Automaton, inputs: np.ndarray, letters: int, longest: int) -> np.ndarray:
    """What an informed reader expects after each input: (T, letters + 2) float64, zero after padding."""
    chances = np.zeros((len(inputs), letters + 2))
    state, size = 0, 0
    for place, token in enumerate(inputs.tolist()):
        if token > letters:
            break
        state, size = (0, 0) if token == letters else (dict(automaton[state])[token], size + 1)
        chances[place, letters] = end = 1 / (longest - size + 1) if size else 0.0
        chances[place, [letter for letter, _ in automaton[state]]] = (1 - end) / len(automaton[state])
    return chances


def automaton_chances(stream: Stream, inputs: np.ndarray, *, letters: int, states: int, longest: int, **_: object,
                      ) -> np.ndarray:
    """The same of the text that this stream draws, for the settings of `automaton_text`."""
    return next_token_chances(drawn_automaton(stream, letters, states), inputs, letters, longest)
