"""`harness plan`: what a run would cost, before it is started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import HarnessError
from ..quantities import format_number
from ..run.flags import RunOptions
from .listing import Entry, print_listing
from .options import Json, print_objects, with_flags
from .planning import asked_for, registry_for

if TYPE_CHECKING:
    from ..evidence.statistics.student import Estimate
    from ..store import CellResult

HOUR = 3600


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
    so is memory, of the largest cell, where a suite tells it, and disk, weights included. Cells of a suite that was
    never recorded have no price. Nothing is measured.

    Example: harness plan --suite perplexity --plugins ssm,baseline --seeds 8 --out results/many
    """
    from ..evidence.format import format_value, span
    from ..evidence.pricing import MEMORY, SECONDS, disk, kind_of_cell, prices
    from ..run.plan import make_plan
    from ..run.request import core_count
    from ..store import Store

    registry = registry_for(options)
    names, request, directory = asked_for(registry, options)
    store = Store(directory, create=False) if directory.exists() else None
    planned = make_plan(registry, names, request, store, options.retry)
    cells = [cell.record() for cell in planned.missing]
    results, bytes_of = _recorded(recorded or _beside(directory))
    found = prices(results, cells, SECONDS)
    memory, room = prices(results, cells, MEMORY), prices(results, cells, disk(bytes_of))
    known, counts = Counter(kind_of_cell(cell.record()) for cell in planned.cells), Counter(map(kind_of_cell, cells))
    jobs = options.jobs or max(1, core_count() // options.threads)
    devices = 1 if request.device == "cuda" else options.threads            # that a cell takes at once
    if as_json:
        print_objects("price", ({
            "cells": known[kind], "missing": counts[kind], **_told("", "seconds", price),
            "recorded": price.n if price else 0, **_told("memory_", "memory_bytes", memory[kind]),
            **_told("disk_", "disk_bytes", room[kind]), "device": request.device,
            "device_hours": price and price.value * devices / HOUR, "cells_of": kind} for kind, price in found.items()))
        return
    entries = []
    for kind, price in found.items():
        told = "nothing like it is recorded" if price is None else "; ".join(filter(None, [
            f"{span(price.value)} ({span(price.low or 0)} to {span(price.high or 0)}), from "
            f"{format_number(price.n, 'recorded cell')}", _hours(price.value * devices, request.device),
            _bytes("memory up to", memory[kind]), _bytes("disk", room[kind])]))
        entries.append(Entry((kind, f"{counts[kind]} of {format_number(known[kind], 'cell')}", told)))
    print_listing(entries)
    alone = {kind_of_cell(cell.record()) for cell in planned.missing if cell.timed}
    total = sum(price.value / (1 if kind in alone else jobs) for kind, price in found.items() if price)
    unknown = sum(counts[kind] for kind, price in found.items() if price is None)
    print(f"{format_number(len(planned.cells), 'cell')}, {len(cells)} to measure: about {span(total)} here, with "
          f"{format_number(jobs, 'job')}" + f", and {format_number(unknown, 'cell')} without a price" * bool(unknown))
    taken = sum(price.value for price in found.values() if price) * devices
    held = max((one.value * (1 if kind in alone else min(jobs, counts[kind])) for kind, one in memory.items() if one),
               default=0)
    written = sum(one.value for one in room.values() if one)
    totals = [_hours(taken, request.device)]
    totals += [f"memory about {format_value(held, 'B')} at once, beyond the processes themselves"] * bool(held)
    totals += [f"disk about {format_value(written, 'B')}"] * bool(written)
    if any(totals):
        print("; ".join(filter(None, totals)))


def _told(prefix: str, name: str, price: Estimate | None) -> dict[str, float | None]:
    value, low, high = (price.value, price.low, price.high) if price else (None, None, None)
    return {name: value, f"{prefix}low": low, f"{prefix}high": high}


def _hours(seconds: float, device: str) -> str:
    return f"{seconds / HOUR:.3g} {'GPU' if device == 'cuda' else 'core'} hours" if seconds else ""


def _bytes(what: str, price: Estimate | None) -> str:
    from ..evidence.format import format_value

    return f"{what} {format_value(price.value, 'B')} (to {format_value(price.high or 0, 'B')})" if price else ""


def _beside(directory: Path) -> list[Path]:
    """The results directories in the folder of one."""
    folder = directory.parent
    return sorted(path for path in folder.iterdir() if (path / "manifest.json").is_file()) if folder.is_dir() else []


def _recorded(directories: Sequence[Path]) -> tuple[list[CellResult], dict[str, float]]:
    """Their cells, and the bytes of each on disk by its id; a directory that cannot be read has none to judge by."""
    from ..store import Store

    found: list[CellResult] = []
    bytes_of: dict[str, float] = {}
    for directory in directories:
        with suppress(HarnessError):
            store = Store(directory, create=False)
            results = store.results()
            found += results
            for result in results:
                with suppress(OSError):                     # somebody is at work there
                    files = [store.cells / f"{result.id}.json", *(store.weights / result.id).glob("*")]
                    bytes_of[result.id] = float(sum(file.stat().st_size for file in files))
    return found, bytes_of
