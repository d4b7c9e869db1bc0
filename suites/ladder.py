"""Ladder: sizes x budgets x seeds, one trunk per size and seed that cools down at every budget.

Notable:
- a rung is a cell: what it measures is what a run of that size and budget alone would have given;
- the rate of a size is searched once, with the schedule of the rungs, and shared by its budgets and seeds;
- what the rungs say together (laws, multipliers, the rung held out) is worked out anew from every cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness import Cell, Request, Suite, Workbench, rung_name, tuning

from .scoring import BATCH_SIZE, SEQ_LEN, compared, rate, report_operations, trained_soundly

BUDGETS = (300_000, 1_000_000)
LENGTHS = (1, 2, 4, 8)                     # windows to score in, in trained lengths
COOLING = 0.2                              # share of a budget over which its rate falls
SCHEDULE = {"warmup_bytes": 64_000, "cooling": COOLING}     # the rise is the same for all budgets, which share it


def plan(request: Request) -> Iterator[Cell]:
    budgets = sorted(request.budgets or BUDGETS)
    for _, selector in request.corpora:
        for choice in request.models:
            for seq_len in request.seq_lens or (SEQ_LEN,):
                common: dict[str, Any] = {
                    "corpus": str(selector), "seq_len": seq_len, "batch_size": request.batch_size or BATCH_SIZE}
                if choice.selector.checkpoint:
                    yield request.cell("ladder", choice, **common, protocol={"role": "score"})
                    continue
                for size in sorted(request.sizes) or [0]:
                    yield from _of_a_size(request, choice, budgets, {**common, "params": size})


def _of_a_size(request: Request, choice: Any, budgets: list[int], common: dict[str, Any]) -> Iterator[Cell]:
    """The search for a rate, then the rungs of every seed, the smaller budget first."""
    searched: tuple[str, ...] = ()
    if request.lr is None:
        search = request.cell("ladder", choice, **common, protocol={
            "role": "search", "grid": tuning.GRID, "trials": tuning.TRIALS, **SCHEDULE,
            "budget_bytes": max(budgets[0], tuning.trial_bytes(budgets[-1])),
            "choices": choice.variants(dict(choice.selector.options)), "rung": rung_name(common["params"])})
        yield search
        searched = (search.id,)
    for seed in request.seeds:
        trunk = request.cell("ladder", choice, **common, seed=seed, needs=searched, protocol={
            "role": "rung", "lr": request.lr, **SCHEDULE})
        before: tuple[str, ...] = ()
        for budget in budgets:
            rung = request.cell("ladder", choice, **common, seed=seed, needs=(*searched, *before), protocol={
                **dict(trunk.protocol), "budget_bytes": budget, "trunk": trunk.id,
                "rung": rung_name(common["params"], budget)})
            yield rung
            before = (rung.id,)


def measure(cell: Cell, bench: Workbench) -> None:
    (search if cell.get("role") == "search" else climb)(cell, bench)


def search(cell: Cell, bench: Workbench) -> None:
    """Equal trials for every plugin, on the schedule of the rungs."""
    def train(model: Any, lr: float, seed: int) -> Any:
        return bench.train_branch(model, lr, cell.get("budget_bytes"), seed=seed, **schedule(cell))

    budget = cell.get("budget_bytes")
    trials = bench.search(cell.get("grid"), cell.get("trials"), budget, cell.get("choices"), train=train)
    tuning.tell(bench, trials, text_bytes=sum(map(len, bench.documents.train)))


def schedule(cell: Cell) -> dict[str, Any]:
    return {"warmup_bytes": cell.get("warmup_bytes"), "cooling": cell.get("cooling")}


def climb(cell: Cell, bench: Workbench) -> None:
    """One rung: train to its budget, tell what that took, score. Trained weights are scored alone."""
    windows = [times * cell.seq_len for times in LENGTHS]
    if bench.checkpoint:
        rate(cell, bench, bench.build(), bench.checkpoint.bytes_seen, windows)
        return
    lr = cell.get("lr") or tuning.adopt(bench)
    model = bench.build()
    trained = bench.train_branch(model, lr, cell.get("budget_bytes"), trunk=cell.get("trunk"), **schedule(cell))
    if not trained_soundly(bench, trained, lr):
        return
    seen: dict[str, Any] = {"phase": "train", "bytes_seen": trained.bytes_seen}
    report_operations(cell, bench, model, trained)
    bench.row("train_seconds", trained.seconds, "s", "lower", **seen)
    if trained.joules is not None:
        bench.row("train_energy_j", trained.joules, "J", "lower", reason="counters of the whole chip", **seen)
    bench.row("learning_rate", lr, **seen)
    state = bench.inference(model)(bench.tokens(1, cell.seq_len), None)[1]
    bench.row("state_bytes_per_sequence", bench.state_bytes(state), "B", "lower", phase="decode")
    rate(cell, bench, model, trained.bytes_seen, windows)


suite = Suite(
    name="ladder", summary="score against size and bytes: each size one trunk that cools down at every budget",
    plan=plan, measure=measure, sealed=True, rungs=True, limits=(), compared=compared,
    primary=("bits_per_byte", "train_flops", "train_seconds", "state_bytes_per_sequence", "learning_rate"),
)
