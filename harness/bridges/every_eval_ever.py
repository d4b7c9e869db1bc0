"""A run in the schema of Every Eval Ever (EvalEval Coalition, arXiv:2606.14516), version 0.3.0. (no torch)

    data/qllm-harness/qllm-harness/MODEL/UUID.json      a record of the schema for each model, its scores with intervals
    extension.jsonl                                     what the schema has no place for, an object a line

A score of the schema is a finite number with a direction. So failures, numbers without a direction and verdicts stand
as texts among the details of a record, and whole in `extension.jsonl`, which tells the record that each belongs to.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from ..evidence.claims.verdict import Verdict
from ..evidence.claims.verdict_file import load_verdicts
from ..protocol import PROTOCOL
from ..quantities import format_number
from ..reading import Run
from ..store import Row, finite
from ..version import __version__
from .records import OWNER, Model, filled, is_score, models_of, setting_of, setting_text, write_files

SCHEMA_VERSION = "0.3.0"
EXTENSION = "extension.jsonl"
FROM_ZERO = ("s", "B", "bits/byte", "bits/answer", "tokens/s", "tokens", "FLOP", "calls", "checks", "octaves", "trials")


def export_every_eval_ever(run: Run, directory: Path) -> str:
    """Write the records of a run. Returns a line that says what there is. Raises FileError."""
    verdicts = load_verdicts(run.directory) if run.directory else []
    files, further, scores = dict[str, str](), list[dict[str, Any]](), 0
    measured_with: dict[str, list[str]] = {verdict.name: [] for verdict in verdicts}
    for model in models_of(run):
        own = [verdict for verdict in verdicts if model.cells & {*verdict.cells}]
        record = record_of(run, model, own)
        evaluation = record["evaluation_id"]
        name = UUID(bytes=hashlib.sha256(evaluation.encode()).digest()[:16], version=4)
        files[f"data/{OWNER}/{OWNER}/{model.name}/{name}.json"] = _json(record, indent=1)
        scores += len(record["evaluation_results"])
        further += [{"kind": "fact" if row.status == "ok" else "failure", "evaluation_id": evaluation,
                     "row": filled(row)} for row in model.rows if not is_score(row)]
        for verdict in own:
            measured_with[verdict.name].append(evaluation)
    further += [{"kind": "verdict", "evaluation_ids": measured_with[verdict.name], "verdict": asdict(verdict)}
                for verdict in verdicts]
    write_files(directory, {**files, EXTENSION: "".join(map(_json, further))})
    counts = f"{format_number(len(files), 'record')} of {format_number(scores, 'score')}"
    return f"{counts}, {format_number(len(further), 'further fact')} in {EXTENSION}"


def record_of(run: Run, model: Model, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """An object of the schema: the scores of one model."""
    name, first = f"{OWNER}/{model.name}", model.rows[0]
    machine: Mapping[str, Any] = next(iter(run.environments.values()), {})
    torch = machine.get("packages", {}).get("torch", "unknown")
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{OWNER}/{name}/{_epoch(model.rows)}",
        "evaluation_timestamp": max((row.started_at for row in model.rows), default="") or "unknown",
        "retrieved_timestamp": str(int(time.time())),
        "source_metadata": {
            "source_name": f"run {run.manifest.get('run_id', '')} of {OWNER}".replace("  ", " "),
            "source_type": "evaluation_run", "source_organization_name": "unspecified",
            "evaluator_relationship": "other",
            "additional_details": _failures(model) | {
                f"claim {verdict.name}": f"{verdict.told}: {verdict.quoted}" for verdict in verdicts},
        },
        "eval_library": {"name": OWNER, "version": __version__, "additional_details": {"protocol": str(PROTOCOL)}},
        "model_info": {
            "name": model.label, "id": name, "developer": OWNER,
            "inference_engine": {"name": "PyTorch", "version": str(torch)},
            "additional_details": {
                "deployment_type": "self_deployed", "model_availability": "unknown", "selector": model.label,
                **{key: str(value) for key in ("family", "params", "code") if (value := getattr(first, key))}},
        },
        "evaluation_results": [result_of(row, number) for number, row in enumerate(model.scores)],
    }


def result_of(row: Row, number: int) -> dict[str, Any]:
    """A score: an entry of `evaluation_results`, its interval where it has one."""
    assert row.value is not None
    bounds = {"score_type": "continuous", "min_score": 0, "max_score": "Infinity"} if row.unit in FROM_ZERO else {}
    details = {**setting_of(row), **{name: value for name in ("cell_id", "params", "state_bytes", "audited", "limit",
               "limit_kind", "reason", "wall_s") if (value := finite(getattr(row, name))) not in (None, "")}}
    score: dict[str, Any] = {"score": row.value, "details": {key: str(value) for key, value in details.items()}}
    low, high = finite(row.ci_low), finite(row.ci_high)
    if low is not None and high is not None:
        score["uncertainty"] = {"confidence_interval": {"lower": low, "upper": high, "confidence_level": 0.95}}
    return {
        "evaluation_result_id": f"{row.cell_id or row.suite}-{number}", "evaluation_name": row.suite,
        **({"evaluation_timestamp": row.started_at} if row.started_at else {}),
        "source_data": {"dataset_name": row.corpus or "none", "source_type": "other", "additional_details": {
            key: value for key, value in (("sha256", row.corpus_sha256), ("tokenizer", row.tokenizer)) if value}},
        "metric_config": {
            "evaluation_description": f"{row.metric} ({setting_text(row)})", "metric_id": f"{OWNER}.{row.metric}",
            "metric_name": row.metric, "metric_unit": row.unit, "lower_is_better": row.better == "lower", **bounds},
        "score_details": score,
    }


def _failures(model: Model) -> dict[str, str]:
    """Why there is no number, by suite, metric and setting."""
    return {f"no {row.suite} {row.metric} ({setting_text(row)})": f"{row.status}: {row.reason}"
            for row in model.rows if row.status != "ok"}


def _epoch(rows: Sequence[Row]) -> int:
    """When the first of these was measured, in seconds; 0 where that is not known."""
    times = [row.started_at for row in rows if row.started_at]
    try:
        return int(datetime.fromisoformat(min(times)).timestamp()) if times else 0
    except ValueError:
        return 0


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(finite(value), indent=indent, ensure_ascii=False) + "\n"
