"""Transfer: what a learning rate does at one width. Beside other widths, `harness lr` tells whether one may be carried.

Notable:
- the coordinate check: after a few steps at one rate, the same at every width, how large are activations and updates?
- the search is that of the scoring suites, on a small budget; the size varies, the text and its order do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness import Cell, Request, Suite, Workbench, tuning

BUDGET_BYTES = 64_000                       # of a trial
SEQ_LEN, BATCH_SIZE = 256, 4
RATE, STEPS = tuning.GRID[1], 8             # of the coordinate check


def plan(request: Request) -> Iterator[Cell]:
    for _, selector in request.corpora:
        for choice in request.models:
            yield request.cell("transfer", choice, corpus=str(selector), seq_len=(request.seq_lens or (SEQ_LEN,))[0],
                               batch_size=request.batch_size or BATCH_SIZE, protocol={
                "grid": tuning.GRID, "trials": tuning.TRIALS, "budget_bytes": request.budget_bytes or BUDGET_BYTES,
                "rate": RATE, "steps": STEPS})


def measure(cell: Cell, bench: Workbench) -> None:
    found = bench.coordinates(bench.build(), cell.get("rate"), cell.get("steps"))
    bench.row("width", found.width, "channels")
    for part, size in found.activations.items():
        bench.row(f"activation_rms@{part}", size, phase="train")
    for part, share in found.updates.items():
        bench.row(f"update_ratio@{part}", share, phase="train")
    trials = bench.search(cell.get("grid"), cell.get("trials"), cell.get("budget_bytes"))
    tuning.tell(bench, trials, text_bytes=sum(map(len, bench.documents.train)))


suite = Suite(
    name="transfer", summary="the best learning rate at one width, and how large activations and updates are",
    plan=plan, measure=measure, limits=(), primary=("learning_rate", "lr_window_octaves", "width"),
    compared=lambda row: None,              # a rate is not better for being large
)
