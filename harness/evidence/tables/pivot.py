"""Rows sorted into the places of a table: which plugin, which length, which metric. (no torch)"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ...labels import ShortLabels
from ...store import Row
from ..contents import Contents
from ..statistics.intervals import Estimate, mean_interval

if TYPE_CHECKING:
    import pandas

CONTEXT = (                                    # part of a row's name
    "corpus", "tokenizer", "batch_size", "device", "dtype", "depth", "execution", "rung")
SYMBOLS = {"batch_size": "B=", "depth": "L=", "n_qubits": "n="}                                # where it varies

RowKey = tuple[str, ...]                       # a table row: plugin label, kernel case, then the context that varies
Column = tuple[str, str]                    # metric, phase


@dataclass
class Place:
    """Every row that falls into one place of a table."""

    rows: list[Row] = field(default_factory=list)

    @property
    def measured(self) -> list[Row]:
        """The rows with a number; of a seed that was measured again, in another cell, those of the newest."""
        numbers = self._numbers()
        newest: dict[int | None, tuple[str, str]] = {}
        for row in numbers:
            if row.started_at >= newest.get(row.seed, ("", ""))[0]:
                newest[row.seed] = row.started_at, row.cell_id
        return [row for row in numbers if newest[row.seed][1] == row.cell_id]

    @property
    def repeated(self) -> bool:
        """Whether there are older measurements of the same."""
        return len(self.measured) < len(self._numbers())

    def _numbers(self) -> list[Row]:
        return [row for row in self.rows if row.status == "ok" and row.value is not None]

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.status != "ok"]

    @property
    def estimate(self) -> Estimate | None:
        """The one value with its interval, the mean over seeds with a t interval, None where nothing was measured."""
        values = [row.value for row in self.measured if row.value is not None]
        if len(values) == 1:
            return Estimate(values[0], self.measured[0].ci_low, self.measured[0].ci_high, 1)
        return mean_interval(values) if values else None


class Pivot:
    """The `primary` metrics among `rows`, in this order, and whatever failed.

    A metric `name:case` belongs to the column `name`; its case gets a table row of its own, and so does every value of
    a column of `context` that varies, and older source of a plugin; `notes` tell of the latter and of short labels,
    which are those of all `rows` unless `labels` are given.
    `swept` are the columns that some plugin has at several lengths, or numbers of qubits where rows are of circuits;
    `across` is their symbol.
    """

    def __init__(self, rows: Iterable[Row] | pandas.DataFrame, primary: Sequence[str],
                 context: Sequence[str] = CONTEXT, labels: ShortLabels | None = None):
        everything = as_rows(rows)
        self.context, self.contents = context, Contents(everything)
        self.short = labels or ShortLabels(row.label for row in everything)
        values = {name: {self._value(r, name) for r in everything} - {None, "", 0} for name in context}
        self.varying = [name for name in context if len(values[name]) > 1]
        shown = [r for r in everything if metric_name(r) in primary or r.status != "ok"]
        self.keys = list(dict.fromkeys(self._key(row) for row in shown))
        self.params = {self._key(row): row.params for row in shown if row.params}
        self.places: dict[tuple[RowKey, int, Column], Place] = {}
        self.broken: dict[tuple[RowKey, int], Place] = {}           # cells that failed as a whole: no metric
        self._fill(shown)
        self.columns = self._ordered_columns([*primary, *(metric_name(row) for row in shown)])
        self.units = {column: self._units_of(column) for column in self.columns}
        self.swept = self._swept_columns()
        self.lengths = sorted({length for _, length, column in self.places if column in self.swept}
                              | {length for _, length in self.broken if self.swept and length})
        self.across = "n" if any(row.n_qubits and not row.seq_len for row in shown) else "T"
        constant = {r.seq_len for r in shown if r.seq_len}
        self.title = [f"T={length}" for length in constant if len(constant) == 1]
        self.notes = self.contents.notes(shown) + self.short.notes
        self.title += [in_context(name, v) for name in context if name not in self.varying for v in values[name]]

    def _fill(self, rows: Iterable[Row]) -> None:
        """Put every row into its place."""
        for row in rows:
            key, length = self._key(row), extent(row)
            if row.metric:
                place = self.places.setdefault((key, length, (metric_name(row), row.phase)), Place())
            else:
                place = self.broken.setdefault((key, length), Place())
            place.rows.append(row)

    def _ordered_columns(self, order: Sequence[str]) -> list[Column]:
        return sorted(dict.fromkeys(column for _, _, column in self.places), key=lambda c: order.index(c[0]))

    def _units_of(self, column: Column) -> set[str]:
        return {row.unit for (_, _, c), place in self.places.items() if c == column for row in place.rows if row.unit}

    def _swept_columns(self) -> set[Column]:
        """The columns that some table row has at several lengths."""
        lengths: dict[tuple[RowKey, Column], set[int]] = {}
        for key, length, column in self.places:
            lengths.setdefault((key, column), set()).add(length)
        return {column for (_, column), found in lengths.items() if len(found) > 1}

    def _key(self, row: Row) -> RowKey:
        context = (in_context(name, value) for name in self.varying if (value := self._value(row, name)))
        older = "" if "setting" in self.context else self.contents.edition(row)     # a setting tells it already
        return (self.short.of(row.label), row.metric.partition(":")[2], *context, *filter(None, [older]))

    def _value(self, row: Row, name: str) -> Any:
        return self.contents.corpus(row) if name == "corpus" else getattr(row, name)

    def at(self, key: RowKey, length: int | None, column: Column) -> Place:
        """What stands in a place: its own rows, else the failure of the whole cell. Without a length: at any."""
        if length is not None:
            return self.places.get((key, length, column)) or self.broken.get((key, length)) or Place()
        own = [row for (k, _, c), place in self.places.items() if (k, c) == (key, column) for row in place.rows]
        return Place(own or [row for (k, _), place in self.broken.items() if k == key for row in place.rows])

    def best(self, length: int | None, column: Column) -> set[RowKey]:
        """The keys whose interval lies wholly on the better side of that of every other plugin.

        None for ratios (units that begin with "x"): their reference has no row.
        """
        if any(unit.startswith("x") for unit in self.units.get(column, ())):
            return set()
        rivals: dict[RowKey, dict[RowKey, Place]] = {}
        for key in self.keys:
            if (place := self.at(key, length, column)).measured:
                rivals.setdefault(key[1:], {})[key] = place
        winners = map(_beating_all, rivals.values())
        return {key for key in winners if key is not None}


def _beating_all(group: dict[RowKey, Place]) -> RowKey | None:
    """The key whose interval lies on the better side of every other; None where there is none, or one has none."""
    better = next(iter(group.values())).measured[0].better
    ends = {key: (e.low, e.high) for key, place in group.items() if (e := place.estimate) and e.low is not None
            and e.high is not None}
    if len(ends) < max(2, len(group)) or better not in ("lower", "higher"):
        return None
    lower = better == "lower"
    best = min(ends, key=lambda key: ends[key][1] if lower else -ends[key][0])
    low, high = ends.pop(best)
    told = all(high < other if lower else low > further for other, further in ends.values())
    return best if told else None


def extent(row: Row) -> int:
    """What a row is swept over: its length, or the qubits of its circuit."""
    return row.seq_len or row.n_qubits or 0


def in_context(name: str, value: Any) -> str:
    """A value of a column as part of a name: "B=4"."""
    return f"{SYMBOLS.get(name, '')}{value}"


def metric_name(row: Row) -> str:
    """The metric without its case."""
    return row.metric.partition(":")[0]


def as_rows(source: Iterable[Row] | pandas.DataFrame) -> list[Row]:
    """Rows, also from a table: what is missing there is None, or "" in a column of text."""
    if not hasattr(source, "to_dict"):
        return list(source)
    import pandas

    empty: dict[str, Any] = {f.name: "" if str(f.type) == "str" else None for f in fields(Row)}
    return [Row(**{name: empty[name] if pandas.isna(value) else value
                   for name, value in record.items() if name in empty}) for record in source.to_dict("records")]
