"""A run's scores, computed once more from the weights that it kept: which of them come again. (no torch)

A score comes again where the same weights on the same bytes give a number within the stored interval. What stands in
its way is told of each: weights that are missing or others, a plugin that is not here, another text, a failed audit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..checkpoint import Checkpoint, open_checkpoint, trained_spec
from ..errors import FileError
from ..registry import Registry
from ..selector import Selector
from ..store import CellResult, Row, Store
from ..suite import ByDocument
from .flags import RunOptions
from .identity import model_digest
from .plan import Plan, make_plan
from .request import make_request

WITHOUT_INTERVAL = 0.001                # how far a score of a single document may be off, as a share of it


@dataclass(frozen=True)
class TextScore:
    """A stored score: its cell, its row, and what the raw measurements call bits and bytes of the documents."""

    result: CellResult
    row: Row
    how: ByDocument


@dataclass(frozen=True)
class Again:
    """How a score is computed once more: the plan of its cell, the flags of that plan, and what is to be told of it."""

    plan: Plan
    options: RunOptions
    note: str = ""


@dataclass(frozen=True)
class Rescored:
    """What became of a score. `value` is None where there is no second number; `reason` says why it does not come
    again, "" where it does; `note` what was found besides."""

    score: TextScore
    value: float | None = None
    reason: str = ""
    note: str = ""

    @property
    def off(self) -> float | None:
        """Bits per byte between the two numbers."""
        return None if self.value is None or self.score.row.value is None else self.value - self.score.row.value


def text_scores(registry: Registry, results: Sequence[CellResult]) -> list[TextScore]:
    """The scores in bits of held-out bytes, in the order of the results."""
    found = []
    for result in results:
        suite = registry.suites.get(result.cell["suite"])
        if suite is None or suite.compared is None:
            continue
        for row in result.rows:
            how = suite.compared(row) if row.status == "ok" and row.value is not None else None
            if isinstance(how, ByDocument) and how.size:
                found.append(TextScore(result, row, how))
    return found


def plan_again(registry: Registry, store: Store, score: TextScore, limits: Mapping[str, Any]) -> Again:
    """Plan to score kept weights as they were scored. `limits` are flags of this machine.

    Raises HarnessError where that cannot be done here.
    """
    cell = score.result.cell
    checkpoint = kept_weights(store, score.result)
    spec = trained_spec(registry.models, checkpoint.config, checkpoint.name)
    changed = model_digest(registry, spec, cell["options"]) != checkpoint.config.code
    options = RunOptions(
        plugins=str(Selector(spec.name, checkpoint=checkpoint.name)), corpus=cell["corpus"],
        tokenizer=cell["tokenizer"], seq_len=str(cell["seq_len"]), batch_size=cell["batch_size"], dtype=cell["dtype"],
        **limits)
    plan = make_plan(registry, [cell["suite"]], make_request(registry, options), None, False)
    return Again(plan, options, f"the source of {spec.name} has changed since" if changed else "")


def kept_weights(store: Store, result: CellResult) -> Checkpoint:
    """The weights that a cell has scored. Raises FileError where they are missing, corrupt, or are not those."""
    folder, digest = store.weights / result.id, result.raw.get("weights_sha256")
    if digest is None:
        origin = result.cell.get("checkpoint")
        raise FileError(f"its weights lie where they were scored from, {origin}" if origin else
                        "its weights were not kept")
    if not folder.exists():
        raise FileError(f"its weights are missing: there is no {folder}")
    checkpoint = open_checkpoint(str(folder))
    if checkpoint.config.run_id != result.id:
        raise FileError(f"{folder} holds the weights of another cell, {checkpoint.config.run_id}")
    with checkpoint.weights.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise FileError(f"{checkpoint.weights} does not hold the bytes that were scored")
    return checkpoint


def compared_again(score: TextScore, again: CellResult | None, note: str) -> Rescored:
    """A score beside what its weights gave now; None where they were not scored."""
    if again is None:
        return Rescored(score, reason="it was not scored again; the same command does", note=note)
    row = next((row for row in again.rows if row.metric == score.row.metric or row.status != "ok"), Row())
    if row.status != "ok" or row.value is None:
        return Rescored(score, reason=f"{row.status}: {row.reason or 'no number'}", note=note)
    try:
        return Rescored(score, row.value, _difference(score, again, row, row.value), note)
    except FileError as corrupt:
        return Rescored(score, row.value, str(corrupt), note)


def _difference(score: TextScore, again: CellResult, row: Row, value: float) -> str:
    """Why a second number does not count or is another one, "" where it comes again."""
    old = score.row
    if row.corpus_sha256 != old.corpus_sha256:
        return f"the text is another here: SHA-256 {row.corpus_sha256[:12]}…, not {old.corpus_sha256[:12]}…"
    if again.series(score.how.size) != score.result.series(score.how.size):
        return "other bytes were scored"
    low, high = old.ci_low, old.ci_high
    if low is None or high is None:                         # of one document there is none
        middle = old.value or 0.0
        low, high = middle * (1 - WITHOUT_INTERVAL), middle * (1 + WITHOUT_INTERVAL)
    return "" if low <= value <= high else f"outside of its interval, {low:.4f} to {high:.4f}"
