"""What a site holds: its rankings, its rows, where each is found, how it came about. (no torch)"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...reading import Run
from ...registry import Registry
from ...store import Row
from ..claims.verdict import Verdict
from ..claims.verdict_file import load_verdicts
from ..report.citation import read_runs
from .anchors import anchors_of
from .boards import Board, boards_of


@dataclass
class Site:
    """Runs, the rankings of their rows, and their verdicts. `anchors` has one row of each measurement by `id(row)`."""

    title: str
    runs: Sequence[Run]
    registry: Registry
    anchors: dict[int, str]
    boards: Sequence[Board]
    verdicts: Sequence[tuple[Run, Verdict]]

    @cached_property
    def rows(self) -> list[tuple[Run, Row]]:
        return [(run, row) for run in self.runs for row in run.rows if id(row) in self.anchors]

    @cached_property
    def suites(self) -> list[str]:
        """Those that have rows, in the order of the registry."""
        measured = dict.fromkeys(row.suite for _, row in self.rows)
        return sorted(measured, key=[*self.registry.suites, *measured].index)

    @cached_property
    def ranked(self) -> set[int]:
        """The rows that stand in a ranking."""
        return {id(row) for board in self.boards for entry in board.entries for row in entry.rows}

    @cached_property
    def cells(self) -> dict[str, Row]:
        """The first row of every cell."""
        found: dict[str, Row] = {}
        for _, row in self.rows:
            found.setdefault(row.cell_id, row)
        return found

    def page(self, suite: str) -> str:
        """The file of a suite; of two whose names differ in signs alone, each has its own."""
        plain = re.sub(r"[^A-Za-z0-9]+", "-", suite).strip("-").lower() or "suite"
        alike = [one for one in self.suites if re.sub(r"[^A-Za-z0-9]+", "-", one).strip("-").lower() == plain]
        return f"suite-{plain}{alike.index(suite) or '' if suite in alike else ''}.html"

    def link(self, row: Row) -> str:
        return f"{self.page(row.suite)}#{self.anchors[id(row)]}"


def read_site(directories: Sequence[Path], registry: Registry, title: str = "") -> Site:
    """The site of results directories. Raises FileError where one holds no results."""
    runs = read_runs(directories, registry)
    anchors = anchors_of(runs)
    verdicts = [(run, verdict) for run, directory in zip(runs, directories, strict=True)
                for verdict in load_verdicts(directory)]
    boards = boards_of(runs, list(registry.suites.values()), anchors)
    return Site(title or "Leaderboard", runs, registry, anchors, boards, verdicts)
