"""Tasks of the table by load and by distance, in letters: what the suite `recall` practises and asks. (no torch)

| case      | its size                                                   |
|-----------|------------------------------------------------------------|
| mqar      | pairs, each asked for                                      |
| copy      | letters of the string                                      |
| repeat    | letters of the string at most: to practise on, never asked |
| induction | tokens from what followed the mark to its query            |
| needle    | tokens from the value of the one pair to its query         |
| needle4   | the same with three further pairs                          |

All are of one vocabulary, written so that it is the bytes of a text: filler `0`, keys in capitals, values in small
letters. One who remembers which values came, but not with which key, is right about once in as many times as there are
pairs. The text determines every answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import UsageError
from .stream import IGNORED, Text
from .table import ABILITIES, Ability, Setting

LETTERS = np.frombuffer(b"0ABCDEFGHIJKLMNOPabcdefghijklmnopq", np.uint8).astype(np.int64)      # of every symbol
VOCAB = len(LETTERS)
KEYS, VALUES = VOCAB // 2 - 1, VOCAB - VOCAB // 2           # how many there are; keys from 1 on, values from VOCAB // 2

SHORTEST = 16                           # tokens that hold a case of every task
FIRST, SHORT = 16, 5 / 8                # tokens of the shortest texts to practise on, their share of the practice

CASES: dict[str, tuple[str, Callable[[int, int], Setting]]] = {     # the task, its setting by size and length
    "mqar": ("mqar:64x4", lambda size, length: {"vocab": VOCAB, "length": length, "pairs": size}),
    "copy": ("copy", lambda size, length: {"vocab": VOCAB, "length": length, "shortest": 2 * size, "most": size}),
    "repeat": ("copy", lambda size, length: {"vocab": VOCAB, "length": length, "shortest": 4, "most": size}),
    "induction": ("induction", lambda size, length: {"vocab": VOCAB, "length": length, "distance": size}),
    "needle": ("needle", lambda size, length: {"vocab": VOCAB, "length": length, "distance": size}),
    "needle4": ("needle", lambda size, length: {"vocab": VOCAB, "length": length, "distance": size, "pairs": 4}),
}


@dataclass(frozen=True)
class Case:
    """A task at one load or distance, written `mqar@16`."""

    name: str
    size: int

    def __str__(self) -> str:
        return f"{self.name}@{self.size}"

    @property
    def ability(self) -> Ability:
        return ABILITIES[CASES[self.name][0]]

    def setting(self, length: int) -> Setting:
        return CASES[self.name][1](self.size, length)

    @property
    def chance(self) -> float:
        """The accuracy of guessing among the answers."""
        return self.ability.chance(self.setting(SHORTEST))

    def text(self, length: int, part: str, seed: int, index: int) -> Text:
        """The text `index` of "train" or "test", in letters."""
        inputs, targets = self.ability.text(self.setting(length), part, seed, index)
        return Text(LETTERS[inputs], np.where(targets == IGNORED, IGNORED, LETTERS[targets.clip(0)]))


def cases(seq_len: int) -> list[Case]:
    """Every case that texts of `seq_len` tokens hold, by powers of two. Raises UsageError below SHORTEST tokens."""
    if seq_len < SHORTEST:
        raise UsageError(f"recall tasks need texts of at least {SHORTEST} tokens; --seq-len is {seq_len}")
    return _fitting(seq_len, pairs=4, letters=8, distance=8)


def practice(seq_len: int) -> list[Case]:
    """The mixture to train on, one case as likely as another: also smaller ones, and strings of any length.

    Of those that ask once in a text only the ones far apart for the length: shorter texts hold the others.
    """
    return _fitting(seq_len, pairs=2, letters=4, distance=seq_len // 2) + [
        Case("repeat", size) for size in powers_of_two(4, seq_len // 2)]


def practice_length(done: float, seq_len: int) -> int:
    """How long the texts are after a share `done` of the practice: FIRST for the share SHORT, then doubled in equal
    parts up to `seq_len` itself. Among few tokens an answer is found soon."""
    longer = [*powers_of_two(2 * FIRST, seq_len - 1), seq_len]
    return FIRST if done < SHORT else longer[min(len(longer) - 1, int((done - SHORT) / (1 - SHORT) * len(longer)))]


def _fitting(seq_len: int, pairs: int, letters: int, distance: int) -> list[Case]:
    far = powers_of_two(distance, seq_len - 2)
    sizes = {"mqar": powers_of_two(pairs, min(KEYS, seq_len // 4)), "copy": powers_of_two(letters, seq_len // 2),
             "induction": far, "needle": far, "needle4": far}
    return [Case(name, size) for name, found in sizes.items() for size in found]


def powers_of_two(least: int, most: int) -> list[int]:
    """Those in least … most."""
    return [1 << k for k in range(most.bit_length()) if least <= 1 << k <= most]
