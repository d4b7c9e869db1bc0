"""Tasks of the table by load and by distance, in letters: what the suite `recall` practises and asks. (no torch)

| case      | its size                                           |
|-----------|----------------------------------------------------|
| mqar      | pairs, each asked for                              |
| copy      | letters of the string                              |
| induction | tokens from what followed the mark to its query    |
| needle    | tokens from the value of the one pair to its query |
| needle4   | the same with three further pairs                  |

All are of one vocabulary, written so that it is the bytes of a text: filler `0`, keys in capitals, values in small
letters. One who remembers which values came, but not with which key, is right about once in as many times as there are
pairs. The text determines every answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import UsageError
from .stream import IGNORED, Stream, Text
from .table import ABILITIES, Ability, Setting

LETTERS = np.frombuffer(b"0ABCDEFGHIJKLMNOPabcdefghijklmnopq", np.uint8).astype(np.int64)      # of every symbol
VOCAB = len(LETTERS)
KEYS, VALUES = VOCAB // 2 - 1, VOCAB - VOCAB // 2           # how many there are; keys from 1 on, values from VOCAB // 2

SHORTEST = 16                           # tokens that hold a case of every task
FIRST, SHORT = 16, 5 / 8                # tokens of the shortest texts to practise on, their share of the practice

CASES: dict[str, tuple[str, Callable[[int, int], Setting]]] = {     # the task, its setting by size and length
    "mqar": ("mqar:64x4", lambda size, length: {"vocab": VOCAB, "length": length, "pairs": size}),
    "copy": ("copy", lambda size, length: {"vocab": VOCAB, "length": length, "shortest": 2 * size, "most": size}),
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
        """The text `index` of "train" or "test", in letters. No two cases share random numbers."""
        inputs, targets = self.ability.draw(Stream(str(self), part, seed, index), **self.setting(length))
        return Text(LETTERS[inputs], np.where(targets == IGNORED, IGNORED, LETTERS[targets.clip(0)]))


def cases(seq_len: int) -> list[Case]:
    """Every case that texts of `seq_len` tokens hold, by powers of two. Raises UsageError below SHORTEST tokens."""
    if seq_len < SHORTEST:
        raise UsageError(f"recall tasks need texts of at least {SHORTEST} tokens; --seq-len is {seq_len}")
    far = powers_of_two(8, seq_len - 2)
    sizes = {"mqar": _loads(4, seq_len), "copy": powers_of_two(8, seq_len // 2),
             "induction": far, "needle": far, "needle4": far}
    return [Case(name, size) for name, found in sizes.items() for size in found]


def practised(stream: Stream, seq_len: int) -> Case:
    """A case to train on at this length: every task is as likely, and of it every load, string or distance.

    Strings and distances are of any size that the length holds. Were they of a few sizes, a model would do well that
    learned to look so many tokens back, whatever stands there.
    """
    name = list(CASES)[stream.one(0, len(CASES) - 1)]
    if name == "mqar":
        loads = _loads(2, seq_len)
        return Case(name, loads[stream.one(0, len(loads) - 1)])
    return Case(name, stream.one(2, seq_len // 2) if name == "copy" else stream.one(1, seq_len - 2))


def practice_length(done: float, seq_len: int) -> int:
    """How long the texts are after a share `done` of the practice: FIRST for the share SHORT, then doubled in equal
    parts up to `seq_len` itself. Among few tokens an answer is found soon."""
    longer = [*powers_of_two(2 * FIRST, seq_len - 1), seq_len]
    return FIRST if done < SHORT else longer[min(len(longer) - 1, int((done - SHORT) / (1 - SHORT) * len(longer)))]


def _loads(least: int, seq_len: int) -> list[int]:
    return powers_of_two(least, min(KEYS, seq_len // 4))


def powers_of_two(least: int, most: int) -> list[int]:
    """Those in least … most."""
    return [1 << k for k in range(most.bit_length()) if least <= 1 << k <= most]
