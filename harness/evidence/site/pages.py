"""The pages of a site: a start, one for each suite, verdicts, runs; styles and scripts beside them. (no torch)

Nothing is fetched but files of the same folder, so that it works from a disk; the plotting library is there once.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from xml.etree.ElementTree import Element

from ...errors import FileError
from ...quantities import format_number
from ...reading import Run
from ...store import Row
from ...writing import write_atomically
from ..claims.verdict import TOLD
from ..drawing import vega
from ..drawing.markup import add, element, to_html
from ..drawing.palette import CONFIG
from ..format import format_value
from ..report.compose import config_files, flat
from ..report.document import Code, Table, TableCell, TextSpan, plain
from ..report.header import machine
from ..report.html import empty_page, json_text, static, style_sheet, write_block, write_table
from ..report.verdicts import MEANING, badge, claim_cell, justification, rank
from .ranking import FEW, colours_of, conditions_of, heading, write_ranking
from .site import Site

HEADLINES = ("bits_per_byte", "tokens_per_s", "peak_bytes", "state_bytes_per_sequence")
FOREMOST = 3                                # places that the start names


def write_site(site: Site, directory: Path) -> list[Path]:
    """Write every page. Raises FileError for a folder that holds anything else."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        others = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise FileError(f"cannot write {directory}: {error.strerror}") from None
    if others and "site.css" not in others:
        raise FileError(f"{directory} holds other files ({min(others)}); name another folder with -o")
    texts = dict(pages(site))
    for name, text in texts.items():
        write_atomically(directory / name, text)
    for name in others:                     # of a suite that is no more
        if name.startswith("suite-") and name not in texts:
            (directory / name).unlink()
    return [directory / name for name in texts]


def pages(site: Site) -> Iterator[tuple[str, str]]:
    """Every file by its name."""
    yield "site.css", style_sheet() + own("site.css")
    yield "site.js", own("site.js") + static("report.js")
    if vega.available():
        yield "plots.js", f"{vega.script()}\n{static('plots.js')}"
    yield "index.html", page(site, "Overview", start(site))
    for suite in site.suites:
        yield site.page(suite), page(site, suite, suite_page(site, suite))
    if site.verdicts:
        yield "verdicts.html", page(site, "Verdicts", verdict_page(site))
    yield "runs.html", page(site, "Runs", run_page(site))


def own(name: str) -> str:
    return files("harness.evidence.site").joinpath(name).read_text(encoding="utf-8")


def page(site: Site, title: str, main: Element) -> str:
    """A whole page around what it says."""
    made, head, body = empty_page(f"{title} · {site.title}")
    add(head, "link", rel="stylesheet", href="site.css")
    add(body, "a", "Skip to the content", class_="skip", href="#content")
    header = add(body, "header")
    bar = add(header, "nav", aria_label="Pages")
    add(bar, "a", site.title, href="index.html", class_="brand")
    for name, words in _navigation(site):
        add(bar, "a", words, href=name, aria_current="page" if words == title else None)
    add(bar, "button", "Theme: auto", type="button", id="theme", hidden="hidden")
    main.set("id", "content")
    body.append(main)
    if any(one.get("class") == "plot" for one in main.iter("div")):
        add(body, "script", json_text(CONFIG), type="application/json", id="plot-config")
        add(body, "script", src="plots.js")
    add(body, "script", src="site.js")
    return "<!doctype html>\n" + to_html(made) + "\n"


def _navigation(site: Site) -> Iterator[tuple[str, str]]:
    yield from ((site.page(suite), suite) for suite in site.suites)
    if site.verdicts:
        yield "verdicts.html", "Verdicts"
    yield "runs.html", "Runs"


def start(site: Site) -> Element:
    """What there is: the foremost of the headline rankings, and how to read them."""
    main = element("main")
    add(main, "h1", site.title)
    machines = {words for run in site.runs for place in run.environments.values() if (words := machine(place))}
    systems = {row.label for _, row in site.rows if row.plugin}
    told = [format_number(len(site.runs), "run"), format_number(len(machines), "machine"),
            format_number(len(systems), "system"), format_number(len(site.boards), "ranking"),
            format_number(len(site.rows), "row")]
    add(main, "p", " · ".join(told), class_="intro")
    if not vega.available():
        add(main, "p", vega.MISSING, class_="missing")
    add(main, "p", "Systems share a ranking only where all else is equal: text, tokenizer, size, training text, "
        "precision, device, and for times the machine. A place counts who is ahead beyond doubt: where intervals "
        "overlap, it is shared. Every number links to itself, for good.", class_="lead")
    cards = add(main, "div", class_="cards")
    chosen = [board for metric in HEADLINES for board in site.boards
              if board.metric == metric and len({entry.label for entry in board.entries}) >= FEW]
    for board in chosen:
        link = f"{site.page(board.suite)}#{board.name}"
        card = add(cards, "article")
        add(add(card, "h2"), "a", heading(board), href=link)
        longest = board.lengths[-1]
        facts = [board.suite, *conditions_of(board).values(), f"T={longest}" * bool(longest)]
        add(card, "p", " · ".join(filter(None, facts)), class_="intro")
        listed = add(card, "ol")
        for place, entry in board.ranked()[:FOREMOST]:
            found = entry.places[longest].estimate if longest in entry.places else None
            item = add(listed, "li")
            add(item, "span", "–" if place is None else str(place), class_="place")
            add(item, "span", entry.label, class_="who")
            add(item, "b", format_value(found.value, board.unit, found.low, found.high) if found else "–")
        if len(board.entries) > FOREMOST:
            add(card, "a", f"all {len(board.entries)}", href=link, class_="more")
    return main


def suite_page(site: Site, suite: str) -> Element:
    """The rankings of a suite, then its rows that stand in none."""
    main = element("main")
    add(main, "h1", suite)
    spec = site.registry.suites.get(suite)
    add(main, "p", spec.summary if spec else "", class_="intro")
    boards = [board for board in site.boards if board.suite == suite]
    if boards:
        _write_filters(main, [conditions_of(board) | {"metric": heading(board)} for board in boards])
    colours = colours_of(site.boards)
    for board in boards:
        write_ranking(main, site, board, colours)
    rest = [(run, row) for run, row in site.rows if row.suite == suite and id(row) not in site.ranked]
    if rest:
        section = add(main, "section", id="others")
        add(section, "h2", "Rows outside of rankings")
        add(section, "p", "What failed, points of curves, ratios to another system, and numbers that are better "
            "neither large nor small.", class_="intro")
        write_table(section, other_rows(site, rest), "others-table")
    return main


def _write_filters(main: Element, facts: Sequence[dict[str, str]]) -> None:
    """Boxes that a script fills with life: a word for systems, a choice for each condition that varies."""
    form = add(main, "form", class_="filters", hidden="hidden", role="search")
    add(add(form, "label", "System "), "input", type="search", name="system", placeholder="part of its name")
    for name in ("metric", "corpus", "size"):
        values = dict.fromkeys(one[name] for one in facts if one.get(name))
        if len(values) > 1:
            choice = add(add(form, "label", f"{name.capitalize()} "), "select", name=name)
            add(choice, "option", "all", value="")
            for value in values:
                add(choice, "option", value, value=value)
    add(form, "output", format_number(len(facts), "ranking"))


def other_rows(site: Site, rows: Sequence[tuple[Run, Row]]) -> Table:
    columns = ["metric", "system", "value", "T", "B", "phase", "seed", "status", "reason", "run", "cell"]
    lines = [[
        plain(row.metric or "whole cell", href=f"#{site.anchors[id(row)]}"), plain(row.label),
        plain("–" if row.value is None else format_value(row.value, row.unit, row.ci_low, row.ci_high),
              order=row.value),
        plain(row.seq_len or "", order=row.seq_len), plain(row.batch_size or "", order=row.batch_size),
        plain(row.phase), plain("" if row.seed is None else row.seed, order=row.seed),
        plain(row.status, "" if row.status == "ok" else "failed"), plain(row.reason, "prose" * bool(row.reason)),
        plain(run.name), plain(row.cell_id, "cell")] for run, row in rows]
    return Table("rows", columns, lines, frozenset({2, 3, 4, 6}), ids=[site.anchors[id(row)] for _, row in rows],
                 folded=f"Show {format_number(len(rows), 'row')}")


def verdict_page(site: Site) -> Element:
    """Every verdict with what it rests on, the clear ones first."""
    main = element("main")
    add(main, "h1", "Claims and verdicts")
    add(main, "p", MEANING, class_="intro")
    ranked = sorted(site.verdicts, key=lambda one: rank(one[1]))
    lines = [[plain(TOLD.get(one.verdict, one.verdict), badge(one.verdict), order=rank(one)), claim_cell(one),
              TableCell(tuple(justification(one))), TableCell(tuple(
                  TextSpan(f"{cell} ", "cell", site.link(site.cells[cell]) if cell in site.cells else None)
                  for cell in one.cells)), plain(run.name)] for run, one in ranked]
    write_table(main, Table("verdicts", ["verdict", "claim", "rule, what was measured", "cells", "run"], lines,
                            ids=[f"{one.claim}.{one.scale}.{number}" for number, (_, one) in enumerate(ranked, 1)]),
                "verdicts")
    return main


def run_page(site: Site) -> Element:
    """How every run came about: its commands, then its machines with their versions and limits."""
    main = element("main")
    add(main, "h1", "Runs, and how to repeat them")
    for number, run in enumerate(site.runs, 1):
        section = add(main, "section", id=f"run-{number}")
        add(section, "h2", run.name)
        rows = sum(one is run for one, _ in site.rows)
        created = str(run.manifest.get("created", ""))
        cells = f"{format_number(len(run.results), 'cell')}, {format_number(rows, 'row')}"
        add(section, "p", " · ".join(filter(None, [created, cells])), class_="intro")
        commands = dict.fromkeys(shlex.join(command["argv"]) for command in run.manifest.get("commands", ()))
        if commands:
            write_block(section, Code("\n".join(commands)), f"commands-{number}")
        for name, digest, text in config_files(run):
            add(section, "p", f"{name} of --config, sha256 {digest}", class_="intro")
            write_block(section, Code(text.strip("\n"), "toml"), f"config-{number}-{digest[:8]}")
        for index, (place, facts) in enumerate(run.environments.items()):
            known = {**facts, "limits": run.manifest.get("limits", {}).get(place, {})}
            lines = [[plain(name), plain(value)] for name, value in flat(known) if value not in ("", None)]
            write_table(section, Table(f"environment {place}", ["fact", "value"], lines,
                                       folded=machine(facts) or place), f"environment-{number}-{index}")
    return main
