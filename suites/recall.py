"""Recall: can a model give back what it has read? By load, by distance, and for how many bytes of state.

Notable:
- one mixture of all tasks to practise on, from short texts to the scored length, without a fixed lag, the same texts in
  the same order for every model, the loss on answers alone;
- the search is a cell of its own, shared by all seeds; its trials have the whole budget, for short ones end before
  recall has set in, and are judged by the last fifth of their practice, on texts never seen before;
- output heads are untied where a plugin has the option and none is given, which its rows say: a transformer whose head
  is its embedding has not learned associative recall with twice the practice;
- the tasks are those of the suite `abilities`, in one alphabet (harness.data.abilities.mixture); accuracies are of
  weights that passed the audit at the scored length, on held-out texts, by load and distance: the column
  `mqar_accuracy@16` is associative recall among 16 pairs, `mqar_accuracy` the mean over the loads;
- the probes ask the state itself (harness.bench.state_probes); `--state-bytes` makes models of equal state, and bits
  recalled per byte of it compare them whatever each of them spends.

Intervals are Wilson's with as many trials as texts, as though the answers of a text stood or fell together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness import ByDocument, ByValue, Cell, Counted, Request, Row, Suite, Workbench, stats, tuning

from .sealing import ask_sealed

BUDGET_BYTES = 400_000                      # of a trial as well
SEQ_LEN, BATCH_SIZE = 64, 8
TRIALS = 6
TEXTS = 128                                 # held-out texts of every case


def plan(request: Request) -> Iterator[Cell]:
    for choice in request.models:
        for seq_len in request.seq_lens or (SEQ_LEN,):
            shape: dict[str, Any] = {
                "seq_len": seq_len, "batch_size": request.batch_size or BATCH_SIZE, "tokenizer": "bytes"}
            if choice.selector.checkpoint:
                yield request.cell("recall", choice, **shape)
                continue
            budget, options = request.budget_bytes or BUDGET_BYTES, untied(choice)
            needs: tuple[str, ...] = ()
            if request.lr is None:
                search = request.cell("recall", choice, **shape, options=options, protocol={
                    "role": "search", "grid": tuning.GRID, "trials": TRIALS, "budget_bytes": budget,
                    "choices": choice.variants(dict(options))})
                yield search
                needs = (search.id,)
            for seed in request.seeds:
                yield request.cell("recall", choice, **shape, options=options, seed=seed, needs=needs, protocol={
                    "role": "score", "budget_bytes": budget, "lr": request.lr})


def untied(choice: Any) -> tuple[tuple[str, str], ...]:
    """The options of a choice, with an output head of its own unless they decide that."""
    options = dict(choice.selector.options)
    if choice.takes("tied") and not {"tied", "as_published"} & set(options):
        options["tied"] = "false"
    return tuple(sorted(options.items()))


def measure(cell: Cell, bench: Workbench) -> None:
    (search if cell.get("role") == "search" else evaluate)(cell, bench)


def search(cell: Cell, bench: Workbench) -> None:
    """Equal trials for every plugin; the rate and the options that are best are what the scoring cells use."""
    budget = cell.get("budget_bytes")
    tuning.tell(bench, bench.search(cell.get("grid"), cell.get("trials"), budget, cell.get("choices"),
                                    lambda seed: bench.recall.practice(seed, budget)), "bits/answer")


def evaluate(cell: Cell, bench: Workbench) -> None:
    """Train, unless the cell names trained weights; audit, ask, probe."""
    lr = tuning.adopt(bench) if cell.needs else cell.get("lr")
    model = bench.build()
    bytes_seen = bench.checkpoint.bytes_seen if bench.checkpoint else fit(cell, bench, model, lr)
    if bytes_seen is None:
        return

    def tell(forward: Any, common: dict[str, Any]) -> None:
        bench.row("state_bytes_per_sequence", common["state_bytes"], "B", "lower", **common)
        ask(cell, bench, forward, common)
        probe(cell, bench, forward, common)

    ask_sealed(cell, bench, model, bench.recall.sample(BATCH_SIZE, cell.seed), bytes_seen, tell)


def fit(cell: Cell, bench: Workbench, model: Any, lr: float) -> int | None:
    """Practise with a learning rate. The bytes seen, None where the run diverged."""
    budget = cell.get("budget_bytes")
    run = bench.train(model, lr, budget, stream=lambda seed: bench.recall.practice(seed, budget))
    bench.raw["curve"] = [list(point) for point in run.curve]
    if run.diverged:
        bench.fail("", f"training diverged at learning rate {lr:g}; set another with --lr", phase="train")
        return None
    bench.row("train_tokens_per_s", run.tokens_seen / run.seconds, "tokens/s", "higher", phase="train")
    if not cell.needs:
        bench.row("learning_rate", lr, phase="train")
    return run.bytes_seen


def ask(cell: Cell, bench: Workbench, forward: Any, common: dict[str, Any]) -> None:
    """Accuracy on held-out texts of every case; mean over its cases, and chance, of every task."""
    found: dict[str, list[float]] = {}
    for case in bench.recall.cases:
        shares = bench.recall.right_answers(forward, case, TEXTS, cell.seed)
        accuracy = stats.share_interval(float(shares.mean()), len(shares))
        bench.row(f"{case.name}_accuracy@{case.size}", accuracy.value, "", "higher",
                  ci_low=accuracy.low, ci_high=accuracy.high, **common)
        bench.raw[f"right@{case}"] = shares.tolist()
        found.setdefault(case.name, []).append(float(shares.mean()))
    chances = {case.name: case.chance for case in bench.recall.cases}
    for name, accuracies in found.items():
        mean = stats.share_interval(sum(accuracies) / len(accuracies), TEXTS * len(accuracies))
        bench.row(f"{name}_accuracy", mean.value, "", "higher", ci_low=mean.low, ci_high=mean.high, **common)
        bench.row(f"{name}_chance", chances[name], **common)


def probe(cell: Cell, bench: Workbench, forward: Any, common: dict[str, Any]) -> None:
    """What the state holds, for how long, what disturbs it, how much of it is used."""
    probes, cases = bench.recall.probes(forward, cell.seed), bench.recall.cases
    loads = [case.size for case in cases if case.name == "mqar"]
    distances = [case.size for case in cases if case.name == "needle"]
    bits, by_load = probes.capacity(loads, cell.seq_len)
    kept, by_distance = probes.persistence(distances)
    rank, possible = probes.rank(max(loads))
    bench.row("capacity", bits, "bits", "higher", **common)
    if common["state_bytes"]:
        bench.row("capacity_per_state_byte", bits / common["state_bytes"], "bits/B", "higher", **common)
    bench.row("persistence", kept, "tokens", "higher", limit=max(distances), **common)
    bench.row("interference", probes.interference(), "accuracy lost", "lower", **common)
    bench.row("state_rank", rank, "", limit=possible, **common)
    bench.raw.update(capacity_accuracy=list(by_load.items()), persistence_accuracy=list(by_distance.items()))


def compared(row: Row) -> ByDocument | ByValue | Counted | None:
    """Accuracies by text, of which every seed draws its own; what the probes found by its value."""
    task, accuracy, size = row.metric.partition("_accuracy@")
    if accuracy:
        return ByDocument(f"right@{task}@{size}", nested=True)
    probes = ("capacity", "capacity_per_state_byte", "persistence", "interference")
    return ByValue() if row.metric in probes else Counted() if row.metric == "state_bytes_per_sequence" else None


suite = Suite(
    name="recall", summary="associative recall, copy, induction and needles by load and distance; probes of the state",
    plan=plan, measure=measure, sealed=True, limits=(), compared=compared,
    primary=(*(f"{task}_accuracy" for task in ("mqar", "copy", "induction", "needle", "needle4")), "capacity",
             "capacity_per_state_byte", "persistence", "interference", "state_rank", "state_bytes_per_sequence",
             "learning_rate", "lr_window_octaves"),
)
