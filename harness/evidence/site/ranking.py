"""A ranking as a table and a plot: places, systems, their numbers, every row under its permanent link. (no torch)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from ...labels import ShortLabels
from ...store import Row
from ..drawing import vega
from ..drawing.drawing import Drawing
from ..drawing.grids import dots
from ..drawing.lines import chart
from ..drawing.markup import add
from ..drawing.palette import SERIES
from ..drawing.points import Label, Point, Series
from ..format import format_value
from ..report.figures import axis_words, exactly
from ..report.header import machine
from ..report.html import write_plot
from .audits import PASSED, audit_of
from .boards import Board, Entry, told
from .site import Site

FEW = 2                                     # entries from which a ranking has a plot
BESIDE = 1                                  # lengths up to which there is room for it beside the table


def heading(board: Board) -> str:
    """ "tokens/s, decode"."""
    metric = board.metric.removesuffix("_s") if board.unit == "s" else board.metric
    words = metric.replace("_per_", "/").replace("_", " ")
    return ", ".join(filter(None, [words, board.phase]))


def names_of(board: Board) -> list[str]:
    """Every entry by its label, with its run where a label stands there twice."""
    labels = [entry.label for entry in board.entries]
    short = ShortLabels(labels)
    return [short.of(entry.label) + f" · {entry.run.name}" * (labels.count(entry.label) > 1) for entry in board.entries]


def conditions_of(board: Board) -> dict[str, str]:
    return told(board, board.entries[0].run)


def write_ranking(parent: Element, site: Site, board: Board, colours: dict[str, int]) -> None:
    """The section of a ranking: conditions, table, plot, and who has no number."""
    facts = conditions_of(board)
    made = add(parent, "section", id=board.name, class_="board", data_facts=" ".join(facts.values()).lower(),
               data_corpus=facts.get("corpus", ""), data_size=facts.get("size", ""), data_metric=heading(board))
    title = add(made, "h3")
    add(title, "a", heading(board), href=f"#{board.name}", class_="permanent")
    what = f"{board.better} is better" + f", in {board.unit}" * (board.unit not in ("", "s", "B"))
    add(made, "p", what, class_="intro")
    listed = add(made, "ul", class_="facts")
    for name, value in facts.items():
        item = add(listed, "li")
        add(item, "span", name)
        add(item, "b", value)
    body = add(made, "div", class_="split wide" if len(board.lengths) > BESIDE else "split")
    _write_table(body, site, board, colours)
    if len(board.entries) >= FEW and vega.available():
        write_plot(add(body, "figure"), plot_of(board, colours))
    if board.failed:
        line = add(made, "p", "Without a number here: ", class_="below")
        for row in {(row.label, row.status): row for row in reversed(board.failed)}.values():
            add(line, "a", f"{row.label} ({row.status})", href=site.link(row), title=row.reason or None).tail = " "


def _write_table(parent: Element, site: Site, board: Board, colours: dict[str, int]) -> None:
    scroll = add(parent, "div", class_="scroll", tabindex=0, role="region", aria_label=f"Ranking: {heading(board)}")
    table = add(scroll, "table")
    head = add(add(table, "thead"), "tr")
    lengths = board.lengths
    columns = [f"T={length}" if length else "value" for length in lengths]
    for words in ("#", "system", *columns, "audited", "params", "run"):
        numeric = words in ("#", "params", *columns)
        cell = add(head, "th", scope="col", class_="number" if numeric else None)
        add(cell, "button", words, type="button")
    body = add(table, "tbody")
    short = ShortLabels(entry.label for entry in board.entries)
    for place, entry in board.ranked():
        line = add(body, "tr", data_system=entry.label.lower())
        add(line, "td", "–" if place is None else str(place), class_="number place",
            data_order="inf" if place is None else str(place))
        add(add(line, "td"), "span", short.of(entry.label), class_=f"plugin s{colours[entry.label] % len(SERIES)}",
            title=entry.label if entry.label in short.names else None)
        for length in lengths:
            _write_number(line, site, entry, length, board.unit)
        verdict, words, row = audit_of(entry.readings)
        href = site.link(row) if row and id(row) in site.anchors else None
        cell = add(line, "td", class_="audited")
        add(cell, "a" if href else "span", verdict, class_=verdict, href=href, title=words or None)
        add(cell, "small", words if verdict == PASSED else "")
        add(line, "td", format_value(entry.params) if entry.params else "", class_="number",
            data_order=None if entry.params is None else str(entry.params))
        add(add(line, "td"), "a", entry.run.name, href=f"runs.html#{run_anchor(site, entry)}",
            title=", ".join(_machines(entry)))


def run_anchor(site: Site, entry: Entry) -> str:
    return f"run-{[run is entry.run for run in site.runs].index(True) + 1}"


def _machines(entry: Entry) -> list[str]:
    places = dict.fromkeys(reading.result.environment for reading in entry.readings)
    return [machine(entry.run.environments.get(place, {})) or place for place in places]


def _write_number(line: Element, site: Site, entry: Entry, length: int, unit: str) -> None:
    """The number at a length, and a link to every row that it is the mean of."""
    place = entry.places.get(length)
    estimate = place.estimate if place else None
    cell = add(line, "td", class_="number", data_order="inf" if estimate is None else repr(float(estimate.value)))
    if place is None or estimate is None:
        cell.text = "–"
        return
    value = format_value(estimate.value, unit, estimate.low, estimate.high)
    if len(place.rows) == 1:
        anchor = site.anchors[id(place.rows[0])]
        add(cell, "a", value, id=anchor, href=f"#{anchor}", title=_words(place.rows[0]))
        return
    add(cell, "span", value, title=f"{exactly(estimate, unit)}, of {len(place.rows)} measurements")
    seeds = add(cell, "span", class_="seeds")
    for row in sorted(place.rows, key=lambda row: (row.seed or 0, row.started_at)):
        anchor = site.anchors[id(row)]
        add(seeds, "a", str(row.seed or 0), id=anchor, href=f"#{anchor}", title=_words(row))


def _words(row: Row) -> str:
    value = "" if row.value is None else f"{row.value:.6g} {row.unit}".strip()
    ends = f" [{row.ci_low:.6g}, {row.ci_high:.6g}]" if row.ci_low is not None and row.ci_high is not None else ""
    seed = f"seed {row.seed}" if row.seed is not None else ""
    return "; ".join(filter(None, [value + ends, seed, row.reason, f"cell {row.cell_id}", row.started_at]))


def plot_of(board: Board, colours: dict[str, int]) -> Drawing:
    """Lines over lengths where there are several, else dots on one axis."""
    rows = [row for entry in board.entries for row in entry.rows]
    y = Label(axis_words(board.unit, rows), board.unit)
    named = dict(zip(map(id, board.entries), names_of(board), strict=True))
    ranked = [entry for _, entry in board.ranked()]
    if len(board.lengths) > 1:
        series = [Series(named[id(entry)], list(_points(entry, board.unit)), colours[entry.label]) for entry in ranked]
        return chart(series, title=heading(board), x=Label("length in tokens"), y=y)
    lone = [(named[id(entry)], colours[entry.label], next(_points(entry, board.unit))) for entry in ranked]
    return dots(lone, title=heading(board), label=Label(y.words, y.unit, log=False))


def _points(entry: Entry, unit: str) -> Iterator[Point]:
    for length, place in sorted(entry.places.items()):
        if (found := place.estimate) is not None:
            title = f"T={length}: " * bool(length) + exactly(found, unit)
            yield Point(length, found.value, found.low, found.high, title=title)


def colours_of(boards: Sequence[Board]) -> dict[str, int]:
    """The number of the colour of every system: those that stand in most rankings differ from each other."""
    count = Counter(entry.label for board in boards for entry in board.entries)
    return {label: number for number, (label, _) in enumerate(count.most_common())}
