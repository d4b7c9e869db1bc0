"""Recall tasks: texts whose answers stand in the text itself, by load and by distance. (no torch)

| task      | text                                                       | asked                   | its cases are  |
|-----------|------------------------------------------------------------|-------------------------|----------------|
| mqar      | pairs KEY value, filler, every key again in another order  | every value             | pairs          |
| copy      | `<word=word` again and again, each word drawn anew         | the second word         | letters        |
| induction | a string of distinct letters, then its pieces in disorder  | what follows in a piece | letters        |
| needle    | filler, in it one pair KEY value; the key again at the end | its value               | tokens between |
| needle4   | the same with three further pairs in the filler            | its value               | tokens between |

mqar is multi-query associative recall (Arora et al. 2023, Zoology). induction is that of Olsson et al. 2022, in pieces
so that no fixed lag solves it. A distance is that from the value to its query.

No answer stands between its binding and its query, and values are drawn independently, so none follows by elimination
(but in induction, whose letters are distinct). `chance` is the accuracy of a reader who sees the query alone; one who
remembers which values came, but not with which key, is right about once in as many times as there are pairs. The
ceiling is 1: the text determines every answer.

Only bits of the Mersenne Twister and integer arithmetic are used: texts are the same for a seed on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError

LETTERS = 16                            # keys and values each
KEYS, VALUES, FILLER = ord("A"), ord("a"), ord("0")         # the first byte of each alphabet
DIGITS = 10
START, AGAIN = ord("<"), ord("=")
NEEDLES = 4                             # pairs in the text of needle4
PIECES = (2, 4)                         # letters in a piece of induction, least and most


@dataclass(frozen=True)
class Draws:
    """Texts (N, T + 1) int64 that begin with BOS, and which of their tokens are answers, (N, T + 1) bool."""

    tokens: np.ndarray
    asked: np.ndarray


@dataclass(frozen=True)
class Task:
    """A family of texts. `draw(size, rows, seq_len, generator)` gives tokens (rows, T) and which are asked, (T,)."""

    name: str
    draw: Callable[[int, int, int, random.Random], tuple[np.ndarray, np.ndarray]]
    chance: float = 1 / LETTERS
    ceiling: float = 1.0


@dataclass(frozen=True)
class Case:
    """A task at one load or distance, written `mqar@16`."""

    task: Task
    size: int

    def __str__(self) -> str:
        return f"{self.task.name}@{self.size}"

    def draws(self, rows: int, seq_len: int, bos: int, generator: random.Random) -> Draws:
        """`rows` texts of `seq_len` tokens after BOS; where they begin and end is drawn once for all of them."""
        tokens, asked = self.task.draw(self.size, rows, seq_len, generator)
        first = np.full((rows, 1), bos)
        return Draws(np.concatenate([first, tokens], 1), np.tile(np.r_[False, asked], (rows, 1)))


# Parts of texts, each (rows, n) int64

def integers(rows: int, n: int, below: int, generator: random.Random) -> np.ndarray:
    """Uniform on 0 … below - 1 where `below` divides 2^16, else within 2^-12 of it."""
    return (np.frombuffer(generator.randbytes(2 * rows * n), "<u2").reshape(rows, n) % below).astype(np.int64)


def permutations(rows: int, n: int, generator: random.Random) -> np.ndarray:
    """A random order of 0 … n-1 in each row."""
    bits = np.frombuffer(generator.randbytes(8 * rows * n), "<u8").reshape(rows, n)
    return np.argsort(bits, axis=1, kind="stable")


def filler(rows: int, n: int, generator: random.Random) -> np.ndarray:
    return FILLER + integers(rows, n, DIGITS, generator)


def pairs(rows: int, n: int, generator: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys and independent values, n <= LETTERS."""
    return KEYS + permutations(rows, LETTERS, generator)[:, :n], VALUES + integers(rows, n, LETTERS, generator)


def interleave(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(rows, n), (rows, n) -> (rows, 2n): a1 b1 a2 b2 …"""
    return np.stack([first, second], 2).reshape(len(first), -1)


# The tasks

def mqar(load: int, rows: int, seq_len: int, generator: random.Random) -> tuple[np.ndarray, np.ndarray]:
    keys, values = pairs(rows, load, generator)
    order = permutations(rows, load, generator)
    queries = interleave(np.take_along_axis(keys, order, 1), np.take_along_axis(values, order, 1))
    spare = seq_len - 4 * load
    lead = generator.randrange(spare + 1)
    tokens = [filler(rows, lead, generator), interleave(keys, values), filler(rows, spare - lead, generator), queries]
    asked = np.zeros(seq_len, bool)
    asked[seq_len - 2 * load + 1::2] = True
    return np.concatenate(tokens, 1), asked


def copy(length: int, rows: int, seq_len: int, generator: random.Random) -> tuple[np.ndarray, np.ndarray]:
    size = 2 * length + 2
    lead = seq_len % size
    tokens, asked = [filler(rows, lead, generator)], np.zeros(seq_len, bool)
    for end in range(lead + size, seq_len + 1, size):
        word = VALUES + integers(rows, length, LETTERS, generator)
        tokens += [np.full((rows, 1), START), word, np.full((rows, 1), AGAIN), word]
        asked[end - length:end] = True
    return np.concatenate(tokens, 1), asked


def induction(length: int, rows: int, seq_len: int, generator: random.Random) -> tuple[np.ndarray, np.ndarray]:
    letters = VALUES + permutations(rows, LETTERS, generator)[:, :length]
    least, most = PIECES
    pieces, start = [], 0
    while start < length:
        stop = min(length, start + least + generator.randrange(most - least + 1))
        pieces.append(range(start, stop))
        start = stop
    again = [place for index in permutations(1, len(pieces), generator)[0] for place in pieces[index]]
    heads = {piece.start for piece in pieces}
    asked = np.zeros(seq_len, bool)
    asked[seq_len - length:] = [place not in heads for place in again]
    return np.concatenate([filler(rows, seq_len - 2 * length, generator), letters, letters[:, again]], 1), asked


def needle(distance: int, rows: int, seq_len: int, generator: random.Random, load: int = 1,
           ) -> tuple[np.ndarray, np.ndarray]:
    keys, values = pairs(rows, load, generator)
    tokens = filler(rows, seq_len, generator)
    first = seq_len - 3 - distance                          # the place of the pair that is asked for
    others = [place for place in range(first % 2, seq_len - 3, 2) if place != first]
    chosen = [others[index] for index in permutations(1, len(others), generator)[0, :load - 1]]
    for index, place in enumerate([first, *chosen]):
        tokens[:, place], tokens[:, place + 1] = keys[:, index], values[:, index]
    tokens[:, -2], tokens[:, -1] = keys[:, 0], values[:, 0]
    return tokens, np.arange(seq_len) == seq_len - 1


def needle4(distance: int, rows: int, seq_len: int, generator: random.Random) -> tuple[np.ndarray, np.ndarray]:
    return needle(distance, rows, seq_len, generator, NEEDLES)


def repeat(longest: int, rows: int, seq_len: int, generator: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """A string of both alphabets again and again, its length drawn anew up to `longest`: to practise on, never scored.

    Far more answers a text than in the tasks, by the same rule: what followed last time.
    """
    length = 3 + generator.randrange(longest - 2)
    alphabet = np.where(integers(rows, length, 2, generator) == 1, KEYS, VALUES)
    string = alphabet + integers(rows, length, LETTERS, generator)
    return np.tile(string, (1, -(-seq_len // length)))[:, :seq_len], np.arange(seq_len) >= length + 2


MQAR, COPY, NEEDLE, NEEDLE4 = Task("mqar", mqar), Task("copy", copy), Task("needle", needle), Task("needle4", needle4)
REPEAT = Task("repeat", repeat)
INDUCTION = Task("induction", induction, chance=1 / (LETTERS - 1))      # the next letter is another one

SHORTEST = 24                           # tokens that hold a case of every task
FIRST, SHORT = 16, 5 / 8                 # tokens of the shortest texts to practise on, their share of the practice


def cases(seq_len: int) -> list[Case]:
    """Every case that texts of `seq_len` tokens hold, by powers of two. Raises UsageError below SHORTEST tokens."""
    if seq_len < SHORTEST:
        raise UsageError(f"recall tasks need texts of at least {SHORTEST} tokens; --seq-len is {seq_len}")
    return _fitting(seq_len, pairs=4, letters=8, distance=8)


def practice(seq_len: int) -> list[Case]:
    """The mixture to train on, one case as likely as another: also smaller ones, and repeated strings.

    Of the needles, which ask once in a text, only those far apart for the length: shorter texts hold the others.
    """
    return _fitting(seq_len, pairs=2, letters=4, distance=seq_len // 4) + [
        Case(REPEAT, size) for size in powers_of_two(4, seq_len // 2)]


def practice_length(done: float, seq_len: int) -> int:
    """How long the texts are after a share `done` of the practice: FIRST for the share SHORT, then doubled in equal
    parts up to `seq_len` itself. Among few tokens an answer is found soon."""
    longer = [*powers_of_two(2 * FIRST, seq_len - 1), seq_len]
    return FIRST if done < SHORT else longer[min(len(longer) - 1, int((done - SHORT) / (1 - SHORT) * len(longer)))]


def _fitting(seq_len: int, pairs: int, letters: int, distance: int) -> list[Case]:
    sizes = [
        (MQAR, powers_of_two(pairs, min(LETTERS, seq_len // 4))),
        (COPY, [size - 1 for size in powers_of_two(letters, seq_len // 2)]),       # a record is 2 size tokens
        (INDUCTION, powers_of_two(letters, min(LETTERS, seq_len // 2))),
        (NEEDLE, powers_of_two(distance, seq_len - 3)),
        (NEEDLE4, powers_of_two(distance, seq_len - 3)),
    ]
    return [Case(task, size) for task, found in sizes for size in found]


def powers_of_two(least: int, most: int) -> list[int]:
    """Those in least … most."""
    return [1 << k for k in range(most.bit_length()) if least <= 1 << k <= most]
