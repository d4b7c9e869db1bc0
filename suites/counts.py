"""Counts: the parameters of a model, those that grow with the vocabulary apart. Nothing is built, nothing is run.

Real degrees of freedom, tied weights once, as the config decides them; a published size of any size is counted in a
second. With a tokenizer that is not at hand its vocabulary is still known.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness import Cell, Counted, Request, Row, Suite, Workbench


def plan(request: Request) -> Iterator[Cell]:
    for choice in request.models:
        if not choice.selector.checkpoint:
            yield request.cell("counts", choice, dtype="float32")


def measure(cell: Cell, bench: Workbench) -> None:
    found = bench.count()
    bench.row("total_parameters", found.total, "", "lower")
    bench.row("vocabulary_parameters", found.embedding, "", "lower")
    bench.row("body_parameters", found.non_embedding, "", "lower")


def compared(row: Row) -> Counted:
    return Counted()


suite = Suite(
    name="counts", summary="parameters, those of the vocabulary tables apart; nothing is built or run",
    plan=plan, measure=measure, limits=(), compared=compared,
    primary=("total_parameters", "vocabulary_parameters", "body_parameters"),
)
