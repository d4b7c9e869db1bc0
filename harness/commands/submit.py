"""`harness submit`: a run handed to a cluster's scheduler, as tasks that each measure a part of the cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from ..errors import UsageError
from ..quantities import format_number
from ..run.flags import RunOptions
from .options import with_flags
from .planning import asked_for, registry_for

PARTS = 16


@with_flags
def submit(
    options: RunOptions,
    slurm: Annotated[bool, typer.Option("--slurm", help="Submit an array to SLURM.")] = False,
    parts: Annotated[int, typer.Option(help="Into how many parts the cells are divided, a task each.", metavar="N")
    ] = PARTS,
    sbatch: Annotated[str, typer.Option(help="Further options of sbatch, e.g. \"--partition=long --time=4:00:00\".",
                                        metavar="OPTIONS")] = "",
    dry_run: Annotated[bool, typer.Option(help="Print the script and stop.")] = False,
) -> None:
    """Hand a run to a cluster: an array of tasks, each of which measures a part of the cells.

    The flags are those of harness run. The same command again submits what is missing, and nothing where nothing is.
    A task that is preempted, or whose time is up, keeps its finished cells and asks to be queued again. All of them
    write to --out, which must be on a file system that the nodes share. Devices and types named auto are those of the
    machine that submits.

    Example: harness submit --slurm --suite perplexity --plugins ssm,baseline --seeds 8 --out results/many
    """
    from ..run.plan import make_plan
    from ..run.request import resolve_device, resolve_dtype
    from ..run.shards import MOST, Shard, sharded
    from ..run.slurm import parse_wishes, script, submitted
    from ..store import Store

    if not slurm:
        raise UsageError("name the scheduler to submit to: --slurm")
    if options.shard:
        raise UsageError("--shard is what every task is given; leave it out, and say --parts")
    if not 1 <= parts <= MOST:
        raise UsageError(f"--parts must be between 1 and {MOST:,}, got {parts}")
    wishes = parse_wishes(sbatch)
    device = "cuda" if options.device == "cuda" else resolve_device(options.device)
    options = replace(options, device=device, dtype=resolve_dtype(options.dtype, device))
    registry = registry_for(options)
    names, request, directory = asked_for(registry, options, here=False)
    options = replace(options, out=str(directory))
    store = Store(directory, create=False) if directory.exists() else None
    planned = make_plan(registry, names, request, store, options.retry)
    left = {number: len(sharded(planned, Shard(number, parts)).missing) for number in range(1, parts + 1)}
    numbers = [number for number, cells in left.items() if cells]
    if not numbers:
        print(f"nothing is missing in {directory}")
        return
    text = script(options, directory.resolve(), numbers, parts, wishes)
    if dry_run:
        print(text, end="")
        return
    print(submitted(text, directory))
    print(f"{format_number(sum(left.values()), 'cell')} in {format_number(len(numbers), 'task')} -> {directory}")
