"""Memory: what training, prefill and decode hold at their peak, split into its parts, and the state against length.

Peaks are measured in a fresh process per length, over what that process held before the model was built; a small run
first pays for libraries and compiled kernels. Weights, gradients and optimiser are counted from their tensors,
activations are what is left of the peak. Every seed is a repeat with a spread of its own: peaks of one program differ.

On a GPU a further cell finds the largest length of which a training step of one text finds memory, beside the shortest
that was found to fail; a step of an eighth of it must be that of the scored function. A processor's memory has no such
end: the system swaps, or ends some process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness import ByValue, Cell, Counted, Request, Row, Suite, Workbench

SEQ_LENS, BATCH_SIZE = (256, 512, 1024), 4
SHORT = 8
LONGEST, STEP, SECONDS = 1 << 24, 64, 20.0      # lengths that are tried at most, in steps of; seconds for tries
SHARE, CHECKED = 8, 16384               # part of the largest length of which a step is checked; tokens at most


def plan(request: Request) -> Iterator[Cell]:
    seq_lens = request.seq_lens or SEQ_LENS
    for seq_len in seq_lens:
        for choice in request.models:
            for seed in request.seeds:
                yield request.cell("memory", choice, seq_len=seq_len, batch_size=request.batch_size or BATCH_SIZE,
                                   seed=seed)
    if request.device == "cuda":
        for choice in request.models:
            for seed in request.seeds:
                yield request.cell("memory", choice, seq_len=max(seq_lens), batch_size=1, seed=seed,
                                   protocol={"role": "largest"})


def measure(cell: Cell, bench: Workbench) -> None:
    (largest if cell.get("role") == "largest" else peaks)(cell, bench)


def peaks(cell: Cell, bench: Workbench) -> None:
    pay_for_libraries(cell, bench)
    holder: dict[str, Any] = {}
    weights = bench.peak_memory(lambda: holder.update(model=bench.build()))
    model = holder.pop("model")
    static = bench.tensor_bytes(model.parameters()) + bench.tensor_bytes(model.buffers())
    bench.row("weights_bytes", static, "B", "lower")
    for name, value in weights.items():
        bench.row(bench.peak_name("build", name), value, "B", "lower")
    inference(cell, bench, model, static)
    training_step(cell, bench, model, static)
    bench.vouch(model)


def pay_for_libraries(cell: Cell, bench: Workbench) -> None:
    """Run every phase once at a short length, so that imports and compiled kernels are not counted as the model's."""
    model = bench.build()
    forward = bench.inference(model)
    _, state = forward(bench.tokens(1, SHORT), None)
    advance, begin = bench.continuation(model, state)
    advance(bench.tokens(1, 1), begin())
    tokens = bench.tokens(1, SHORT + 1)
    bench.train_step(model)(tokens[:, :-1], tokens[:, 1:])


def inference(cell: Cell, bench: Workbench, model: Any, static: int) -> None:
    tokens = bench.tokens(cell.batch_size, cell.seq_len)
    forward = bench.inference(model)
    held: dict[str, Any] = {}
    weights = [*model.parameters(), *model.buffers()]
    peak = bench.peak_memory(
        lambda: held.update(result=forward(tokens, None)), lambda: forward(tokens[:, :SHORT], None), weights)
    logits, state = held.pop("result")
    size = bench.state_bytes(state)
    del logits
    bench.row("state_bytes", size, "B", "lower", phase="decode", state_bytes=size)
    bench.row("state_bytes_per_sequence", size / cell.batch_size, "B", "lower", phase="decode", state_bytes=size)
    rows(bench, "prefill", peak, static)
    advance, begin = bench.continuation(model, state)
    given = [begin()]                                   # a copy that the model needs is ours, so it is made before
    step = bench.peak_memory(lambda: advance(tokens[:, -1:], given.pop()))
    rows(bench, "decode", step, static + size)


def training_step(cell: Cell, bench: Workbench, model: Any, static: int) -> None:
    tokens = bench.tokens(cell.batch_size, cell.seq_len + 1, seed=1)
    step = bench.train_step(model)
    other = bench.train_step(bench.build())
    peak = bench.peak_memory(
        lambda: step(tokens[:, :-1], tokens[:, 1:]), lambda: other(tokens[:, :SHORT], tokens[:, 1:SHORT + 1]),
        [*model.parameters(), *model.buffers()])
    updates = bench.tensor_bytes(p.grad for p in model.parameters() if p.grad is not None) + bench.optimizer_bytes(step)
    bench.row("gradients_optimizer_bytes", updates, "B", "lower", phase="train")
    rows(bench, "train", peak, static)
    highest = next(iter(peak.values()))
    bench.row("activations_bytes", max(0, highest - updates), "B", "lower", phase="train")


def largest(cell: Cell, bench: Workbench) -> None:
    """From the cell's own length on, to a thirty-second of itself or as near as the time for it lets come."""
    model = bench.build()
    step = bench.train_step(model)

    def batch(length: int) -> tuple[Any, Any]:
        tokens = bench.tokens(1, length + 1, seed=1)
        return tokens[:, :-1], tokens[:, 1:]

    def call(length: int) -> None:
        step(*batch(length))
        bench.synchronize()

    found = bench.largest_length(call, max(cell.seq_len, STEP), LONGEST, step=STEP, limit=SECONDS)
    if found.fits:                                      # at a share, for the check takes memory of its own
        bench.check_step(step, *batch(min(found.fits // SHARE, CHECKED)))
    bench.row("largest_length", found.fits, "tokens", "higher", phase="train", ci_low=found.fits, ci_high=found.fails,
              reason=bound(found))
    bench.vouch(model)


def bound(found: Any) -> str:
    """Why the length that was found may be too short by more than its interval tells, "" where it is not."""
    if found.out_of_time:
        return f"a lower bound: after {SECONDS:g} s no further length was tried"
    return "" if found.fails else "nothing longer was tried"


def rows(bench: Workbench, phase: str, peak: dict[str, int], held: int) -> None:
    """Peak rows of a phase: what the call added, plus what was held already."""
    for name, value in peak.items():
        bench.row(bench.peak_name("peak", name), value + held, "B", "lower", phase=phase)


def compared(row: Row) -> ByValue | Counted | None:
    """Peaks, and what fits, by their values, a bound apart; what is counted from tensors is exact."""
    if row.metric in ("weights_bytes", "gradients_optimizer_bytes", "state_bytes_per_sequence"):
        return Counted()
    if row.metric == "largest_length" and row.ci_high is None:
        return None
    return ByValue() if row.metric.startswith("peak") or row.metric in ("activations_bytes", "largest_length") else None


suite = Suite(
    name="memory", summary="peak memory of training, prefill and decode, its parts, and state bytes against length",
    plan=plan, measure=measure, limits=(), compared=compared,
    primary=("peak_bytes", "state_bytes_per_sequence", "weights_bytes", "gradients_optimizer_bytes",
             "activations_bytes", "largest_length"),
    plots=(("state_bytes_per_sequence", "decode"),),
)
