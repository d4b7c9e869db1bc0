"""Abilities: the synthetic tasks by which the field tells architectures apart, each trained and tested by itself.

Notable:
- a cell is a task, a model and a seed; the search is a cell of its own, shared by all seeds, so many trials that a set
  of a plugin's own options is tried where the best rate is soon found. A trial is a fifth of the budget, but in `quick`
  the whole where a task sets in late and at once, as recall does: shorter trials end before;
- texts are published, how a model is trained on them is the harness's own, equal for all;
- the tokens of a cell are those of its task, bare symbols: no model spends chance on others;
- metrics are `accuracy:TASK`; `accuracy@SIZE:TASK` of a task with several tests, and of the trained task at 1, 2, 4 and
  8 times its length;
- the effective length (Hsieh et al. 2024, RULER) is the longest of these up to which a model keeps SOLVED of the way
  from chance to 1, in the place of RULER's own 85.6 %;
- what theory forbids is the limit of the row, and what is above it says so (ceilings.py);
- accuracies are of weights that passed the audit, sealed; `state_bytes:TASK` is the axis to read them against.

Intervals are Wilson's with as many trials as texts, as though the answers of a text stood or fell together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from harness import (
    ByDocument,
    ByValue,
    Cell,
    CellResult,
    Counted,
    Request,
    Row,
    Suite,
    Unsupported,
    UsageError,
    Workbench,
    stats,
    timing,
    tuning,
)

from .ceilings import forbidden
from .sealing import ask_sealed

PARAMS = 30_000
SHAPE = {                               # published for associative recall, the short convolution with its later sets
    "dim": "64", "layers": "2", "heads": "1", "tied": "true", "conv": "4", "qk_norm": "true"}
BUDGET = {"quick": 250_000, "paper": 4_000_000}         # tokens: minutes on a processor
LATE_BUDGET = 400_000                   # in `quick`, of a task that sets in late
BATCH_TOKENS = 1024
GRID = (8e-3, 1.6e-2)
TRIALS, SHARE = 4, 5                    # of a search; a trial is this part of the budget
LONGER_TEXTS = 128                      # of a test at another length
SOLVED = 0.9                            # of the way from chance to 1
DIVERGED = "training diverged"


def plan(request: Request) -> Iterator[Cell]:
    from harness import exercises

    size = request.task_size or exercises.SIZES[0]
    tasks = [(exercises.task_named(name, size, length), length)
             for name in request.tasks or exercises.names_of(size) for length in request.seq_lens or (0,)]
    for choice in request.models:
        if choice.selector.checkpoint:
            raise UsageError(f"the suite abilities trains on tokens of its own; {choice.label} brings trained weights")
        for task, length in tasks:
            fields: dict[str, Any] = shaped(request, choice, task.name, size) | {
                "seq_len": task.length, "batch_size": request.batch_size or max(1, BATCH_TOKENS // task.length),
                "tokenizer": f"symbols:size={task.vocab}", "tokenizer_code": ""}
            asked = {"task": task.name, "size": size, "length": length}
            trial, budget = budgets(task.ability.late, size, request.budget_bytes)
            needs: tuple[str, ...] = ()
            if request.lr is None:
                search = request.cell("abilities", choice, **fields, protocol=asked | {
                    "role": "search", "grid": GRID, "trials": TRIALS, "budget_bytes": trial,
                    "choices": choice.variants(dict(fields.get("options", choice.selector.options)))})
                yield search
                needs = (search.id,)
            for seed in request.seeds:
                yield request.cell("abilities", choice, **fields, seed=seed, needs=needs, protocol=asked | {
                    "role": "score", "budget_bytes": budget, "lr": request.lr})


def budgets(late: bool, size: str, asked: int) -> tuple[int, int]:
    """Tokens of a trial and of the training that is scored; those that are asked for, 0 for the suite's own."""
    if size == "quick" and late:
        return (asked or LATE_BUDGET,) * 2
    budget = asked or BUDGET[size]
    return max(1, budget // SHARE), budget


def shaped(request: Request, choice: Any, task: str, size: str) -> dict[str, Any]:
    """Options and parameters of a cell's model: in `paper` the published shape for associative recall, as far as the
    plugin takes it, unless a size is asked for."""
    options = dict(choice.selector.options)
    asked = request.preset or request.state_bytes or request.sizes or options.get("as_published") == "true"
    shape = {name: value for name, value in SHAPE.items() if choice.takes(name) and name not in options}
    if size == "paper" and task.startswith("mqar") and not asked and {"dim", "layers"} <= shape.keys():
        return {"options": tuple(sorted((options | shape).items())), "params": 0}
    return {"params": 0 if request.preset or request.state_bytes else request.params or PARAMS}


def measure(cell: Cell, bench: Workbench) -> None:
    """Rows of a cell are those of its task: what other tasks tell of their own is never averaged with it."""
    try:
        (search if cell.get("role") == "search" else evaluate)(cell, bench)
    finally:
        for row in bench.rows:
            row.metric = f"{row.metric}:{cell.get('task')}"


def search(cell: Cell, bench: Workbench) -> None:
    """Equal trials for every plugin; the rate and the options that are best are what the scoring cells use."""
    budget, given = cell.get("budget_bytes"), bench.exercises(cell.get("task"), cell.get("size"), cell.get("length"))

    def train_readout(model: Any, lr: float, seed: int) -> Any:
        return bench.train_readout(model, lr, budget, given.practice, seed=seed)

    bench.raw["unsupported"] = ""
    try:
        trials = bench.search(cell.get("grid"), cell.get("trials"), budget, cell.get("choices"), given.practice,
                              train_readout if given.ability.hidden else None)
    except Unsupported as reason:
        bench.raw["unsupported"] = str(reason)
        bench.fail("accuracy", str(reason), status="unsupported", phase="train")
        return
    tuning.tell(bench, trials, "bits/answer", text_bytes=given.task.tokens)


def evaluate(cell: Cell, bench: Workbench) -> None:
    """Train, audit, ask, seal: nothing is told of a model that does not pass."""
    given = bench.exercises(cell.get("task"), cell.get("size"), cell.get("length"))
    if cell.needs and bench.need("unsupported"):
        bench.fail("accuracy", bench.need("unsupported"), status="unsupported", phase="score")
        return
    lr = tuning.adopt(bench) if cell.needs else cell.get("lr")
    model = bench.build()
    bytes_seen = fit(cell, bench, model, lr, given)
    if bytes_seen is None:
        return

    def tell(forward: Any, common: dict[str, Any]) -> None:
        bench.row("state_bytes", common["state_bytes"], "B", "lower", **common)
        ask(cell, bench, given, bench.readout(model) if given.ability.hidden else forward, common)

    ask_sealed(cell, bench, model, given.sample(cell.batch_size, cell.seed), bytes_seen, tell, "accuracy")


def fit(cell: Cell, bench: Workbench, model: Any, lr: float, given: Any) -> int | None:
    """Practise with a learning rate. The tokens seen, None where the run diverged, which is a row of its own."""
    budget = cell.get("budget_bytes")
    if given.ability.hidden:
        run = bench.train_readout(model, lr, budget, given.practice)
    else:
        run = bench.train(model, lr, budget, stream=given.practice)
    bench.raw["curve"] = [list(point) for point in run.curve]
    if run.diverged:
        bench.fail("accuracy", f"{DIVERGED} at learning rate {lr:g}; set another with --lr", phase="score")
        return None
    bench.row("train_tokens_per_s", run.tokens_seen / run.seconds, "tokens/s", "higher", phase="train")
    bench.row("passes", run.tokens_seen / given.task.tokens, "passes", phase="train", reason="over the training texts")
    if not cell.needs:
        bench.row("learning_rate", lr, phase="train")
    return run.bytes_seen


def ask(cell: Cell, bench: Workbench, given: Any, forward: Any, common: dict[str, Any]) -> None:
    """Accuracy on every test, their mean, and on the trained task at other lengths; what is known of the task."""
    task, why, solved = given.task, forbidden(cell.plugin, cell.get("task")), solving(given.task.chance)
    trained = max(own["length"] for _, own in task.size.train)
    asked: list[tuple[Any, float]] = []

    def share(metric: str, setting: Any, texts: int) -> float:
        shares = given.right_answers(forward, setting, texts, cell.seed)
        accuracy = stats.share_interval(float(shares.mean()), len(shares))
        bench.row(metric, accuracy.value, "", "higher", ci_low=accuracy.low, ci_high=accuracy.high, **common,
                  **(ceiling(why, solved, accuracy.low) if why and setting["length"] > trained else {}))
        bench.raw[f"right@{metric}"] = shares.tolist()
        asked.append((setting, accuracy.value))
        return accuracy.value

    labels = []
    for label, texts, setting in task.tests():
        labels.append(f"accuracy@{label}" if label else "accuracy")
        share(labels[-1], setting, texts)
    if len(labels) > 1:
        shares = [one for label in labels for one in bench.raw[f"right@{label}"]]
        mean = stats.share_interval(fmean(shares), len(shares))
        bench.row("accuracy", mean.value, "", "higher", ci_low=mean.low, ci_high=mean.high, **common)
        bench.raw["right@accuracy"] = shares
    bench.row("chance", task.chance, **common)
    by_length = {}
    for length, setting in task.stretched().items():
        known = next((value for own, value in asked if own == setting), None)
        by_length[length] = share(f"accuracy@{length}", setting, LONGER_TEXTS) if known is None else known
    if by_length:
        kept = 0
        for length, value in by_length.items():
            if value < solved:
                break
            kept = length
        bench.row("effective_length", kept, "tokens", "higher", limit=max(by_length), limit_kind="tested", **common,
                  reason=f"accuracy of {solved:.3g} or more")
    if given.ability.known:
        distances(cell, bench, given, forward, common)


def solving(chance: float) -> float:
    """The accuracy that counts as solved."""
    return chance + SOLVED * (1 - chance)


def ceiling(why: str, solved: float, low: float | None) -> dict[str, Any]:
    """The columns of what theory forbids, and what a value above it is."""
    above = low is not None and low > solved
    return {"limit": solved, "limit_kind": "theory",
            "reason": f"{why}: a leak, an error, or a length that is still short" if above else why}


def distances(cell: Cell, bench: Workbench, given: Any, forward: Any, common: dict[str, Any]) -> None:
    """How far a model is from the chances of the source, which are known."""
    for _, texts, setting in given.task.tests():
        found = given.distances(forward, setting, texts, cell.seed)
        for metric, values, unit, better in (
            ("excess_bits", found.excess_bits, "bits/token", "lower"),
            ("total_variation", found.total_variation, "", "lower"), ("allowed", found.allowed, "", "higher"),
        ):
            mean = stats.mean_interval(values.tolist())
            bench.row(metric, mean.value, unit, better, ci_low=mean.low, ci_high=mean.high, **common)


def conclude(results: Sequence[CellResult]) -> list[Row]:
    """Of every task which systems solve it, on the mean over seeds, and that it says nothing where none or all of them
    do; how many of their trainings diverged."""
    tasks: dict[tuple[Any, ...], dict[str, list[CellResult]]] = {}
    for result in results:
        protocol = result.cell["protocol"]
        if protocol.get("role") == "score":
            same = tasks.setdefault(tuple(protocol.get(key) for key in ("task", "size", "length", "budget_bytes")), {})
            same.setdefault(result.label, []).append(result)
    return [row for (name, *_), systems in tasks.items() for row in told(name, systems)]


def told(task: str, systems: dict[str, list[CellResult]]) -> Iterator[Row]:
    solvers = {label: solved for label, runs in systems.items() if (solved := solves(task, runs)) is not None}
    note = ""
    if len(solvers) > 1 and len(set(solvers.values())) == 1:
        note = f"{'everybody solves it' if all(solvers.values()) else 'nobody solves it'}: the task says nothing here"
    for label, runs in systems.items():
        if label in solvers:
            yield timing.derived_row(runs[0], f"solved:{task}", float(solvers[label]), better="higher", phase="score",
                                     reason=note)
        if lost := diverged(runs):
            yield timing.derived_row(runs[0], f"diverged_runs:{task}", float(lost), unit="runs", better="lower",
                                     phase="train", limit=float(len(runs)), limit_kind="of")


def diverged(runs: Sequence[CellResult]) -> int:
    return sum(any(row.reason.startswith(DIVERGED) for row in run.rows) for run in runs)


def solves(task: str, runs: Sequence[CellResult]) -> bool | None:
    """Whether the mean accuracy of some runs counts as solved, those that diverged being at chance; None where there is
    no number."""
    found = {metric: [row.value for run in runs for row in run.rows if row.metric == f"{metric}:{task}"
                      and row.status == "ok" and row.value is not None] for metric in ("accuracy", "chance")}
    lost = diverged(runs)
    if not all(found.values()):
        return False if lost else None
    chance = found["chance"][0]
    return fmean([*found["accuracy"], *[chance] * lost]) >= solving(chance)


def compared(row: Row) -> ByDocument | ByValue | Counted | None:
    """Accuracies by text, of which every seed draws its own; distances by their value."""
    metric = row.metric.partition(":")[0]
    if metric.partition("@")[0] == "accuracy":
        return ByDocument(f"right@{metric}", nested=True)
    if metric in ("excess_bits", "total_variation", "allowed", "effective_length"):
        return ByValue()
    return Counted() if metric == "state_bytes" else None


suite = Suite(
    name="abilities", summary="the synthetic tasks of the field: recall, copying, automata, state tracking, length",
    plan=plan, measure=measure, conclude=conclude, sealed=True, limits=(), compared=compared, params=0,
    sizes=("quick", "paper"),
    primary=("accuracy", "chance", "solved", "effective_length", "excess_bits", "total_variation", "allowed",
             "state_bytes", "learning_rate", "lr_window_octaves", "passes", "diverged_runs"),
)
