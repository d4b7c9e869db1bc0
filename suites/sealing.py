"""What is asked of trained weights: told where they pass the audit before and the seal after, else nothing is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Cell, Workbench


def ask_sealed(
    cell: Cell, bench: Workbench, model: Any, sample: Any, bytes_seen: int, ask: Callable[[Any, dict[str, Any]], None],
    metric: str = "",
) -> None:
    """Let `ask(forward, common)` leave its rows, with the columns `common`; a model that does not pass has one row,
    which says so of `metric`. `sample` is text for the audit, (N,) int64."""
    def refuse(reason: str) -> None:
        bench.fail(metric, reason, status="audit_failed", phase="score", bytes_seen=bytes_seen)

    report = bench.audit(model, [cell.seq_len], sample=sample)
    if not report.passed:
        refuse(report.summary())
        return
    forward = bench.inference(model)
    state = bench.state_bytes(forward(bench.tokens(1, cell.seq_len), None)[1])
    first = len(bench.rows)
    ask(forward, {"phase": "score", "bytes_seen": bytes_seen, "state_bytes": state})
    found = bench.rows[first:]
    del bench.rows[first:]
    sealed = bench.seal(model)
    if sealed.passed:
        bench.rows += found
    else:
        refuse(sealed.summary())
