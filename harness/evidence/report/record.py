"""A report as one JSON document: everything that a page says, numbers as numbers. (no torch)"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from ...store import SCHEMA, Row, finite
from .document import Document, Figure, Section, Table
from .versus import Versus

ROWS = "rows"                               # the section whose rows stand as numbers


def render_json(document: Document) -> str:
    """The document on one line; NaN and infinity are null."""
    return json.dumps(finite(record_of(document)), ensure_ascii=False)


def record_of(document: Document) -> dict[str, Any]:
    """Verdicts, comparisons and rows in full; tables and figures as the page has them, their cells as texts."""
    return {
        "kind": "report", "schema": SCHEMA, "title": document.title, "question": document.question,
        "facts": list(document.facts), "takeaway": list(document.takeaways),
        "verdicts": [{**asdict(verdict), "cells": verdict.cells} for verdict in document.verdicts],
        "comparison": [_comparison(pair) for pair in document.pairs],
        "sections": [_section(section) for section in document.sections],
        "rows": [_filled(row) for row in document.rows], "rows_left_out": document.left_out,
        "runs": [{"name": run.name, "directory": str(run.directory or ""),
                  **{key: run.manifest.get(key) for key in ("run_id", "created", "harness", "commands",
                                                           "environments", "limits")}} for run in document.runs],
    }


def _comparison(pair: Versus) -> dict[str, Any]:
    return {
        "run": pair.run, "base": pair.base, "plugin": pair.plugin, "trouble": pair.trouble,
        "metrics": [{**asdict(row), "ratio": row.ratio} for row in pair.rows],
        "growth": [_filled(row) for row in pair.growth],
        "tuning": [{"a": asdict(a), "b": asdict(b)} for a, b in pair.budgets],
    }


def _section(section: Section) -> dict[str, Any]:
    tables = [block for block in section.blocks if isinstance(block, Table) and section.name != ROWS]
    return {
        "name": section.name, "title": section.title, "intro": section.intro,
        "tables": [{"name": table.name, "caption": table.caption, "headings": list(table.headings),
                    "rows": [[cell.text for cell in row] for row in table.rows], "notes": list(table.notes)}
                   for table in tables],
        "figures": [{"name": block.name, "caption": block.caption} for block in section.blocks
                    if isinstance(block, Figure)],
    }


def _filled(row: Row) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if value not in (None, "") and key != "shown"}
