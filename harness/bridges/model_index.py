"""The scores of a run as `model-index`, which a hub reads from the head of a model card. (no torch)

    MODEL/README.md     a card for each model: its head in YAML, then its scores as a table
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..evidence.format import format_value
from ..quantities import format_number
from ..reading import Run
from ..store import Row, finite
from ..suite import Suite
from ..version import __version__
from .records import OWNER, Model, models_of, setting_of, setting_text, write_files

TASK = {"type": "text-generation", "name": "Language modelling"}
LONGEST_CELL = 300                          # characters of a reason in a table


def export_model_index(run: Run, directory: Path, suites: Mapping[str, Suite]) -> str:
    """Write a card for each model, with the primary metrics of each suite. Returns a line that says what there is.
    Raises FileError."""
    models = [_headlines(model, suites) for model in models_of(run)]
    write_files(directory, {f"{model.name}/README.md": card_of(run, model) for model in models})
    scores = sum(len(model.scores) for model in models)
    return f"{format_number(len(models), 'card')} with {format_number(scores, 'score')}"


def _headlines(model: Model, suites: Mapping[str, Suite]) -> Model:
    """What failed, and the metrics that a suite's table begins with: all of a suite that is not known here."""
    kept = (row for row in model.rows if row.status != "ok" or row.suite not in suites
            or row.metric in suites[row.suite].primary)
    return replace(model, rows=tuple(kept))


def card_of(run: Run, model: Model) -> str:
    """A model card: the head that the hub reads, then what a reader does."""
    family = next((row.family for row in model.rows if row.family), "unknown")
    head = {"library_name": OWNER, "tags": [OWNER, f"family:{family}"],
            "model-index": [{"name": model.label, "results": results_of(model)}] if model.scores else []}
    failed = [row for row in model.rows if row.status != "ok"]
    body = [f"# {model.label}", "",
            f"Measured by {OWNER} {__version__}, run `{run.manifest.get('run_id', '')}`; intervals are of 95 %.", "",
            "| suite | metric | setting | value |", "|---|---|---|---|",
            *(_line(row.suite, row.metric, setting_text(row), _value(row)) for row in model.scores)]
    if failed:
        body += ["", "What could not be measured:", "",
                 *(f"- {row.suite} {row.metric} ({setting_text(row)}): {row.status}, {row.reason[:LONGEST_CELL]}"
                   for row in failed)]
    return "---\n" + "\n".join(yaml_lines(head)) + "\n---\n" + "\n".join(body) + "\n"


def results_of(model: Model) -> list[dict[str, Any]]:
    """Entries of `results`: a text or, for what reads none, the suite, with its metrics."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in model.scores:
        found.setdefault((row.corpus or row.suite, row.corpus_sha256), []).append(row)
    return [{"task": dict(TASK),
             "dataset": {"type": name, "name": name, **({"revision": digest} if digest else {})},
             "metrics": [_metric(row) for row in rows]} for (name, digest), rows in found.items()]


def _metric(row: Row) -> dict[str, Any]:
    interval = {name: value for name in ("ci_low", "ci_high") if (value := finite(getattr(row, name))) is not None}
    return {"type": row.metric, "value": row.value,
            "name": f"{row.suite} {row.metric} ({setting_text(row)})",
            "args": {"unit": row.unit, "better": row.better, **setting_of(row), **interval}}


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(row: Row) -> str:
    return format_value(row.value or 0.0, row.unit, row.ci_low, row.ci_high)


def yaml_lines(value: Any, depth: int = 0) -> Iterator[str]:
    """A nest of dicts and lists as YAML, texts in quotes: a text of JSON is one of YAML."""
    pad = "  " * depth
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        start = f"{pad}{key}:" if isinstance(value, dict) else f"{pad}-"
        if isinstance(item, dict | list) and item:
            yield start
            yield from yaml_lines(item, depth + 1)
        else:
            yield f"{start} {_scalar(item)}"


def _scalar(value: Any) -> str:
    """A number of YAML 1.1 has a point before its exponent."""
    if isinstance(value, float) and math.isfinite(value):
        mantissa, exponent, power = repr(value).partition("e")
        return mantissa + ".0" * ("." not in mantissa) + exponent + power
    return json.dumps(finite(value), ensure_ascii=False)
