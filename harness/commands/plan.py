"""`harness plan`: what a run would cost, before it is started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import HarnessError
from ..quantities import format_number
from ..run.flags import RunOptions
from .listing import Entry, print_listing
from .options import Json, print_objects, with_flags
from .planning import asked_for, registry_for

if TYPE_CHECKING:
    from ..store import CellResult


@with_flags
def plan(
    options: RunOptions,
    recorded: Annotated[list[Path] | None, typer.Option(
        help="A results directory to judge by; may be repeated. Default: --out and all beside it.",
        metavar="RUN")] = None,
    as_json: Json = False,
) -> None:
    """Price a run: its cells, how many are to be measured, and what they will take.

    The flags are those of harness run. Times are those of this machine if the recorded runs are, with a 95 % interval;
    cells of a suite that was never recorded have none. Nothing is measured.

    Example: harness plan --suite perplexity --plugins ssm,baseline --seeds 8 --out results/many
    """
    from ..evidence.format import span
    from ..evidence.pricing import kind_of_cell, prices
    from ..run.plan import make_plan
    from ..run.request import core_count
    from ..store import Store

    registry = registry_for(options)
    names, request, directory = asked_for(registry, options)
    store = Store(directory, create=False) if directory.exists() else None
    planned = make_plan(registry, names, request, store, options.retry)
    cells = [cell.record() for cell in planned.missing]
    found = prices(_recorded(recorded or _beside(directory)), cells)
    known, counts = Counter(kind_of_cell(cell.record()) for cell in planned.cells), Counter(map(kind_of_cell, cells))
    jobs = options.jobs or max(1, core_count() // options.threads)
    if as_json:
        print_objects("price", ({
            "cells": known[kind], "missing": counts[kind], "seconds": price and price.value,
            "low": price and price.low, "high": price and price.high,
            "recorded": price.n if price else 0, "cells_of": kind} for kind, price in found.items()))
        return
    entries = []
    for kind, price in found.items():
        told = "nothing like it is recorded" if price is None else (
            f"{span(price.value)} ({span(price.low or 0)} to {span(price.high or 0)}), from "
            f"{format_number(price.n, 'recorded cell')}")
        entries.append(Entry((kind, f"{counts[kind]} of {format_number(known[kind], 'cell')}", told)))
    print_listing(entries)
    alone = {kind_of_cell(cell.record()) for cell in planned.missing if cell.group or cell.alone}
    total = sum(price.value / (1 if kind in alone else jobs) for kind, price in found.items() if price)
    unknown = sum(counts[kind] for kind, price in found.items() if price is None)
    print(f"{format_number(len(planned.cells), 'cell')}, {len(cells)} to measure: about {span(total)} here, with "
          f"{format_number(jobs, 'job')}" + f", and {format_number(unknown, 'cell')} without a price" * bool(unknown))


def _beside(directory: Path) -> list[Path]:
    """The results directories in the folder of one."""
    folder = directory.parent
    return sorted(path for path in folder.iterdir() if (path / "manifest.json").is_file()) if folder.is_dir() else []


def _recorded(directories: Sequence[Path]) -> list[CellResult]:
    """Their cells; a directory that cannot be read has none to judge by."""
    from ..store import Store

    found: list[Any] = []
    for directory in directories:
        try:
            found += Store(directory, create=False).results()
        except HarnessError:
            continue
    return found
