"""The tasks, a line each, in two sizes: `paper`, as published, and `quick`, the same task smaller. (no torch)

A size is settings to train on and settings to test on, each with its number of texts. Where a paper trains in epochs
the number is that of its training set; where it draws afresh, of all texts seen. What is called "ours" is published
nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import UsageError
from .associative import BASED_TEST, BASED_TRAIN, FIGURE_2, multi_query_recall
from .automata import automaton_chances, automaton_text
from .formal import MODULUS, modular_arithmetic, parity
from .groups import group_word, multiplication
from .mad import compression, context_recall, fuzzy_recall, memorisation, selective_copy
from .retrieval import induction, needle, string_copy
from .stream import Stream, Text

Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Size:
    """Pairs (texts, setting) to train on and to test on, each test scored by itself."""

    train: tuple[tuple[int, Setting], ...]
    test: tuple[tuple[int, Setting], ...]


@dataclass(frozen=True)
class Ability:
    """A task. `vocab` and `chance` give, of a setting, its tokens and the accuracy of guessing among its answers."""

    name: str
    draw: Callable[..., Text]
    vocab: Callable[[Setting], int]
    chance: Callable[[Setting], float]
    paper: Size
    quick: Size | None = None                               # None: the paper's size alone
    changes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)    # from the paper's size, one at a time
    hidden: bool = False                                    # asks for the hidden state at the last place
    known: Callable[..., np.ndarray] | None = None          # the chances of what is asked, where they are known
    late: bool = False                                      # sets in late and at once: short practice says nothing
    variant: bool = False                                   # of another task: in `quick` it is asked by name alone

    def chances(self, setting: Setting, part: str, seed: int, index: int, inputs: np.ndarray) -> np.ndarray:
        """What comes after each of a text's inputs with which chance, (T, vocab): of a task whose chances are known."""
        assert self.known is not None
        return self.known(Stream(self.name, part, seed, index), inputs, **setting)

    def text(self, setting: Setting, part: str, seed: int, index: int) -> Text:
        """The text `index` of "train" or "test". Raises UsageError where the setting cannot hold its task."""
        return self.draw(Stream(self.name, part, seed, index), **setting)


def alike(train: int, test: int, **setting: Any) -> Size:
    """Tests as the training texts are."""
    return Size(((train, setting),), ((test, setting),))


def longer(setting: Setting, factor: int) -> Setting:
    """The same task at `factor` times the length; strings of random length are all longer than those before."""
    length = setting["length"]
    stretched = {**setting, "length": factor * length}
    if "shortest" in setting and factor > 1:
        stretched["shortest"] = (factor - 1) * length + 1
    return stretched


def variants(ability: Ability) -> list[Size]:
    """The paper's size and its published changes, one variable at a time; "texts" is the number to train on."""
    ((train, setting),), ((test, _),) = ability.paper.train, ability.paper.test
    changed = [alike(value, test, **setting) if name == "texts" else alike(train, test, **{**setting, name: value})
               for name, values in ability.changes.items() for value in values]
    return [ability.paper, *changed]


def ability_named(name: str) -> Ability:
    try:
        return ABILITIES[name]
    except KeyError:
        raise UsageError(f"no task is called {name!r}; there are {', '.join(ABILITIES)}") from None


def _vocab(setting: Setting) -> int:
    return int(setting["vocab"])


def _valued(setting: Setting) -> float:
    """One of the values: what meaning tokens the keys leave."""
    tokens = _vocab(setting) - int(setting.get("noise_vocab", 0))
    return 1 / (tokens - tokens // 2)


def _valued_beside_one(setting: Setting) -> float:
    """The same where one token is a mark or a pad."""
    return _valued({"vocab": _vocab(setting) - 1})


def _compressed(setting: Setting) -> float:
    """With the mark, which is known, where it counts."""
    marks = int(setting.get("marker", True))
    others = setting["length"] - 1
    return float((others / (_vocab(setting) - 1) + marks) / (others + marks))


def _elements(setting: Setting) -> int:
    return len(multiplication(setting["group"]))


_MAD = {"train": 12_800, "test": 1_280}
_MAD_TEXTS = (6_400, 3_200, 1_600, 800)
_MAD_CHANGES = {"vocab": (32, 64, 128), "length": (256, 512, 1024), "texts": _MAD_TEXTS}


def _associative(name: str, paper: Size, quick: Size | None = None, variant: bool = False) -> Ability:
    return Ability(name, multi_query_recall, _vocab, _valued, paper, quick, late=True, variant=variant)


def _figure_2(length: int, pairs: int) -> Ability:
    quick = alike(8_000, 256, vocab=64, length=length, pairs=pairs) if length <= 64 else None
    return _associative(f"mqar:{length}x{pairs}", alike(100_000, 3_000, vocab=8192, length=length, pairs=pairs), quick)


def _based(length: int, pairs: int) -> Setting:
    return {"vocab": 8192, "length": length, "pairs": pairs, "filler": "random"}


def _needles(*train: tuple[int, int], test: int) -> Size:
    """Texts to train on for every length, and as many of each to test on."""
    settings = [(texts, {"vocab": 32, "length": length, "pairs": 4, "queries": 4}) for length, texts in train]
    return Size(tuple(settings), tuple((test, setting) for _, setting in settings))


def _group(group: str, variant: bool = False) -> Ability:
    return Ability(group.lower(), group_word, _elements, lambda setting: 1 / _elements(setting),
                   alike(800_000, 200_000, group=group, length=20),
                   Size(((100_000, {"group": group, "length": 8}),),
                        tuple((256, {"group": group, "length": length}) for length in (8, 16))), variant=variant)


def _strings(name: str, draw: Callable[..., Text], vocab: int, answers: int) -> Ability:
    return Ability(name, draw, lambda _: vocab, lambda _: 1 / answers,
                   Size(((5_120_000, {"shortest": 3, "length": 40}),), ((8_192, {"shortest": 40, "length": 256}),)),
                   Size(((8_000, {"shortest": 3, "length": 16}),), ((256, {"shortest": 17, "length": 64}),)))


ABILITIES: dict[str, Ability] = {ability.name: ability for ability in (
    Ability("context-recall", context_recall, _vocab, _valued,
            alike(**_MAD, vocab=16, length=128), alike(4_000, 256, vocab=16, length=32), _MAD_CHANGES, late=True),
    Ability("noisy-recall", context_recall, _vocab, _valued,
            alike(**_MAD, vocab=32, length=128, noise_vocab=16, noise=0.2),
            alike(4_000, 256, vocab=24, length=32, noise_vocab=8, noise=0.2),
            {**_MAD_CHANGES, "vocab": (48, 80, 144), "noise": (0.4, 0.6, 0.8)}, late=True, variant=True),
    Ability("fuzzy-recall", fuzzy_recall, _vocab, _valued_beside_one,
            alike(**_MAD, vocab=16, length=128), alike(4_000, 256, vocab=8, length=48), _MAD_CHANGES, late=True),
    Ability("selective-copy", selective_copy, _vocab, lambda setting: 1 / (_vocab(setting) - 2),
            alike(**_MAD, vocab=16, length=256, tokens=16), alike(4_000, 256, vocab=16, length=48, tokens=8),
            {**_MAD_CHANGES, "length": (512, 1024), "tokens": (32, 64, 96)}),
    Ability("compression", compression, _vocab, _compressed,
            alike(**_MAD, vocab=16, length=32), alike(4_000, 256, vocab=16, length=16, marker=False),
            {**_MAD_CHANGES, "length": (64, 128, 256)}, hidden=True),
    Ability("memorisation", memorisation, _vocab, lambda setting: 1 / ((_vocab(setting) - 1) // 2),
            alike(256, 1_280, vocab=256, length=32), alike(256, 64, vocab=64, length=32),
            {"vocab": (512, 1024, 2048, 4096, 8192)}),
    *(_figure_2(length, pairs) for length, pairs in FIGURE_2),
    _associative("mqar:based", Size(tuple((texts, _based(length, pairs)) for length, pairs, texts in BASED_TRAIN),
                                    tuple((1_000, _based(*case)) for case in BASED_TEST))),
    _associative("mqar:reassigned",                         # ours
                 alike(100_000, 3_000, vocab=8192, length=128, pairs=8, bindings=2),
                 alike(8_000, 256, vocab=64, length=64, pairs=4, bindings=2), variant=True),
    _associative("mqar:compositional",                      # ours
                 alike(100_000, 3_000, vocab=8192, length=128, pairs=8, grid=4),
                 alike(8_000, 256, vocab=64, length=64, pairs=4, grid=4), variant=True),
    Ability("copy", string_copy, _vocab, lambda setting: 1 / (_vocab(setting) - 1),         # its sizes are ours
            alike(100_000, 1_000, vocab=27, shortest=2, length=600),
            alike(16_000, 256, vocab=17, shortest=4, length=16)),
    Ability("induction", induction, _vocab, lambda setting: 1 / (_vocab(setting) - 1),
            alike(1_600_000, 1_000, vocab=16, length=256), alike(8_000, 256, vocab=16, length=32), late=True,
            variant=True),
    Ability("needle", needle, _vocab, _valued,                                              # its sizes are ours
            _needles((64, 100_000), (256, 20_000), (1024, 20_000), test=1_000),
            _needles((32, 8_000), (128, 1_000), (256, 500), test=256), late=True),
    Ability("regbench", automaton_text, lambda setting: setting["letters"] + 2,
            lambda setting: 1 / (setting["letters"] + 1),
            alike(5_000, 500, letters=18, states=12, strings=(10, 19), longest=49, length=1024),
            alike(5_000, 128, letters=8, states=6, strings=(4, 8), longest=15, length=128), known=automaton_chances),
    _group("Z60", variant=True), _group("A4xZ5", variant=True), _group("A5"), _group("S5", variant=True),
    _strings("parity", parity, 3, 2),
    _strings("modular-arithmetic", modular_arithmetic, MODULUS + 5, MODULUS),
)}
