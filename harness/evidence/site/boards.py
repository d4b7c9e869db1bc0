"""Rankings: which rows of many runs stand in one, and how they are placed. (no torch)

Two rows stand in one ranking only where `harness compare` would set them side by side: the same metric of the same
suite in the same unit, at equal length and batch, with equal text, tokenizer, size, training text, precision and
device, for timings on the same machine with its software and threads. A ratio to another plugin is in none.

A place counts who is ahead beyond doubt: 1 + the number of systems whose whole interval lies on the better side. Of
what was measured once, without an interval, the number alone counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...quantities import format_count
from ...reading import Run
from ...store import CellResult, Row
from ...suite import Suite
from ..comparison.pairs import Conditions, Reading, conditions, differences, readings_of
from ..contents import SHOWN, Named
from ..report.header import machine
from ..statistics.intervals import Estimate
from ..tables.pivot import Place


@dataclass
class Entry:
    """A system of one run in a ranking: what was measured of it at every length."""

    run: Run
    label: str
    places: dict[int, Place] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        return [row for place in self.places.values() for row in place.rows]

    @property
    def params(self) -> int | None:
        return next((row.params for row in self.rows if row.params), None)


@dataclass
class Board:
    """A ranking under equal conditions, at one or several lengths; `failed` are rows that say why one has no number."""

    suite: str
    metric: str
    phase: str
    unit: str
    better: str
    batch_size: int
    conditions: Conditions
    entries: list[Entry] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)

    @property
    def lengths(self) -> list[int]:
        return sorted({length for entry in self.entries for length in entry.places})

    @property
    def name(self) -> str:
        """An id that stays: the metric and the first cell."""
        return f"{self.entries[0].rows[0].cell_id}.{self.metric}.{self.phase}.board".replace(" ", "-")

    def places(self, length: int) -> dict[int, int]:
        """The place of every entry that was measured at a length, by its index."""
        ends = {number: _ends(estimate, self.better == "lower") for number, entry in enumerate(self.entries)
                if length in entry.places and (estimate := entry.places[length].estimate)}
        return {number: 1 + sum(worst < best for _, worst in ends.values()) for number, (best, _) in ends.items()}

    def ranked(self) -> list[tuple[int | None, Entry]]:
        """Places and entries at the longest length, the best first; who was not measured there stands last."""
        longest = self.lengths[-1]
        places = self.places(longest)
        sign = 1 if self.better == "lower" else -1

        def order(number: int) -> tuple[float, float]:
            place = self.entries[number].places.get(longest)
            estimate = place.estimate if place else None
            return (places.get(number, 1 << 30), sign * estimate.value if estimate else 0.0)

        return [(places.get(number), self.entries[number]) for number in sorted(range(len(self.entries)), key=order)]


def _ends(estimate: Estimate, lower: bool) -> tuple[float, float]:
    """The best and the worst end of an interval, such that less is better."""
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    return (low, high) if lower else (-high, -low)


def boards_of(runs: Sequence[Run], suites: Iterable[Suite], kept: Mapping[int, str]) -> list[Board]:
    """The rankings of the rows in `kept`, which holds one of each measurement by `id(row)`, suite by suite."""
    boards: list[Board] = []
    for suite in suites:
        own: dict[tuple[Any, ...], list[tuple[Run, Board]]] = {}
        for run in runs:
            for reading in readings_of(run, suite):
                row = reading.row
                if id(row) not in kept or row.unit.startswith("x "):
                    continue
                kind = (row.metric, row.phase, row.unit, row.better, row.batch_size or 0)
                board = _board(own.setdefault(kind, []), run, reading, kind, suite.name)
                _enter(board, run, reading)
        made = [board for found in own.values() for _, board in found]
        broken = [(run, result, rows) for run in runs for result in run.results if result.cell["suite"] == suite.name
                  and (rows := [row for row in result.rows if row.status != "ok" and id(row) in kept])]
        for board in made:
            for run, result, rows in broken:
                board.failed += _failures(board, run, result, rows)
        boards += made
    return boards


def _board(found: list[tuple[Run, Board]], run: Run, reading: Reading, kind: tuple[Any, ...], suite: str) -> Board:
    """The ranking that a reading belongs to; a new one where its conditions are like those of none."""
    own = conditions(reading)
    for other, board in found:
        if not differences(board.conditions, own, other, run):
            return board
    metric, phase, unit, better, batch_size = kind
    made = Board(suite, metric, phase, unit, better, batch_size, own)
    found.append((run, made))
    return made


def _enter(board: Board, run: Run, reading: Reading) -> None:
    label = reading.result.label
    entry = next((one for one in board.entries if one.run is run and one.label == label), None)
    if entry is None:
        entry = Entry(run, label)
        board.entries.append(entry)
    entry.places.setdefault(reading.row.seq_len or 0, Place()).rows.append(reading.row)
    entry.readings.append(reading)


def _failures(board: Board, run: Run, result: CellResult, rows: Sequence[Row]) -> list[Row]:
    """Why a system that has no entry has none: the failures of its cell, where it stood under these conditions."""
    own = [row for row in rows if row.metric in ("", board.metric)]
    if not own or any(entry.label == result.label and entry.run is run for entry in board.entries):
        return []
    if (result.cell["batch_size"] or 0) != board.batch_size:
        return []
    like = replace(board.entries[0].readings[0], row=own[0], result=result)
    return [] if differences(board.conditions, conditions(like), run, run) else own


def told(board: Board, run: Run) -> dict[str, str]:
    """The conditions of a ranking in words, by heading."""
    found: dict[str, str] = {}
    for name, value in board.conditions.items():
        if not value or name == "role":
            continue
        if isinstance(value, Named):
            text = value.name + f" ({value.content[:SHOWN]})" * bool(name == "corpus" and value.content)
        elif name == "training text":
            text = f"{format_count(value)}B"
        elif name == "machine or software":
            name, text = "machine", machine(run.environments.get(str(value), {})) or str(value)
        else:
            text = str(value)
        if text:
            found[name] = text
    return found | ({"batch": str(board.batch_size)} if board.batch_size else {})
