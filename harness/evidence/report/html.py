"""A report as one HTML file: no network, no fonts, its plotting library once within it; for screen, keys and paper.
(no torch)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib.resources import files
from xml.etree.ElementTree import Element

from ...quantities import format_number
from ..drawing import vega
from ..drawing.drawing import Drawing
from ..drawing.markup import add, append_text, element, to_html
from ..drawing.palette import CONFIG, SERIES, rules
from .document import Block, Code, Document, Figure, Paragraph, Section, Table, TableCell, TextSpan

LONG = 8                                    # rows from which a table has a filter
ICON = "data:,"                             # none, so that a browser asks nobody for one


def render_html(document: Document) -> str:
    """The whole page."""
    page, head, body = empty_page(f"{document.title} · report")
    add(head, "style", style_sheet())
    add(body, "a", "Skip to the summary", class_="skip", href="#summary")
    masthead(body, document)
    main = add(body, "main")
    for section in document.sections:
        write_section(main, section)
    add_scripts(body)
    return "<!doctype html>\n" + to_html(page) + "\n"


def empty_page(title: str) -> tuple[Element, Element, Element]:
    """A page, its head and its empty body."""
    made = element("html", lang="en")
    head, body = add(made, "head"), add(made, "body")
    add(head, "meta", charset="utf-8")
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "title", title)
    add(head, "link", rel="icon", href=ICON)
    return made, head, body


def style_sheet() -> str:
    """The rules of a page: its own, those of its plots, and the dot before a plugin's name in a table, in the colour
    that it has in the plots."""
    names = (f".plugin.s{number}::before{{color:{light_dark(*pair)}}}" for number, pair in enumerate(SERIES))
    return "\n".join([static("report.css"), rules(".plot svg", light_dark), *names])


def light_dark(white: str, black: str) -> str:
    return f"light-dark({white},{black})"


def add_scripts(body: Element) -> None:
    """The scripts of a page; that of the plotting library where there is a plot."""
    if any("plot" in one.get("class", "").split() for one in body.iter("div")):
        add(body, "script", json_text(CONFIG), type="application/json", id="plot-config")
        add(body, "script", vega.script(), id="plotting-library")
        add(body, "script", static("plots.js"))
    add(body, "script", static("report.js"))


def json_text(value: object) -> str:
    """JSON that ends no script element, whatever it holds."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def static(name: str) -> str:
    return files("harness.evidence.report").joinpath(name).read_text(encoding="utf-8")


def masthead(body: Element, document: Document) -> None:
    header = add(body, "header")
    title = add(header, "div", class_="title")
    add(title, "h1", document.title)
    add(title, "p", document.question, class_="question")
    add(title, "p", " · ".join(document.facts))
    if not vega.available():
        add(title, "p", vega.MISSING, class_="missing")
    bar = add(header, "nav", aria_label="Sections")
    for section in document.sections:
        add(bar, "a", section.title, href=f"#{section.name}")
    add(bar, "button", "Theme: auto", type="button", id="theme", hidden="hidden")


def write_section(main: Element, section: Section) -> None:
    made = add(main, "section", id=section.name, aria_labelledby=f"{section.name}-title")
    add(made, "h2", section.title, id=f"{section.name}-title")
    if section.intro:
        add(made, "p", section.intro, class_="intro")
    grid: Element | None = None
    for number, block in enumerate(section.blocks):
        if isinstance(block, Figure):
            if not vega.available():
                continue
            grid = add(made, "div", class_="figures") if grid is None else grid
            write_figure(grid, block, f"{section.name}-figure-{number}")
        else:
            grid = None
            write_block(made, block, f"{section.name}-{number}")


def write_block(parent: Element, block: Block, name: str) -> None:
    if isinstance(block, Table):
        write_table(parent, block, name)
    elif isinstance(block, Paragraph):
        write_spans(add(parent, "p"), block.spans)
    elif isinstance(block, Code):
        frame = add(parent, "div", class_="code")
        add(frame, "pre", block.text, id=name, tabindex=0)
        add(frame, "button", "Copy", type="button", data_copy=name, hidden="hidden")


def write_figure(grid: Element, figure: Figure, name: str) -> None:
    made = add(grid, "figure", id=name)
    write_plot(made, figure.drawing)
    if figure.drawing.choice:
        write_choice(made, figure)
    if figure.caption:
        add(made, "figcaption", figure.caption)


def write_plot(parent: Element, drawing: Drawing) -> None:
    """What a script draws, as wide as there is room."""
    holder = add(parent, "div", class_="plot")
    add(holder, "script", json_text(drawing.body), type="application/json")
    add(add(holder, "noscript"), "p", f"{drawing.title}: drawn by a script of this page")


def write_choice(made: Element, figure: Figure) -> None:
    """A box for each series of a figure that has too many to be shown at once; the first few are on."""
    frame = add(made, "fieldset")
    add(frame, "legend", f"{len(figure.drawing.choice)} series: choose what is shown")
    for one in figure.drawing.choice:
        label = add(frame, "label")
        add(label, "input", type="checkbox", value=one.name, checked="checked" if one.shown else None)
        add(label, "span", one.name, class_=f"plugin s{one.style}")


def write_spans(parent: Element, spans: Iterable[TextSpan]) -> None:
    """Text as it is; spans with a kind, a link or a title as elements."""
    for span in spans:
        if not (span.kind or span.href or span.title or span.line):
            append_text(parent, span.text)
            continue
        note = re.fullmatch(r" \[(\d+)\]", span.text) if span.kind == "note" else None
        add(parent, "a" if span.href else "sup" if note else "span", note[1] if note else span.text,
            class_=" ".join(filter(None, ["line" * span.line, span.kind])) or None, href=span.href,
            title=span.title or None)


def write_table(parent: Element, table: Table, name: str) -> None:
    """A table that scrolls by itself, with buttons to sort it and, where it is long, a filter."""
    if table.folded:
        parent = add(parent, "details")
        add(parent, "summary", table.folded)
    frame = add(parent, "div", class_="table", id=name)
    if len(table.rows) >= LONG:
        tools = add(frame, "div", class_="tools", hidden="hidden")
        label = add(tools, "label", f"Filter {table.name} ")
        add(label, "input", type="search", aria_controls=f"{name}-table", placeholder="words, all of which must occur")
        add(tools, "output", format_number(len(table.rows), "row"))
    scroll = add(frame, "div", class_="scroll", tabindex=0, role="region", aria_label=f"Table: {table.name}")
    made = add(scroll, "table", id=f"{name}-table")
    if table.caption:
        add(made, "caption", table.caption)
    head = add(add(made, "thead"), "tr")
    for column, words in enumerate(table.headings):
        heading = add(head, "th", scope="col", class_="number" if column in table.numeric else None)
        add(heading, "button", words, type="button")
    body = add(made, "tbody")
    for number, cells in enumerate(table.rows):
        row = add(body, "tr", id=table.ids[number] if table.ids else None)
        for column, cell in enumerate(cells):
            write_cell(row, cell, "number" if column in table.numeric else None)
    legend = [note for note in table.notes if not note.startswith("[")]
    for note in filter(None, [" · ".join(legend), *(note for note in table.notes if note not in legend)]):
        add(frame, "p", note, class_="below")


def write_cell(row: Element, cell: TableCell, kind: str | None) -> None:
    made = add(row, "td", class_=kind, data_order=None if cell.order is None else repr(float(cell.order)))
    write_spans(made, cell.spans)
