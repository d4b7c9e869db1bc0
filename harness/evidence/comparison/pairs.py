"""Which rows of two runs may stand side by side, and why the others may not. (no torch)

Rows belong together that measure the same thing (suite, metric, phase, plugin, length, batch). They are compared only
where all that decides the number besides the system itself is equal: the bytes of the corpus, the tokenizer, the size
matched to, the bytes trained on, precision and device; for timings the machine with its software and its threads too.
Texts are told by their bytes and split, not by their names. Of a plugin that was edited between two measurements the
newest source alone takes part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import unknown
from ...options import WIDTHS
from ...quantities import format_count
from ...reading import Run
from ...store import CellResult, Row
from ...suite import ByRound, ByValue, Compared, Suite
from ..contents import Named, newest_edition, text_of, tokenizer_of

SIMILAR = 0.02                              # bytes that checkpoints were trained on may differ by this share
NEAR = 0.1                                  # of the parameters asked for, within which a model is of that size
CHANGING = ("now", "git", "threads")        # of an environment, no part of its id


@dataclass(frozen=True)
class MetricKey:
    """What a number is of. `plugin` is "" where two plugins are compared."""

    suite: str
    metric: str
    phase: str
    seq_len: int
    batch_size: int
    unit: str
    plugin: str


@dataclass(frozen=True)
class Reading:
    """A row with the cell that it is of, and how its metric is compared."""

    row: Row
    result: CellResult
    compared: Compared


@dataclass(frozen=True)
class ReadingPair:
    """The readings of one key on both sides, a seed each; `reason` where they cannot be compared, `failed` rows."""

    key: MetricKey
    a: tuple[Reading, ...]
    b: tuple[Reading, ...]
    reason: str = ""
    failed_a: tuple[Row, ...] = ()
    failed_b: tuple[Row, ...] = ()
    note: str = ""                          # of a side that holds measurements of older source too


def pair_readings(a: Run, b: Run, suites: Sequence[Suite], plugins: tuple[str, str] | None = None) -> list[ReadingPair]:
    """Every comparable metric of `suites` in either run; with `plugins`, one plugin of each. Raises UsageError."""
    for run, selector in zip((a, b), plugins or (), strict=False):
        if not any(run.label_of(selector, suite) for suite in {r.cell["suite"] for r in run.results}):
            raise unknown(f"plugin in {run.name}", selector, run.labels())
    pairs = []
    for suite in suites:
        chosen = [run.label_of(plugin, suite.name) or "" for run, plugin in zip((a, b), plugins or (), strict=False)]
        left, right = (_Side(run, suite, only) for run, only in zip((a, b), chosen or (None, None), strict=True))
        right.take_names_of(left)
        pairs += _in_order(
            replace(pair, note=_older(pair, left, right))
            for key in dict.fromkeys([*left.readings, *right.readings]) for pair in _pair(key, left, right))
    return pairs


def _older(pair: ReadingPair, left: _Side, right: _Side) -> str:
    """Which sides hold measurements of older source of the plugins of a pair."""
    sides = [name for name, side, other in (("A", left, pair.a), ("B", right, pair.b))
             if side.edited & {r.result.label for r in other or (pair.a or pair.b)}]
    return f"the newest code; {' and '.join(sides)} {'hold' if sides[1:] else 'holds'} older too" if sides else ""


def _in_order(pairs: Iterable[ReadingPair]) -> list[ReadingPair]:
    """Metric by metric and plugin by plugin as they came, lengths rising."""
    places: dict[Any, int] = {}

    def place(pair: ReadingPair) -> tuple[int, ...]:
        key = pair.key
        names = ((key.metric, key.phase), key.plugin)
        return (*(places.setdefault(name, len(places)) for name in names), key.seq_len, key.batch_size)

    return sorted(pairs, key=place)


class _Side:
    """The readings of one suite in one run, by key, and its failures; of the plugin `only` where one is chosen."""

    def __init__(self, run: Run, suite: Suite, only: str | None):
        self.run, self.suite, self.only = run, suite, only
        newest, self.edited = newest_edition(
            [r for r in run.results if r.cell["suite"] == suite.name and only in (None, r.label)])
        self.results = {r.id: r for r in newest}
        self.readings: dict[MetricKey, list[Reading]] = {}
        self.names: dict[str, str] = {}
        for reading in self._read():
            row = reading.row
            key = MetricKey(row.suite, row.metric, row.phase, row.seq_len or 0, row.batch_size or 0, row.unit,
                      reading.result.label if only is None else "")
            self.readings.setdefault(key, []).append(reading)

    def take_names_of(self, other: _Side) -> None:
        """Call trained weights by the name that the other side has for them: a checkpoint lies under several paths."""
        if self.only is not None:
            return
        theirs, ours = ({r.label: r.cell.get("weights", "") for r in side.results.values()} for side in (other, self))
        names = {weights: label for label, weights in theirs.items() if weights and label not in ours}
        self.names = {label: names[weights] for label, weights in ours.items()
                      if weights in names and label not in theirs}
        self.readings = {replace(key, plugin=self.names.get(key.plugin, key.plugin)): found
                         for key, found in self.readings.items()}

    def _read(self) -> Iterator[Reading]:
        for row in [row for r in self.results.values() for row in _without_curves(r.rows)] + list(self.run.derived):
            result = self.results.get(row.cell_id)
            if result is None or row.status != "ok" or row.value is None or row.better not in ("lower", "higher"):
                continue
            relative = row.unit.startswith("x ") or ":" in row.metric       # to another plugin, or a plugin's own case
            compared = kind_of(self.suite, row)
            if compared and not (relative and self.only is not None):
                yield Reading(row, result, compared)

    def failures(self, like: Reading) -> tuple[Row, ...]:
        """Rows that say why there is no such number here: of its metric, or of the whole cell."""
        wanted, shape = _of_cell(like), (like.row.seq_len or 0, like.row.batch_size or 0)
        return tuple(
            row for r in self.results.values() for row in r.rows
            if row.status != "ok" and row.metric in ("", like.row.metric)
            and (self.only is not None or like.result.label in (r.label, self.names.get(r.label)))
            and (r.cell["seq_len"], r.cell["batch_size"]) == shape
            and _of_cell(Reading(row, r, like.compared)) == wanted)


def readings_of(run: Run, suite: Suite) -> list[Reading]:
    """The comparable numbers of a suite in a run, of the newest source of every plugin."""
    return [reading for found in _Side(run, suite, None).readings.values() for reading in found]


def _without_curves(rows: Sequence[Row]) -> list[Row]:
    """Without the points of curves: metrics that a cell has several rows of."""
    count = Counter((row.metric, row.phase) for row in rows)
    return [row for row in rows if count[row.metric, row.phase] == 1]


def kind_of(suite: Suite, row: Row) -> Compared | None:
    """By what a row is compared, None where it is not."""
    if suite.compared:
        return suite.compared(row)
    return ByValue() if row.metric.partition(":")[0] in suite.primary else None


def _pair(key: MetricKey, left: _Side, right: _Side) -> Iterator[ReadingPair]:
    """Readings under equal conditions; what is left over is told with what differs, or stands alone."""
    ours, theirs = (_by_conditions(side.readings.get(key, ())) for side in (left, right))
    open_a = []
    for here, readings in ours:
        equal = next((entry for entry in theirs if not differences(here, entry[0], left.run, right.run)), None)
        if equal is None:
            open_a.append((here, readings))
            continue
        theirs.remove(equal)
        a = _one_a_seed(readings, equal[1])
        yield ReadingPair(key, a, _one_a_seed(equal[1], a), "", left.failures(a[0]), right.failures(a[0]))
    for here, readings in open_a:
        if not theirs:
            yield ReadingPair(key, _one_a_seed(readings), (), "", (), right.failures(readings[0]))
            continue
        reasons, nearest = min(((differences(here, entry[0], left.run, right.run), entry) for entry in theirs),
                               key=lambda found: len(found[0]))
        theirs.remove(nearest)
        yield ReadingPair(key, _one_a_seed(readings), _one_a_seed(nearest[1]), "; ".join(reasons))
    for _, readings in theirs:
        yield ReadingPair(key, (), _one_a_seed(readings), "", left.failures(readings[0]))


def _one_a_seed(readings: Sequence[Reading], others: Sequence[Reading] = ()) -> tuple[Reading, ...]:
    """Of each seed the latest, if it can be one that was timed together with one of the others."""
    groups = {r.result.cell["group"] for r in others} - {""}
    chosen: dict[int, Reading] = {}
    for reading in sorted(readings, key=lambda r: r.result.cell["group"] in groups):
        chosen[reading.result.cell["seed"]] = reading
    return tuple(chosen[seed] for seed in sorted(chosen))


Conditions = dict[str, Any]


def _by_conditions(readings: Sequence[Reading]) -> list[tuple[Conditions, list[Reading]]]:
    table: list[tuple[Conditions, list[Reading]]] = []
    for reading in readings:
        found = conditions(reading)
        place = next((entry for entry in table if entry[0] == found), None)
        if place is None:
            table.append(place := (found, []))
        place[1].append(reading)
    return table


def conditions(reading: Reading) -> Conditions:
    """What must be equal on both sides."""
    row, result = reading.row, reading.result
    found = _of_cell(reading)
    del found["role"]
    if reached := missed_size(reading):
        found["size"] = f"{format_count(reached)} parameters"
    if result.cell.get("checkpoint"):
        found["training text"] = row.bytes_seen
    if isinstance(reading.compared, ByRound) or (isinstance(reading.compared, ByValue) and reading.compared.machine):
        found |= {"threads": result.cell["threads"], "machine or software": result.environment}
    return found


def missed_size(reading: Reading) -> int:
    """The parameters of a model that no width brings near those asked for, 0 of any other.

    Where options fix the width, what comes of it was asked for too.
    """
    asked, reached, options = reading.result.cell["params"], reading.row.params or 0, reading.result.cell["options"]
    if not asked or not reached or options.keys() & set(WIDTHS) or abs(reached / asked - 1) <= NEAR:
        return 0
    return reached


def _of_cell(reading: Reading) -> Conditions:
    """What of it the definition of the cell tells, whether it was measured or failed."""
    cell = reading.result.cell
    return {
        "corpus": text_of(reading.result), "tokenizer": tokenizer_of(reading.result),
        "state": f"{format_count(cell['state_bytes'])} state bytes" if cell.get("state_bytes") else "",
        "size": cell["preset"] or (f"{format_count(cell['params'])} parameters" if cell["params"] else ""),
        "training text": cell["protocol"].get("budget_bytes"), "precision": cell["dtype"], "device": cell["device"],
        "role": cell["protocol"].get("role"),
    }


def differences(a: Conditions, b: Conditions, run_a: Run, run_b: Run) -> list[str]:
    """What is not equal, in words."""
    reasons = []
    for name, ours in a.items():
        theirs = b.get(name)
        if ours == theirs:
            continue
        if isinstance(ours, Named) and isinstance(theirs, Named):
            name, (ours, theirs) = ours.contrast(theirs, name)
        if name == "training text" and ours and theirs:
            if abs(math.log(ours / theirs)) <= math.log(1 + SIMILAR):
                continue
            ours, theirs = (f"{format_count(value)}B" for value in (ours, theirs))
        if name == "machine or software":
            facts = [run.environments.get(str(place), {}) for run, place in ((run_a, ours), (run_b, theirs))]
            ours, theirs = _first_difference(*facts) or (ours, theirs)
        reasons.append(f"other {name} (A {ours or 'none'}, B {theirs or 'none'})")
    return reasons


def _first_difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, str] | None:
    for name in dict.fromkeys([*a, *b]):
        ours, theirs = a.get(name), b.get(name)
        if name in CHANGING or ours == theirs:
            continue
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            return next(((f"{key} {ours.get(key)}", f"{key} {theirs.get(key)}")
                         for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)), None)
        return f"{name} {ours}", f"{name} {theirs}"
    return None
