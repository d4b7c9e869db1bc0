"""Throughput: training, prefill and decode in tokens/s, time to first token, latency per token; interleaved rounds.

The members of a timing group and a second copy of the baseline (the A/A control) take turns, so that drift and
neighbours hit all alike; ratios are paired by round, and nothing is ranked below the noise that the control shows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from harness import ByRound, Cell, CellResult, Request, Row, Suite, Workbench, stats, timing, timing_group

SEQ_LENS, BATCH_SIZE, ROUNDS = (256, 1024), 2, 9
DECODED = 16                                # tokens per decode round


def plan(request: Request) -> Iterator[Cell]:
    for seq_len in request.seq_lens or SEQ_LENS:
        members = [
            request.cell("throughput", choice, seq_len=seq_len, batch_size=request.batch_size or BATCH_SIZE,
                         protocol={"rounds": request.rounds or ROUNDS})
            for choice in request.models
        ]
        group = timing_group(members)
        yield from (replace(cell, group=group) for cell in members)


def measure(cell: Cell, bench: Workbench) -> None:
    model = bench.build()
    train(cell, bench, model)
    prefill(cell, bench, model)
    decode(cell, bench, model)
    bench.vouch(model)


def train(cell: Cell, bench: Workbench, model: Any) -> None:
    step = bench.train_step(model)

    def batch(number: int) -> tuple[Any, Any]:
        tokens = bench.tokens(cell.batch_size, cell.seq_len + 1, seed=number)
        return tokens[:, :-1], tokens[:, 1:]

    seconds = bench.time(lambda pair: step(*pair), inputs=batch, check=bench.training_check(step))
    flops = bench.flops(model, cell.batch_size, cell.seq_len, "train")
    rate_row(cell, bench, "train", seconds, cell.batch_size * cell.seq_len, flops)


def prefill(cell: Cell, bench: Workbench, model: Any) -> None:
    forward = bench.inference(model)
    seconds = bench.time(
        lambda tokens: forward(tokens, None)[0], check=bench.inference_check(model),
        inputs=lambda number: bench.tokens(cell.batch_size, cell.seq_len, seed=number))
    flops = bench.flops(model, cell.batch_size, cell.seq_len, "prefill")
    rate_row(cell, bench, "prefill", seconds, cell.batch_size * cell.seq_len, flops)


def decode(cell: Cell, bench: Workbench, model: Any) -> None:
    """One sequence: time to the first token, then token by token after a context of the cell's length."""
    forward = bench.inference(model)

    def prompt(number: int) -> Any:
        return bench.tokens(1, cell.seq_len, seed=number)

    def first_token(tokens: Any) -> Any:
        logits, _ = forward(tokens, None)
        logits.argmax(-1)
        return logits

    first = bench.time(first_token, inputs=prompt, check=bench.inference_check(model))
    bench.raw["first_token"] = first
    median = stats.median_interval(first)
    bench.row("time_to_first_token_s", median.value, "s", "lower", phase="prefill",
              ci_low=median.low, ci_high=median.high)
    text = prompt(0)
    with bench.turn():
        _, context = forward(text, None)
    latencies: list[float] = []
    advance, begin = bench.continuation(model, context)

    def following(number: int) -> tuple[Any, Iterator[Any]]:
        # The tensors of inputs are copied to shared places within the clock; an iterator is left alone, and holds no
        # state that it has given out.
        return bench.tokens(1, DECODED, seed=number), iter([begin()])

    def generate(given: tuple[Any, Iterator[Any]]) -> list[Any]:
        tokens, (state,) = given
        read = []
        for token in tokens.split(1, dim=1):
            started = time.perf_counter()
            logits, state = advance(token, state)
            bench.synchronize()
            latencies.append(time.perf_counter() - started)
            read.append(logits)
        return read

    seconds = bench.time(generate, inputs=following, check=bench.inference_check(model, text))
    warm = latencies[len(latencies) // 4:]
    with bench.turn():
        state = begin()
        for token in bench.tokens(1, DECODED).split(1, dim=1):
            _, state = advance(token, state)
    shown = bench.state_bytes(context)
    bytes_read = bench.tensor_bytes(model.parameters()) + shown             # spare room is held and not read
    rate_row(cell, bench, "decode", seconds, DECODED, None, bytes_read * DECODED,
             state_bytes=max(shown, bench.held_bytes(state)))
    for name, share in (("latency_p50_s", 50), ("latency_p95_s", 95)):
        bench.row(name, stats.percentile(warm, share), "s", "lower", phase="decode")


def rate_row(
    cell: Cell, bench: Workbench, phase: str, seconds: Sequence[float], tokens: int, flops: Any, bytes_read: int = 0,
    **fields: Any,
) -> None:
    """tokens/s from the median round, with the ceiling that arithmetic or bandwidth sets on this machine."""
    bench.raw[phase] = list(seconds)
    median = stats.median_interval(seconds)
    rate = bench.limits.get(f"gemm_{cell.dtype}_flops_per_s") if flops else bench.limits.get("copy_bytes_per_s")
    if rate:
        least = (flops.value if flops else bytes_read) / rate              # seconds
        fields |= {"limit": tokens / least, "limit_kind": "compute" if flops else "bandwidth"}
    if median.low and median.high:
        fields |= {"ci_low": tokens / median.high, "ci_high": tokens / median.low}
    bench.row("tokens_per_s", tokens / median.value, "tokens/s", "higher", phase=phase, **fields)


def conclude(results: Sequence[CellResult]) -> list[Row]:
    """Paired time ratios to the baseline of each group, with the noise floor of its A/A control."""
    return timing.ratio_rows(results, ("train", "prefill", "decode"))


def compared(row: Row) -> ByRound | None:
    """Rates and the first token. Ratios to the baseline repeat them; percentiles of latency have no rounds."""
    if row.metric == "time_to_first_token_s":
        return ByRound("first_token")
    return ByRound(row.phase) if row.metric == "tokens_per_s" else None


suite = Suite(
    name="throughput", summary="tokens/s in training, prefill and decode, time to first token, latency percentiles",
    plan=plan, measure=measure, conclude=conclude, timed=True, limits=("compute", "bandwidth"),
    compared=compared,
    primary=("tokens_per_s", "time_ratio", "time_to_first_token_s", "latency_p50_s", "latency_p95_s",
             "slow_start_s"),
)
