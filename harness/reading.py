"""A run as its results directory holds it: cells, the rows derived from them, the machines it ran on. (no torch)"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import FileError, one_line
from .labels import is_short, spelled_options
from .options import same_value
from .registry import Registry
from .selector import Selector, parse_selector
from .store import COLUMNS, CellResult, Row, Store, to_frame, with_column_types
from .suite import Suite

if TYPE_CHECKING:
    import pandas


@dataclass
class Run:
    """What was measured: finished cells and what the suites derive from them. `directory` is None for a part of one."""

    name: str
    results: Sequence[CellResult]
    derived: Sequence[Row] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    directory: Path | None = None

    @property
    def rows(self) -> list[Row]:
        """Every row, the derived ones last."""
        return [row for result in self.results for row in result.rows] + list(self.derived)

    @property
    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """The machines that it was measured on, by id."""
        found: Mapping[str, Mapping[str, Any]] = self.manifest.get("environments", {})
        return found

    @cached_property
    def groups(self) -> dict[str, list[CellResult]]:
        return by_timing_group(self.results)

    @cached_property
    def _protocols(self) -> dict[str, list[CellResult]]:
        table: dict[str, list[CellResult]] = {}
        for result in self.results:
            table.setdefault(protocol_of(result), []).append(result)
        return table

    def alike(self, like: CellResult) -> Sequence[CellResult]:
        """The cells of all plugins that were measured as this one was."""
        return self._protocols.get(protocol_of(like), ())

    def labels(self, suite: str = "") -> list[str]:
        """The plugins measured, as the command line writes them."""
        return list(dict.fromkeys(result.label for result in self.results if suite in ("", result.cell["suite"])))

    def label_of(self, selector: str, suite: str) -> str | None:
        """The label that a selected plugin has in a suite; None where the suite did not measure it.

        A suite may set further options: recall sets its own head. So if no label is exactly the selector, it is the
        label that adds the fewest options to it; None if several add equally few. A short label is read likewise, and
        a value however it is written: cells have `ratio=0.0` where `ratio=0` was asked for.
        """
        wanted, labels = parse_selector(spelled_options(selector)), self.labels(suite)
        if str(wanted) in labels and not is_short(selector):
            return str(wanted)
        wider = {label: len(have.options) for label in labels if (have := parse_selector(label)).name == wanted.name
                 and have.checkpoint == wanted.checkpoint and _has(have, wanted)
                 and (have.options or not is_short(selector))}
        fewest = [label for label, count in wider.items() if count == min(wider.values())]
        return fewest[0] if len(fewest) == 1 else None


def _has(selector: Selector, wanted: Selector) -> bool:
    """Whether a selector has all options of another."""
    options = dict(selector.options)
    return all(name in options and same_value(options[name], text) for name, text in wanted.options)


PLUGINS_OWN = ("id", "plugin", "options", "preset", "seed", "code", "needs", "group", "checkpoint", "weights",
               "version", "state_bytes")
RUNS_OWN = ("lr", "trunk")                  # of a protocol


def protocol_of(result: CellResult) -> str:
    """What cells of several plugins, seeds and learning rates have in common, as a text to compare."""
    common = {name: value for name, value in result.cell.items() if name not in PLUGINS_OWN}
    asked = {name: value for name, value in common.get("protocol", {}).items() if name not in RUNS_OWN}
    return json.dumps({**common, "protocol": asked}, sort_keys=True, default=str)


def read_run(directory: Path, registry: Registry, name: str = "") -> Run:
    """Everything a results directory holds, the derived rows made anew. Raises FileError."""
    store = Store(directory, create=False)
    manifest, results = store.manifest(), store.results()
    derived = conclude(list(registry.suites.values()), results, manifest.get("run_id", ""))
    return Run(name or str(directory), results, derived, manifest, directory)


def read_table(directory: Path | str) -> pandas.DataFrame:
    """The long table of a run. Raises FileError where `directory` holds no results."""
    import pandas

    store = Store(directory, create=False)
    path = store.directory / "table.parquet"
    if not path.exists():
        return to_frame(row for result in store.results() for row in result.rows)
    if not path.is_file():
        raise FileError(f"cannot read {path}: it is no regular file")
    try:
        with path.open("rb") as file:
            table = pandas.read_parquet(file).reindex(columns=list(COLUMNS))     # an older table has fewer
        return with_column_types(table)
    except Exception as error:                              # whatever the libraries raise for other columns
        raise FileError(f"{path} is corrupt ({one_line(error)}); delete it, the cells are kept") from None


def conclude(suites: Sequence[Suite], results: Sequence[CellResult], run_id: str) -> list[Row]:
    """The derived rows of each suite. A suite that fails to derive its rows says so in a row."""
    rows = []
    for suite in suites:
        own = [result for result in results if result.cell["suite"] == suite.name]
        if suite.conclude and own:
            try:
                rows += suite.conclude(own)
            except Exception as error:                      # the measured rows are worth more than the derived ones
                reason = f"cannot conclude: {one_line(error)}"
                rows.append(Row(suite=suite.name, status="error", reason=reason))
    for row in rows:
        row.run_id = run_id
    return rows


def by_timing_group(results: Iterable[CellResult]) -> dict[str, list[CellResult]]:
    """Timed cells by timing group."""
    table: dict[str, list[CellResult]] = {}
    for result in results:
        if result.cell["group"]:
            table.setdefault(result.cell["group"], []).append(result)
    return table
