"""What a name stands for, by content: one text under two paths is one, two texts under one name are two. (no torch)

The same holds of programs: a plugin that was edited between two measurements is no longer the one that its name had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..store import CellResult, Row

EDITION = ("code", "suite_code", "tokenizer_code", "weights", "engine")     # of a cell: what an edit changes
SHOWN = 8                                   # characters of a digest


@dataclass(frozen=True, eq=False)
class Named:
    """A corpus or a tokenizer: equal by `content` where both sides know it, else by name, or by the `source` that the
    name led to."""

    name: str
    content: str = ""
    source: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Named):
            return NotImplemented
        if self.content and other.content:
            return self.content == other.content
        return self.name == other.name or bool(self.source and self.source == other.source)

    def contrast(self, other: Named, kind: str) -> tuple[str, tuple[str, str]]:
        """What differs and how: the names of two of a `kind`, or, under one name, their content."""
        if self.name != other.name:
            return kind, (self.name, other.name)
        return f"{kind} bytes", (self.content[:SHOWN], other.content[:SHOWN])

    __hash__ = None  # type: ignore[assignment]     # equality by what both know has no hash


def text_of(result: CellResult) -> Named:
    """The corpus of a cell; its content is the digest of its bytes and their split, once a row tells it."""
    content = next((row.corpus_sha256 for row in result.rows if row.corpus_sha256), "")
    return Named(result.cell["corpus"], content, result.cell.get("text", ""))


def tokenizer_of(result: CellResult) -> Named:
    """The tokenizer of a cell; its content is the digest of its table, where a plugin brings it."""
    return Named(result.cell["tokenizer"], result.cell.get("tokenizer_code", "").partition("+")[2])


def newest_edition(results: Sequence[CellResult]) -> tuple[list[CellResult], set[str]]:
    """The cells of the newest source of every plugin, in each suite and under each tokenizer, and the labels of the
    plugins of which older source was measured as well."""
    newest: dict[tuple[Any, ...], tuple[str, tuple[Any, ...]]] = {}
    for result in results:
        started = max((row.started_at for row in result.rows), default="")
        place, found = _place(result), newest.get(_place(result))
        if found is None or started >= found[0]:
            newest[place] = started, _edition(result)
    kept = [result for result in results if newest[_place(result)][1] == _edition(result)]
    return kept, {result.label for result in results if newest[_place(result)][1] != _edition(result)}


def _place(result: CellResult) -> tuple[Any, ...]:
    return result.cell["suite"], result.label, result.cell["tokenizer"]


def _edition(result: CellResult) -> tuple[Any, ...]:
    return tuple(result.cell.get(name) for name in EDITION)


class Contents:
    """Names for the texts and the source behind rows, such that one name stands for one thing among them."""

    def __init__(self, rows: Iterable[Row]):
        self._names: dict[str, str] = {}                # digest of a text -> the first name it had
        self._newest: dict[tuple[str, ...], tuple[str, str]] = {}
        self._cells: dict[str, str] = {}                # cell -> the digest of its text: early rows do not know it yet
        for row in rows:
            if row.corpus_sha256:
                self._names.setdefault(row.corpus_sha256, row.corpus)
                self._cells[row.cell_id] = row.corpus_sha256
            place = row.suite, row.label, row.tokenizer
            if row.started_at >= self._newest.get(place, ("", ""))[0]:
                self._newest[place] = row.started_at, row.code
        names = list(self._names.values())
        self._several = {name for name in names if names.count(name) > 1}
        self._digests = {name: digest for digest, name in self._names.items() if name not in self._several}

    def digest(self, row: Row) -> str:
        """Of a row's text: its own, that of its cell, or the one that its name has here; "" where none tells it."""
        return row.corpus and (row.corpus_sha256 or self._cells.get(row.cell_id) or self._digests.get(row.corpus, ""))

    def corpus(self, row: Row) -> str:
        """The name of a row's text; with its digest where other text had that name too."""
        digest = self.digest(row)
        name = self._names.get(digest, row.corpus)
        return f"{name} (text {digest[:SHOWN]})" if digest and name in self._several else name

    def edition(self, row: Row) -> str:
        """ "older code c1234567" where newer source of the plugin was measured in this suite, else ""."""
        newest = self._newest[row.suite, row.label, row.tokenizer][1]
        return "" if row.code == newest else f"older code {row.code[:SHOWN]}".strip()

    def notes(self, rows: Iterable[Row]) -> list[str]:
        """A line for every name that stood for more than one thing."""
        told = dict.fromkeys(row.label for row in rows if self.edition(row))
        return [f"{name}: several texts of this name were measured; each stands apart" for name in sorted(self._several)
                ] + [f"{label}: its code was edited between measurements; older code stands apart" for label in told]
