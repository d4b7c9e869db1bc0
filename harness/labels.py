"""Short labels: of variants of one plugin no more than tells them apart. (no torch)

A label is how a plugin is written on the command line, in full. Rows keep it; what people read may stand for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from .errors import UsageError
from .selector import Selector, parse_selector

LONG = 40                               # letters of a label from which it is shortened
REST = "..."                            # in the place of the options that all variants have
_MARK = f":{REST}"


class ShortLabels:
    """What stands for each of these labels.

    Where variants of a plugin share options and one of their labels has more than LONG letters, REST stands for those
    options: `phaserotator:coherence=0.1:...`. A plugin of which there is one variant keeps its label, and so does one
    without options. `notes` tell of each plugin what was left out.
    """

    def __init__(self, labels: Iterable[str]):
        variants: dict[tuple[str, str], dict[str, Selector]] = {}
        for label in dict.fromkeys(labels):
            with suppress(UsageError):                      # of a suite's own making
                selector = parse_selector(label)
                if selector.options:
                    variants.setdefault((selector.name, selector.checkpoint), {})[label] = selector
        self.names: dict[str, str] = {}
        self.notes: list[str] = []
        for own in variants.values():
            shared = set.intersection(*(set(selector.options) for selector in own.values()))
            if len(own) < 2 or not shared or max(map(len, own)) <= LONG:
                continue
            for label, selector in own.items():
                self.names[label] = _without(selector, shared)
            first = next(iter(own.values()))
            common = replace(first, options=tuple(pair for pair in first.options if pair in shared))
            self.notes.append(f"{_without(first, set(first.options))} stands for {common}")

    def of(self, label: str) -> str:
        return self.names.get(label, label)


def _without(selector: Selector, options: set[tuple[str, str]]) -> str:
    left = replace(selector, options=tuple(pair for pair in selector.options if pair not in options), checkpoint="")
    at = str(replace(selector, options=())).removeprefix(str(replace(selector, options=(), checkpoint="")))
    return f"{left}{_MARK}{at}"


def is_short(text: str) -> bool:
    """Whether options are left out of a label as people read it."""
    return _MARK in text


def spelled_options(text: str) -> str:
    """Such a label with those options alone that it spells out."""
    return text.replace(_MARK, "", 1)
