"""Scaling: time and memory of a training step against length; local slopes, a fitted exponent, the crossover.

One timing group per length; peaks in processes of their own. What failed (out of memory, timeout) takes part as a
bound: the largest length that fits is a result. The first model at the shortest length is timed again in every group,
as an anchor: what the machine does between lengths is in its time too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness import (
    ByRound,
    ByValue,
    Cell,
    CellResult,
    Counted,
    Request,
    Row,
    Suite,
    Workbench,
    stats,
    timing,
    timing_group,
)

SEQ_LENS, BATCH_SIZE, ROUNDS = (128, 256, 512, 1024, 2048), 1, 7
SHORT = 8


def plan(request: Request) -> Iterator[Cell]:
    lengths = request.seq_lens or SEQ_LENS
    for seq_len in lengths:
        corpus = str(request.corpora[0][1])
        shape = {"seq_len": seq_len, "batch_size": request.batch_size or BATCH_SIZE, "corpus": corpus}
        rounds = {"rounds": request.rounds or ROUNDS}
        for choice in request.models:
            yield request.cell("scaling", choice, **shape, protocol={"role": "memory"})
        members = [
            request.cell("scaling", choice, **shape, protocol={"role": "time", **rounds})
            for choice in request.models
        ]
        if len(lengths) > 1:
            anchor = request.cell("scaling", request.models[0], **{**shape, "seq_len": min(lengths)},
                                  protocol={"role": timing.ANCHOR, **rounds})
            members.append(replace(anchor, control=False))
        group = timing_group(members)
        yield from (replace(cell, group=group) for cell in members)


def measure(cell: Cell, bench: Workbench) -> None:
    (weigh_step if cell.get("role") == "memory" else time_step)(cell, bench)


def time_step(cell: Cell, bench: Workbench) -> None:
    model = bench.build()
    step = bench.train_step(model)
    seconds = bench.time(lambda pair: step(*pair), inputs=bench.batch, check=bench.training_check(step))
    median, anchor = stats.median_interval(seconds), cell.get("role") == timing.ANCHOR
    bench.raw[timing.ANCHOR if anchor else "train"] = seconds
    limit = {}
    if rate := bench.limits.get(f"gemm_{cell.dtype}_flops_per_s"):
        flops = bench.flops(model, cell.batch_size, cell.seq_len, "train")
        limit = {"limit": flops.value / rate, "limit_kind": "compute"}
    bench.row("anchor_time_s" if anchor else "step_time_s", median.value, "s", "lower", phase="train",
              ci_low=median.low, ci_high=median.high, **limit)
    bench.vouch(model)


def weigh_step(cell: Cell, bench: Workbench) -> None:
    """Peak of one training step over the process before the model: weights, gradients, optimiser, activations."""
    inputs, targets = bench.batch()

    def step(length: int) -> None:
        bench.train_step(bench.build())(inputs[:, :length], targets[:, :length])

    step(SHORT)                                                             # libraries and compiled kernels
    for name, value in bench.peak_memory(lambda: step(cell.seq_len), lambda: step(SHORT)).items():
        bench.row(bench.peak_name("peak", name), value, "B", "lower", phase="train")
    bench.vouch(bench.build())


def conclude(results: Sequence[CellResult]) -> list[Row]:
    """Ratios per length; slopes, exponents and crossovers over lengths."""
    timed = [r for r in results if r.cell["protocol"].get("role") == "time"]
    anchors = [r for r in results if r.cell["protocol"].get("role") == timing.ANCHOR]
    return timing.ratio_rows(timed, ("train",)) + timing.scaling_rows([*timed, *anchors])


def compared(row: Row) -> ByRound | ByValue | Counted | None:
    """Times and peaks. What is derived from several lengths holds what the machine did between them."""
    if row.metric == "step_time_s":
        return ByRound(row.phase)
    if row.metric == "largest_length":
        return Counted()
    return ByValue() if row.metric == "peak_bytes" else None


suite = Suite(
    name="scaling", summary="time and memory of a training step against length: slopes, exponent, crossover",
    plan=plan, measure=measure, conclude=conclude, timed=True, limits=("compute",), compared=compared,
    primary=("step_time_s", "peak_bytes", "exponent", "local_slope", "crossover_length", "time_ratio",
             "slow_start_s"),
    plots=(("step_time_s", "train"), ("peak_bytes", "train")),
)
