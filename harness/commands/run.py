"""`harness run`: plan the cells of suites and plugins, measure what is missing, print the tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..quantities import split
from ..run.flags import RunOptions
from .matrix import print_matrix
from .options import Json, Quiet, Verbose, given, print_json, with_flags
from .planning import asked_for, registry_for

if TYPE_CHECKING:
    from ..registry import Registry
    from ..run.config_file import ConfigFile
    from ..run.plan import Plan
    from ..store import Row, Store
    from .progress import Reporter


@with_flags
def run(
    context: typer.Context,
    options: RunOptions,
    dry_run: Annotated[bool, typer.Option(help="Show the matrix and stop.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file with these options under their own names.",
        metavar="PATH")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run suites over plugins and write the tables; the same command again measures what is missing.

    Example: harness run --suite perplexity,scaling --plugins phasefield,baseline --out results/first
    """
    from ..export import make_exporters, reader_lines
    from ..run import plan as planning
    from ..run.config_file import read_config_file
    from ..run.request import with_config
    from ..run.shards import parse_shard, sharded
    from ..store import Store
    from .progress import Reporter

    file = read_config_file(config) if config else None
    options = with_config(options, file, given(context))
    shard = parse_shard(options.shard) if options.shard else None
    registry = registry_for(options)
    exporters = make_exporters(split(options.export))
    for exporter in exporters:
        registry.manager.register(exporter)
    names, request, directory = asked_for(registry, options)
    store = Store(directory, create=not dry_run) if not dry_run or directory.exists() else None
    planned = planning.make_plan(registry, names, request, store, options.retry)
    if options.cells:
        planned = planning.only(planned, split(options.cells))
    if shard:
        planned = sharded(planned, shard)
    if dry_run or store is None:
        print_matrix(planned, directory, as_json)
        return
    with Reporter(planned, quiet=quiet, verbose=verbose) as reporter:
        rows = _execute(registry, planned, store, options, file, reporter)
    if as_json:
        print_json(rows)
    else:
        from ..evidence.tables.console import print_report
        from ..foreign_load import busy_line

        results = [result for cell in planned.cells if cell.timed and (result := store.read(cell.id))]
        busy = busy_line(results, store.manifest()["environments"])
        print_report(rows, planned.suites, store.directory, busy)
    if reporter.stop.requested:
        left = len([c for c in planned.cells if store.read(c.id) is None])
        reporter.note(f"every finished cell is kept, {left} left; the same command resumes")
    for line in () if quiet else reader_lines(exporters, directory):
        print(line, file=sys.stderr)
    raise typer.Exit(planning.exit_code(rows, reporter.stop))


def _execute(
    registry: Registry, planned: Plan, store: Store, options: RunOptions, config: ConfigFile | None, reporter: Reporter,
) -> list[Row]:
    from ..run import plan as planning
    from ..run.request import make_executor, pick_executor

    files = [Path(file) for file in options.plugin_file]
    local = make_executor(options, planned.request, files, store.directory, registry.notes)
    executor = pick_executor(registry, options, planned.request.device, local)
    return planning.execute(
        planned, registry, store, executor, reporter.events, reporter.stop, ["harness", *sys.argv[1:]], reporter.note,
        config.record if config else None)
