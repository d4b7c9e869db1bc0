"""A task in one of its sizes as it is measured: its tokens, a pass over its texts, what it is tested on. (no torch)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ...errors import UsageError, unknown
from .table import ABILITIES, Ability, Setting, Size, longer

SIZES = ("quick", "paper")
BATCHES = {"paper": 64}                 # texts in a step where none are asked for; published ones are 32 to 512
FACTORS = (1, 2, 4, 8)                  # times the length that was trained on


@dataclass(frozen=True)
class Task:
    """A task in one size."""

    ability: Ability
    size: Size

    @property
    def name(self) -> str:
        return self.ability.name

    @cached_property
    def vocab(self) -> int:
        """The tokens of all its texts."""
        return max(self.ability.vocab(setting) for _, setting in (*self.size.train, *self.size.test))

    @cached_property
    def length(self) -> int:
        """Of the longest text to train on."""
        return max(self.inputs(setting, "train") for _, setting in self.size.train)

    @cached_property
    def tokens(self) -> int:
        """Of one pass over the texts to train on."""
        return sum(texts * self.inputs(setting, "train") for texts, setting in self.size.train)

    @property
    def chance(self) -> float:
        """Of the first test."""
        return self.ability.chance(self.size.test[0][1])

    def inputs(self, setting: Setting, part: str) -> int:
        """How long the texts of a setting are. Raises UsageError where it cannot hold its task."""
        return len(self.ability.text(setting, part, 0, 0).inputs)

    def tests(self) -> Iterator[tuple[str, int, Setting]]:
        """Label, number of texts and setting; the label is what sets a test apart from the first, "" for one alone."""
        settings = [setting for _, setting in self.size.test]
        varying = [key for key in settings[0] if len({setting[key] for setting in settings}) > 1]
        for texts, setting in self.size.test:
            yield "x".join(str(setting[key]) for key in varying if key in ("length", "pairs")), texts, setting

    def stretched(self) -> Mapping[int, Setting]:
        """Tests at multiples of the length that was trained on, shortest first; none of tasks whose texts do not grow
        with it, or are asked from one hidden state."""
        (_, setting), *others = self.size.train
        if others or self.ability.hidden or "strings" in setting:
            return {}
        return {factor * setting["length"]: longer(setting, factor) for factor in FACTORS}


def task_named(name: str, size: str, length: int = 0) -> Task:
    """A task in a size, its texts to train on at another `length` where one is given.

    Raises UsageError for an unknown task, one that has no such size, and a length that cannot hold it.
    """
    if name not in ABILITIES:
        raise unknown("task", name, ABILITIES)
    ability = ABILITIES[name]
    found = ability.paper if size == "paper" else ability.quick
    if found is None:
        raise UsageError(f"the task {name} has no size quick: use --size paper, or leave it out of --tasks")
    if length:
        (texts, setting), *others = found.train
        if others:
            raise UsageError(f"the task {name} is trained at several lengths: leave --seq-len out")
        changed = {**setting, "length": length}
        found = replace(found, train=((texts, changed),), test=((found.test[0][0], changed),))
    task = Task(ability, found)
    try:
        for part, tests in (("train", found.train), ("test", found.test)):
            for _, setting in tests:
                task.inputs(setting, part)
    except UsageError as error:
        raise UsageError(f"task {name}: {error}") from None
    return task


def names_of(size: str) -> list[str]:
    """The tasks that are asked where none are named: all in `paper`, in `quick` those that are no variants."""
    return [name for name, ability in ABILITIES.items() if size == "paper" or (ability.quick and not ability.variant)]
