"""Kernels: every implementation of a plugin's inner loop against its floor and the published form, in one process.

The rounds of a group are randomised and interleaved, so that ratios hold on a noisy machine. Peaks are of one call, its
result included and its inputs not, the middle one of three: what is freed may lie in fragments. On a GPU every
implementation is timed as a CUDA graph as well, which is what it takes without its launches; these rows have no ratio,
for a floor or a reference that is launched would be compared with none. A further row states what the harness's own
training step costs beside the same step written as a bare PyTorch loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from harness import ByRound, ByValue, Cell, Request, Row, Suite, Unsupported, Workbench, stats

ROUNDS, PEAKS = 11, 3
GROUP_SECONDS = 15.0                        # of rounds, unless --rounds says how many
NOISE_BYTES = 1 << 20                       # no ratio to a peak below: it is the allocator's as much as the case's
SEQ_LEN, BATCH_SIZE, OVERHEAD_ROUNDS = 256, 16, 25


def plan(request: Request) -> Iterator[Cell]:
    for choice in request.models:
        protocol: dict[str, Any] = {"rounds": request.rounds or ROUNDS}
        if not request.rounds:
            protocol["limit"] = GROUP_SECONDS
        if choice.spec.kernels:
            yield request.cell("kernels", choice, params=0, alone=True, protocol={**protocol, "role": "kernels"})
        yield request.cell("kernels", choice, seq_len=SEQ_LEN, batch_size=BATCH_SIZE, alone=True,
                           protocol={**protocol, "role": "overhead"})


def measure(cell: Cell, bench: Workbench) -> None:
    (kernels if cell.get("role") == "kernels" else overhead)(cell, bench)


def kernels(cell: Cell, bench: Workbench) -> None:
    cases = []
    for case in bench.kernels():
        if case.reason:
            told(case.name, case.reason, bench)
        else:
            cases.append(case)
    clock([*cases, *(graphs(cases, bench) if cell.device == "cuda" else ())], cell, bench)
    weigh(cases, bench)


def told(name: str, reason: str, bench: Workbench) -> None:
    """A row without a number: nothing failed, this machine has no such thing."""
    bench.row(f"time_s:{name}", None, "s", "lower", reason=reason)


def graphs(cases: list[Any], bench: Workbench) -> Iterator[Any]:
    for case in cases:
        if case.role == "implementation":
            name = f"{case.name}/graph"
            try:
                yield replace(case, name=name, run=bench.graphed(case.run), group=f"{case.group}/graph")
            except Unsupported as error:
                if error.status == "oom":
                    bench.fail(f"time_s:{name}", str(error), error.status, unit="s", better="lower")
                else:
                    told(name, str(error), bench)


def clock(cases: list[Any], cell: Cell, bench: Workbench) -> None:
    """Times of all cases, and their ratios within a group."""
    seconds: dict[str, list[float]] = {}
    for group in dict.fromkeys(case.group for case in cases):
        calls = {case.name: case.run for case in cases if case.group == group}
        seconds |= bench.time_cases(calls, limit=cell.get("limit") or math.inf)
    bench.raw.update(seconds)
    compared = {
        "ratio_to_floor": {c.group: c.name for c in cases if c.role == "floor"},
        "ratio_to_baseline": {c.group: c.name for c in cases if c.role == "baseline"},
        "speedup_over_published": {c.group: c.name for c in cases if c.role == "reference"},
    }
    for case in cases:
        times = seconds[case.name]
        median = stats.median_interval(times)
        bench.row(f"time_s:{case.name}", median.value, "s", "lower", ci_low=median.low, ci_high=median.high)
        for label, table in compared.items():
            other = table.get(case.group)
            if other in (None, case.name) or case.role == "floor":
                continue
            speedup = label == "speedup_over_published"
            ratio = stats.paired_ratio(seconds[other], times) if speedup else stats.paired_ratio(times, seconds[other])
            bench.row(f"{label}:{case.name}", ratio.value, "x", "higher" if speedup else "lower",
                      ci_low=ratio.low, ci_high=ratio.high)


def weigh(cases: list[Any], bench: Workbench) -> None:
    """Peak bytes of every case but the floors, which move what is there already."""
    cases = [case for case in cases if case.role != "floor"]
    readings = {case.name: [peak(case, bench) or 1 for _ in range(PEAKS)] for case in cases}            # 0 has no ratio
    bench.raw.update({f"peak {name}": found for name, found in readings.items()})
    peaks = {name: sorted(found)[PEAKS // 2] for name, found in readings.items()}
    baselines, references = ({c.group: peaks[c.name] for c in cases if c.role == role}
                             for role in ("baseline", "reference"))
    for case in cases:
        own = peaks[case.name]
        bench.row(f"peak_bytes:{case.name}", own, "B", "lower")
        if case.role != "baseline" and baselines.get(case.group, 0) > NOISE_BYTES:
            bench.row(f"peak_ratio_to_baseline:{case.name}", own / baselines[case.group], "x", "lower")
        if case.role != "reference" and references.get(case.group, 0) > NOISE_BYTES:
            bench.row(f"peak_reduction_over_published:{case.name}", references[case.group] / own, "x", "higher")


def peak(case: Any, bench: Workbench) -> int:
    """By the headline method of the device."""
    return next(iter(bench.peak_memory(case.run).values()))


def overhead(cell: Cell, bench: Workbench) -> None:
    """The harness's training step over a bare loop's, the same model, data and optimiser."""
    tokens = bench.tokens(cell.batch_size, cell.seq_len + 1)
    ours, bare = bench.train_step(bench.build()), bench.bare_step(bench.build())
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    seconds = bench.time_cases(
        {"harness": lambda: ours(inputs, targets), "bare": lambda: bare(inputs, targets)}, OVERHEAD_ROUNDS)
    bench.raw.update(seconds)
    ratio = stats.paired_ratio(seconds["harness"], seconds["bare"])
    bench.row("harness_overhead", ratio.value, "x", "lower", phase="train", ci_low=ratio.low, ci_high=ratio.high)


def compared(row: Row) -> ByRound | ByValue:
    """Times and peaks by their rounds; ratios were taken in one process, where its drift has cancelled."""
    name, _, case = row.metric.partition(":")
    keys = {"time_s": case, "peak_bytes": f"peak {case}"}
    return ByRound(keys[name]) if name in keys else ByValue(machine=True)


suite = Suite(
    name="kernels", summary="time and memory of a plugin's inner loop, every form, against its floor and as published",
    plan=plan, measure=measure, limits=(), timed=True, compared=compared,
    primary=("time_s", "ratio_to_floor", "ratio_to_baseline", "speedup_over_published", "peak_bytes",
             "peak_ratio_to_baseline", "peak_reduction_over_published", "harness_overhead"),
)
