"""Anatomy: the operators of one training step, and what a freshly built model tells of itself.

Shares of time are of one profiled step after one that is not; every seed is a repeat. The profiler's own cost falls on
many small operators more than on few large ones, so a share of products is a little too low rather than too high.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness import ByValue, Cell, Counted, Request, Row, Suite, Workbench

SEQ_LEN, BATCH_SIZE = 256, 4


def plan(request: Request) -> Iterator[Cell]:
    for choice in request.models:
        for seq_len in request.seq_lens or (SEQ_LEN,):
            for corpus in [str(selector) for _, selector in request.corpora]:
                for seed in request.seeds:
                    yield request.cell("anatomy", choice, corpus=corpus, seq_len=seq_len, alone=True, seed=seed,
                                       batch_size=request.batch_size or BATCH_SIZE)


def measure(cell: Cell, bench: Workbench) -> None:
    model = bench.build()
    for name, value in bench.diagnostics(model).items():
        bench.row(f"diagnostic_{name}", value, phase="prefill")
    inputs, targets = bench.batch()
    step = bench.train_step(model)
    step(inputs, targets)
    found = bench.profile(lambda: step(inputs, targets))
    bench.raw["operator_seconds"] = dict(found.seconds)
    bench.row("product_share", found.product_share, "", "higher", phase="train")
    bench.row("operators", found.total_calls, "calls", "lower", phase="train")
    bench.row("trigonometric_calls", found.trigonometric_calls, "calls", "lower", phase="train")


def compared(row: Row) -> ByValue | Counted | None:
    """Calls are counted; a share of time holds as far as one step tells."""
    if row.metric in ("operators", "trigonometric_calls"):
        return Counted()
    return ByValue(machine=True) if row.metric == "product_share" else None


suite = Suite(
    name="anatomy", summary="operators of a training step, the share of matrix products; a fresh model's diagnostics",
    plan=plan, measure=measure, limits=(), timed=True, compared=compared,
    primary=("product_share", "operators", "trigonometric_calls"),
)
