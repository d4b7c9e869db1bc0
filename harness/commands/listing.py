"""Lists on a terminal of any width: columns where they fit, else a name with what belongs to it below.

Nothing is broken inside a word. Where the width is not known, in a file or a pipe, every entry is one line.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LEAST_TEXT = 32                         # columns that the last column of a table needs beside the others
UNLIMITED = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A row: its columns, the last one of running text, and further lines that stand below it."""

    columns: tuple[str, ...]
    below: tuple[str, ...] = ()


def terminal_width() -> int:
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return max(20, shutil.get_terminal_size().columns)
    return UNLIMITED


def print_listing(entries: Sequence[Entry], width: int | None = None) -> None:
    for line in listing_lines(entries, width or terminal_width()):
        print(line)


def print_text(text: str) -> None:
    """A line of running text."""
    for line in _wrapped(text, terminal_width(), "", "  "):
        print(line)


def listing_lines(entries: Sequence[Entry], width: int) -> Iterator[str]:
    """The lines of a list at this width."""
    sizes = [max(map(len, texts)) + 2 for texts in zip(*(entry.columns[:-1] for entry in entries), strict=True)]
    offset = sum(sizes)
    if width - offset < LEAST_TEXT:
        yield from _stacked(entries, width)
        return
    for entry in entries:
        *first, text = entry.columns
        start = "".join(word.ljust(size) for word, size in zip(first, sizes, strict=True))
        yield from _wrapped(text, width, start, " " * offset)
        for line in entry.below:
            yield from _wrapped(line, width, " " * offset, " " * (offset + 2))


def _stacked(entries: Sequence[Entry], width: int) -> Iterator[str]:
    for entry in entries:
        name, *others = entry.columns
        yield from _wrapped(name, width, "", "  ")
        for line in filter(None, others):
            yield from _wrapped(line, width, "  ", "  ")
        for line in entry.below:
            yield from _wrapped(line, width, "    ", "      ")


def _wrapped(text: str, width: int, first: str, further: str) -> Iterator[str]:
    """Runs of spaces within `text` are columns of its own and stay where it fits."""
    if len(first) + len(text) <= width:
        yield (first + text).rstrip()
        return
    yield from textwrap.wrap(text, width, initial_indent=first, subsequent_indent=further, break_long_words=False,
                             break_on_hyphens=False)
