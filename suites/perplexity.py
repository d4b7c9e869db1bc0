"""Perplexity: equal bytes, an equal search for the learning rate, an audit of the trained weights, bits per byte.

The search is a cell of its own, shared by all seeds, of as many trials for every plugin; they are rows (the tuning
ledger).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness import Cell, Request, Suite, Workbench, tuning

from .scoring import BATCH_SIZE, SEQ_LEN, compared, rate, report_operations, trained_soundly

BUDGET_BYTES = 300_000
CURVE_BYTES = 16 << 10                      # of held-out text, for the learning curve


def plan(request: Request) -> Iterator[Cell]:
    budget = request.budget_bytes or BUDGET_BYTES
    for _, selector in request.corpora:
        for choice in request.models:
            for seq_len in request.seq_lens or (SEQ_LEN,):
                common: dict[str, Any] = {
                    "corpus": str(selector), "seq_len": seq_len, "batch_size": request.batch_size or BATCH_SIZE}
                needs: tuple[str, ...] = ()
                if choice.selector.checkpoint:
                    yield request.cell("perplexity", choice, **common, protocol={
                        "role": "score", "unaudited": request.unaudited})
                    continue
                if request.lr is None:
                    search = request.cell("perplexity", choice, **common, protocol={
                        "role": "search", "grid": tuning.GRID, "trials": tuning.TRIALS,
                        "budget_bytes": tuning.trial_bytes(budget),
                        "choices": choice.variants(dict(choice.selector.options))})
                    yield search
                    needs = (search.id,)
                for seed in request.seeds:
                    protocol = {
                        "role": "score", "budget_bytes": budget, "lr": request.lr, "unaudited": request.unaudited}
                    yield request.cell("perplexity", choice, **common, seed=seed, needs=needs, protocol=protocol)


def measure(cell: Cell, bench: Workbench) -> None:
    (search if cell.get("role") == "search" else evaluate)(cell, bench)


def search(cell: Cell, bench: Workbench) -> None:
    """Equal trials for every plugin; the rate and the options that are best are what the scoring cells use."""
    trials = bench.search(cell.get("grid"), cell.get("trials"), cell.get("budget_bytes"), cell.get("choices"))
    tuning.tell(bench, trials, text_bytes=sum(map(len, bench.documents.train)))


def fit(cell: Cell, bench: Workbench, model: Any, lr: float) -> int | None:
    """Train with a learning rate. The bytes seen, None where the run diverged."""
    trained = bench.train(model, lr, cell.get("budget_bytes"), bench.heldout(CURVE_BYTES))
    bench.raw["validation"] = [list(point) for point in trained.validation]
    if not trained_soundly(bench, trained, lr):
        return None
    for bytes_seen, bits in trained.validation:
        bench.row("learning_curve", bits, "bits/byte", "lower", phase="train", bytes_seen=bytes_seen, audited="no")
    bench.row("train_tokens_per_s", trained.tokens_seen / trained.seconds, "tokens/s", "higher", phase="train")
    report_operations(cell, bench, model, trained)
    if not cell.needs:
        bench.row("learning_rate", lr, phase="train")
    return trained.bytes_seen


def evaluate(cell: Cell, bench: Workbench) -> None:
    """Train, unless the cell names trained weights; audit, score."""
    lr = tuning.adopt(bench) if cell.needs else cell.get("lr")
    model = bench.build()
    bytes_seen = bench.checkpoint.bytes_seen if bench.checkpoint else fit(cell, bench, model, lr)
    if bytes_seen is not None:
        rate(cell, bench, model, bytes_seen)


suite = Suite(
    name="perplexity", summary="train on equal bytes, audit, score held-out text in bits per byte",
    plan=plan, measure=measure, sealed=True, limits=(), compared=compared,
    primary=("bits_per_byte", "excess_bits", "unaudited_bits_per_byte", "perplexity_per_byte", "train_tokens_per_s",
             "learning_rate", "lr_window_octaves"),
)
