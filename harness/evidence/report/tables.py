"""The tables of a report: a suite's pivots, the headline, audits, failures, and every row. (no torch)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ...quantities import format_number
from ...store import Row
from ..format import DEVIATION, format_value
from ..statistics.intervals import Estimate
from ..tables.formatter import Formatter, Part
from ..tables.pivot import CONTEXT, Column, Pivot, Place, in_context
from .citation import CitedRow, cited_pivot
from .document import Table, TableCell, TextSpan, plain
from .figures import NUMBERED, cite, exactly, name_of

HEADLINES = (                               # metric, phase, what a reader calls it
    ("bits_per_byte", "score", "bits/byte"), ("excess_bits", "score", "excess bits/byte"),
    ("tokens_per_s", "train", "train tokens/s"), ("tokens_per_s", "decode", "decode tokens/s"),
    ("peak_bytes", "train", "training peak"), ("state_bytes_per_sequence", "decode", "state"),
    ("exponent", "train", "time exponent"), ("capacity", "score", "recalled bits"),
)
WIDE = 12                                   # columns that fit a page
LAST = float("inf")                         # where a failure is sorted


def cell_of(parts: Sequence[Part], place: Place) -> TableCell:
    """A place of a table with every number linked to its row."""
    spans = []
    for part in parts:
        href, where = cite(part.rows)
        title = f"{exactly(place.estimate, part.rows[0].unit)} · {where}" if place.estimate and href else where
        spans.append(TextSpan(part.text, part.kind, href, title if part.kind != "failed" else where))
    return TableCell(tuple(spans), place.estimate.value if place.estimate else LAST)


def pivot_tables(pivot: Pivot, suite: str) -> Iterator[Table]:
    """What was swept over lengths, a row per metric and plugin; everything else, a row per plugin."""
    swept = [column for column in pivot.columns if column in pivot.swept]
    single = [column for column in pivot.columns if column not in pivot.swept]
    if swept:
        yield _by_length(pivot, swept, f"{suite} by length")
    if single or not swept:
        yield _by_metric(pivot, single or [("", "")], suite)


def _by_length(pivot: Pivot, columns: Sequence[Column], name: str) -> Table:
    formatter, rows = Formatter(pivot), []
    for column in columns:
        best = {length: pivot.best(length, column) for length in pivot.lengths}
        for key in pivot.keys:
            places = {length: pivot.at(key, length, column) for length in pivot.lengths}
            if any(place.rows for place in places.values()):
                rows.append([plain(formatter.heading(column)), plain(name_of(key)), *(
                    cell_of(formatter.parts(place, key in best[length]), place) for length, place in places.items())])
    return Table(name, ["metric", "plugin", *(f"{pivot.across}={length}" for length in pivot.lengths)], rows,
                 frozenset(range(2, 2 + len(pivot.lengths))), " · ".join(pivot.title), formatter.below())


def _by_metric(pivot: Pivot, columns: Sequence[Column], name: str) -> Table:
    """Plugins down and metrics across, or the other way round where the metrics are many."""
    formatter = Formatter(pivot)
    best = [pivot.best(None, column) for column in columns]
    places = {key: [pivot.at(key, None, column) for column in columns] for key in pivot.keys}
    rows = [[plain(name_of(key)), _size(pivot.params.get(key)), *(
        cell_of(formatter.parts(place, key in best[i]), place) for i, place in enumerate(found))]
        for key, found in places.items() if any(place.rows for place in found)]
    headings = ["plugin", "params", *(formatter.heading(column) or "result" for column in columns)]
    if len(headings) > max(WIDE, len(rows)):
        turned = [[plain(heading), *(row[i] for row in rows)] for i, heading in enumerate(headings)]
        headings, rows = ["metric", *(row[0].text for row in rows)], turned[1:]
    return Table(name, headings, rows, frozenset(range(1, len(headings))), " · ".join(pivot.title), formatter.below())


def breakdown_tables(rows: Sequence[CitedRow], suite: str) -> Iterator[Table]:
    """Metrics `NAME@PART`, where PART is no number, that part a metric NAME: tables for each NAME. What a row says of
    the size of its part stands among the rows alone."""
    parted: dict[str, list[CitedRow]] = {}
    for row in rows:
        name, at, _ = row.metric.partition("@")
        if at and row.status == "ok" and not NUMBERED.fullmatch(row.metric):
            parted.setdefault(name, []).append(replace(row, reason=""))
    for name, own in parted.items():
        pivot = cited_pivot(own, tuple(dict.fromkeys(row.metric for row in own)))
        yield from pivot_tables(pivot, f"{suite}: {name.replace('_', ' ')} in parts")


def headline_table(rows: Sequence[CitedRow], suites: Sequence[str]) -> Table | None:
    """A row per plugin, a column for each headline that was measured; None where none was."""
    columns: dict[str, dict[str, TableCell]] = {}
    notes: dict[str, None] = {}
    for metric, phase, heading in HEADLINES:
        for words_of, chosen in _headline_rows(rows, suites, metric, phase):
            pivot = cited_pivot(chosen, (metric,), ("setting", "run"))
            formatter, column = Formatter(pivot), (metric, phase)
            best = pivot.best(None, column)
            cells = columns.setdefault(", ".join([heading, *words_of]), {})
            for key in pivot.keys:
                place = pivot.at(key, None, column)
                parts = [part for part in formatter.parts(place, key in best) if part.kind not in ("note", "limit")]
                cells[_who(place.rows[0])] = cell_of(parts, place)
            notes.update(dict.fromkeys(line for line in formatter.below() if line[0] not in "[≥≤"))
    names = [name for name in dict.fromkeys(map(_who, rows)) if any(name in cells for cells in columns.values())]
    sizes = {_who(row): row.params for row in rows if row.params}
    table = [[plain(name), _size(sizes.get(name)), *(cells.get(name, plain("–", "empty", order=LAST))
                                                     for cells in columns.values())] for name in names]
    headings = ["plugin", "params", *columns]
    return Table("headline", headings, table, frozenset(range(1, len(headings))), notes=list(notes)) if names else None


def _headline_rows(rows: Sequence[CitedRow], suites: Sequence[str], metric: str, phase: str,
                   ) -> Iterator[tuple[list[str], list[CitedRow]]]:
    """The rows of a headline in the first suite that has it, apart by context, with the words of that context.

    Of a metric that was measured at several lengths, those at the longest one.
    """
    own = [row for row in rows if (row.metric, row.phase) == (metric, phase)]
    suite = next((name for name in suites if any(row.suite == name for row in own)), None)
    groups = _by_context([row for row in own if row.suite == suite])
    broken = [row for row in rows if row.suite == suite and not row.metric]         # cells that failed as a whole
    for context, group in groups.items():
        words = [value for i, value in enumerate(context) if len({other[i] for other in groups}) > 1]
        failed = broken
        if _is_swept(group):
            longest = max((row.seq_len or 0 for row in group if row.value is not None), default=0)
            group, failed = ([row for row in some if (row.seq_len or 0) == longest] for some in (group, broken))
            words = [f"T={longest}", *words]
        measured = {_who(row) for row in group}
        yield words, group + [row for row in failed if _who(row) not in measured]


def _by_context(rows: Sequence[CitedRow]) -> dict[tuple[str, ...], list[CitedRow]]:
    groups: dict[tuple[str, ...], list[CitedRow]] = {}
    for row in rows:
        groups.setdefault(tuple(in_context(name, getattr(row, name)) for name in CONTEXT), []).append(row)
    return groups


def _is_swept(rows: Sequence[CitedRow]) -> bool:
    """Whether some plugin has rows at several lengths."""
    return len({(_who(row), row.seq_len) for row in rows}) > len({_who(row) for row in rows})


def _who(row: Row) -> str:
    """A plugin with what sets it apart."""
    return name_of((row.label, getattr(row, "setting", ""), getattr(row, "run", "")))


def _size(params: int | None) -> TableCell:
    return plain(format_value(params) if params else "", order=params)


def audit_table(rows: Sequence[CitedRow]) -> Table | None:
    """A row per audit: passed, or every check that failed with its position and size; the failed ones first."""
    cells: dict[tuple[str, str], list[CitedRow]] = {}
    for row in rows:
        if row.cell_id and (row.unit == DEVIATION or row.metric == "audit_checks" or row.status == "audit_failed"):
            cells.setdefault((row.run, row.cell_id), []).append(row)
    table = [_audit(own) for own in cells.values()]
    table.sort(key=lambda line: line[4].text == "passed")
    headings = ["plugin", "suite", "T", "seed", "verdict", "what failed, where and by how much"]
    return Table("audits", headings, table, frozenset({2, 3})) if table else None


def _audit(rows: Sequence[CitedRow]) -> list[TableCell]:
    first, failed = rows[0], [row for row in rows if row.status == "audit_failed"]
    before = [plain(_who(first)), plain(first.suite), plain(first.seq_len or "", order=first.seq_len),
              plain("" if first.seed is None else first.seed, order=first.seed)]
    if failed:
        reasons: dict[str, CitedRow] = {}
        for row in failed:
            reasons.setdefault(row.reason.removeprefix("not a score: "), row)
        spans = [TextSpan(f"{row.metric}: {reason}" if row.unit == DEVIATION else reason, "failed", *cite([row]))
                 for reason, row in reasons.items()]
        return [*before, plain("failed", "failed", cite(failed)[0]), TableCell(_joined(spans))]
    counts = [row for row in rows if row.metric == "audit_checks"]
    sizes = [row for row in rows if row.unit == DEVIATION and row.value is not None]
    spans = [TextSpan(format_number(int(row.value), "check"), "", *cite([row]))
             for row in counts if row.value is not None]
    if sizes:
        worst = max(sizes, key=lambda row: row.value or 0.0)
        spans.append(TextSpan(f"largest change {worst.value:.2g} std ({worst.metric})", "", *cite([worst])))
    return [*before, plain("passed", "passed", cite(rows)[0]), TableCell(_joined(spans))]


def _joined(spans: Sequence[TextSpan]) -> tuple[TextSpan, ...]:
    return tuple(span for i, one in enumerate(spans) for span in ([TextSpan("; ")] * bool(i) + [one]))


def failure_table(rows: Sequence[CitedRow]) -> Table | None:
    """Whatever gave no number for another reason than its audit."""
    table = [[plain(_who(row)), plain(row.suite), plain(row.metric or "whole cell"),
              plain(row.seq_len or "", order=row.seq_len), TableCell((TextSpan(row.status, "failed", *cite([row])),)),
              plain(row.reason)] for row in rows if row.status not in ("ok", "audit_failed")]
    return Table("failures", ["plugin", "suite", "metric", "T", "status", "reason"], table, frozenset({3})
                 ) if table else None


ROW_COLUMNS: dict[str, Callable[[CitedRow], TableCell]] = {
    "row": lambda row: plain(row.number, order=row.number), "suite": lambda row: plain(row.suite),
    "plugin": lambda row: plain(name_of((row.selector, row.setting, row.run))), "metric": lambda row: plain(row.metric),
    "value": lambda row: _value_cells(row)[0], "exactly": lambda row: _value_cells(row)[1],
    "T": lambda row: _count(row.seq_len), "B": lambda row: _count(row.batch_size),
    "phase": lambda row: plain(row.phase), "seed": lambda row: _count(row.seed), "limit": lambda row: _limit(row),
    "status": lambda row: plain(row.status, "" if row.status == "ok" else "failed"),
    "reason": lambda row: plain(row.reason, "prose" * bool(row.reason)),
    "bytes seen": lambda row: _count(row.bytes_seen), "params": lambda row: _count(row.params),
    "corpus": lambda row: plain(row.corpus), "device": lambda row: plain(row.device),
    "dtype": lambda row: plain(row.dtype), "cell": lambda row: plain(row.cell_id, "cell"),
}
NUMERIC = ("row", "value", "T", "B", "seed", "limit", "bytes seen", "params")
LIFTED = ("bytes seen", "params", "corpus", "device", "dtype")


def row_table(rows: Sequence[CitedRow]) -> Table:
    """Every row, whole; what is the same in all of them, or empty, stands once above."""
    columns = {name: [cell(row) for row in rows] for name, cell in ROW_COLUMNS.items()}
    same = {name: texts.pop() for name in LIFTED if len(texts := {cell.text for cell in columns[name]}) == 1}
    kept = [name for name in columns if name not in same]
    table = [list(line) for line in zip(*(columns[name] for name in kept), strict=True)]
    caption = "In every row: " + ", ".join(f"{name} {words}" for name, words in same.items() if words)
    return Table("rows", kept, table, frozenset(kept.index(name) for name in NUMERIC if name in kept),
                 caption if any(same.values()) else "", ids=[row.anchor for row in rows],
                 folded=f"Show {format_number(len(rows), 'row')}")


def _count(value: int | None) -> TableCell:
    return plain("" if value is None else value, order=value)


def _value_cells(row: Row) -> tuple[TableCell, TableCell]:
    if row.value is None:
        return plain("–", "empty", order=LAST), plain("")
    value = format_value(row.value, row.unit, row.ci_low, row.ci_high)
    return plain(value, order=row.value), plain(exactly(Estimate(row.value, row.ci_low, row.ci_high, 1), row.unit))


def _limit(row: Row) -> TableCell:
    if row.limit is None:
        return plain("")
    kind = f" {row.limit_kind}" if row.limit_kind else ""
    return plain(format_value(row.limit, row.unit) + kind, order=row.limit)
