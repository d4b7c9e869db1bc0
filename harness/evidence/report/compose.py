"""The report of one or several runs: what it says and in which order; html and markdown write it down. (no torch)

    summary      what is decided against the baseline, the headline numbers, what did not finish
    verdicts     where there are any: each claim with its rule, number, source, failure and cells
    comparison   every plugin beside the baseline, metric by metric
    ladders      where there are rungs: equal amounts, laws, multipliers
    a section    per suite: its figures, its tables
    audits       what was audited, what failed where, what else gave no number
    rows         every row; every number above links to its own
    repeat       commands, machine, versions and limits
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...foreign_load import busy_line
from ...quantities import format_number
from ...reading import Run
from ...registry import Registry
from ..claims.verdict import Verdict
from ..drawing.palette import SERIES
from ..tables.pivot import metric_name
from .cases import task_blocks
from .citation import CitedRow, choose_shown, cited_pivot, cited_rows, labels_of, read_runs
from .document import Block, Code, Document, Paragraph, Section, Table, TableCell, TextSpan, plain
from .figures import (
    Styles,
    case_figures,
    circuit_figures,
    cite,
    memory_figures,
    numbered_figures,
    swept_figures,
)
from .header import facts, question
from .ladders import ladder_section
from .quality import quality_figures
from .tables import audit_table, breakdown_tables, failure_table, headline_table, pivot_tables, row_table
from .verdicts import verdict_counts, verdict_section
from .versus import Versus, asked_for, beside_baseline
from .versus_tables import comparison_section, takeaway_blocks

MOST_LINES = 500                            # of a table other than that of the rows


def build(directories: Sequence[Path], registry: Registry, verdicts: Sequence[Verdict] = (), title: str = "",
          ) -> Document:
    """The report of results directories. Raises FileError where one holds no results."""
    runs = read_runs(directories, registry)
    labels = labels_of(runs)
    rows = cited_rows(runs, labels)
    shown = choose_shown(rows, {cell for verdict in verdicts for cell in verdict.cells})
    measured = dict.fromkeys(row.suite for row in rows)
    suites = sorted(measured, key=[*registry.suites, *measured].index)
    asked = {label: labels.of(name) for run in runs for label, name in asked_for(run).items()}
    styles = Styles(asked | {labels.of(label): name for label, name in asked.items()})
    for row in rows:
        styles.of(row.label)
    pairs = [pair for run in runs for pair in beside_baseline(run, registry)]
    named = [replace(pair, base=labels.of(pair.base), plugin=labels.of(pair.plugin)) for pair in pairs]
    busy = [f"{run.name}: " * (len(runs) > 1) + line for run in runs
            if (line := busy_line(run.results, run.environments))]
    sections = [summary(rows, suites, verdicts, named, [*busy, *labels.notes]),
                *([verdict_section(rows, verdicts)] if verdicts else []),
                *([comparison_section(named)] if named else []),
                *([ladders] if (ladders := ladder_section(runs, pairs, styles, labels.of)) else [])]
    for number, suite in enumerate(suites):
        sections.append(suite_section(number, suite, [row for row in rows if row.suite == suite], registry, styles))
    sections += [audits(rows), row_section(rows, shown),
                 Section("repeat", "Environment and repetition", blocks=list(repetition(runs)))]
    for section in sections:
        section.blocks = [coloured(shortened(block), styles) for block in section.blocks]
    return Document(title or " + ".join(run.name for run in runs), question(named, suites, verdicts),
                    list(facts(runs, rows)), sections, runs, pairs, verdicts, shown, len(rows) - len(shown))


def row_section(rows: Sequence[CitedRow], shown: Sequence[CitedRow]) -> Section:
    """The rows, folded; where they are many, the first of each kind and what failed."""
    intro = f"{format_number(len(rows), 'row')}, in full." if len(rows) == len(shown) else (
        f"{len(shown)} of {len(rows)} rows: those of verdicts, the first of each kind, what failed. The other "
        f"{len(rows) - len(shown)} stand in table.csv and table.parquet of the run.")
    intro += " A mean links to the first of its rows; hovering over it names them all."
    return Section("rows", "All rows", intro, [row_table(shown)] if shown else [])


def shortened(block: Block) -> Block:
    """A table of at most MOST_LINES lines, which says what it leaves out."""
    if not isinstance(block, Table) or len(block.rows) <= MOST_LINES or block.name == "rows":
        return block
    note = f"{MOST_LINES} of {len(block.rows)} lines; table.csv of the run holds every row"
    return replace(block, rows=block.rows[:MOST_LINES], notes=[note, *block.notes])


def coloured(block: Block, styles: Styles) -> Block:
    """A table whose plugins carry the colour that they have in the figures."""
    if not isinstance(block, Table):
        return block
    return replace(block, rows=[[_coloured_cell(cell, styles) for cell in row] for row in block.rows])


def _coloured_cell(cell: TableCell, styles: Styles) -> TableCell:
    span = cell.spans[0] if len(cell.spans) == 1 else None
    if span is None or span.kind or span.href or (number := styles.known(span.text)) is None:
        return cell
    return plain(span.text, f"plugin s{number % len(SERIES)}", order=cell.order)


def summary(rows: Sequence[CitedRow], suites: Sequence[str], verdicts: Sequence[Verdict], pairs: Sequence[Versus],
            notes: Sequence[str] = ()) -> Section:
    """What is to be known first; `notes` are of the machine and of the labels."""
    section = Section("summary", "Summary", blocks=list(takeaway_blocks(pairs)))
    if verdicts:
        section.blocks.append(verdict_counts(verdicts))
    counts = {status: [row for row in rows if row.status == status] for status in dict.fromkeys(r.status for r in rows)}
    spans = [TextSpan(f"{len(own)} row{'s' * (len(own) != 1)} {status}",
                      f"badge {'ok' if status == 'ok' else 'failed'}", cite(own)[0]) for status, own in counts.items()]
    section.blocks.append(Paragraph(tuple(spans) or (TextSpan("There is no row: nothing was measured."),)))
    if headline := headline_table(rows, suites):
        section.blocks.append(headline)
    section.blocks += [Paragraph((TextSpan(note, "muted"),)) for note in notes]
    return section


def suite_section(number: int, name: str, rows: Sequence[CitedRow], registry: Registry, styles: Styles) -> Section:
    """Everything that one suite measured."""
    suite = registry.suites.get(name)
    primary = suite.primary if suite else tuple(dict.fromkeys(metric_name(row) for row in rows if row.metric))
    pivot = cited_pivot(rows, primary)
    section = Section(f"suite-{number}", name, suite.summary if suite else "")
    for figures in (
        quality_figures(rows, styles), memory_figures(rows, styles), swept_figures(pivot, styles),
        circuit_figures(rows, primary, styles), numbered_figures(rows, styles), case_figures(pivot, styles),
    ):
        section.blocks += figures
    section.blocks += task_blocks(rows, styles)
    section.blocks += [*pivot_tables(pivot, name), *breakdown_tables(rows, name)]
    return section


def audits(rows: Sequence[CitedRow]) -> Section:
    section = Section("audits", "Audits and failures", "No score without a passed audit of the very weights scored.")
    section.blocks += [table for table in (audit_table(rows), failure_table(rows)) if table]
    if not section.blocks:
        section.blocks.append(Paragraph((TextSpan("No audit was run, and nothing failed."),)))
    return section


def repetition(runs: Sequence[Run]) -> Iterator[Block]:
    """How each run came about: its commands with the files of --config, then machine, versions, measured limits."""
    for run in runs:
        if len(runs) > 1:
            yield Paragraph((TextSpan(run.name, "strong"),))
        commands = [shlex.join(command["argv"]) for command in run.manifest.get("commands", ())]
        if commands:
            yield Code("\n".join(dict.fromkeys(commands)))
        for name, digest, text in config_files(run):
            yield Paragraph((TextSpan(f"{name} of --config, sha256 {digest}", "muted"),))
            yield Code(text.strip("\n"), "toml")
        for place, environment in run.environments.items():
            told = {**environment, "harness": run.manifest.get("harness", ""),
                    "limits": run.manifest.get("limits", {}).get(place, {})}
            lines = [[plain(key), plain(value)] for key, value in flat(told) if value not in ("", None)]
            yield Table(f"environment {run.name} {place}", ["fact", "value"], lines)


def config_files(run: Run) -> list[tuple[str, str, str]]:
    """Name, digest and text of every file that gave a command its options, each once."""
    records = [command.get("config", {}) for command in run.manifest.get("commands", ())]
    return list(dict.fromkeys((one["name"], one.get("sha256", ""), one.get("text", ""))
                              for one in records if "name" in one))


def flat(facts: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """A nest of facts as lines: "packages torch" -> "2.13.0"."""
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key} ")
        elif isinstance(value, list | tuple):
            yield before + key, ", ".join(map(str, value))
        else:
            yield before + key, "" if value is None else str(value)
