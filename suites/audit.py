"""Audit: every check on freshly built weights, with a little noise so that zero-initialised branches are open.

Half of the texts are real: a model that looks at letters has parameters that random bytes seldom reach.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness import Cell, Request, Suite, Workbench

SEQ_LENS = (64, 256)
JITTER = 0.02


def plan(request: Request) -> Iterator[Cell]:
    corpus, lengths = str(request.corpora[0][1]) if request.corpora else "", request.seq_lens or SEQ_LENS
    for choice in request.models:
        yield request.cell(
            "audit", choice, corpus=corpus, seq_len=max(lengths), dtype="float32", protocol={"lengths": lengths})


def measure(cell: Cell, bench: Workbench) -> None:
    report = bench.audit(bench.build(), cell.get("lengths"), jitter=JITTER)
    for finding in report.findings:
        size = finding.size if math.isfinite(finding.size) else None            # nothing to compare
        bench.row(
            finding.check, size, "std", "lower", seq_len=finding.length, repeat=finding.position,
            limit=finding.tolerance, status="audit_failed" if finding.failed else "ok", reason=finding.detail)
    bench.row("failed_checks", len({finding.check for finding in report.failures}), "checks", "lower")


suite = Suite(
    name="audit", summary="split law, suffix perturbation, batch independence, determinism, train = eval, gradients",
    plan=plan, measure=measure, limits=(), primary=("split law", "suffix perturbation"),
    compared=lambda row: None,              # a check passes or fails; how far below its tolerance says nothing
)
