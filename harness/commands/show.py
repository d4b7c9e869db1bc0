"""`harness show`: the tables of a finished run, printed again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import FileError
from .options import Json, PluginFiles, load_registry, print_json


def show(
    run: Annotated[Path, typer.Argument(help="Results directory.", metavar="RUN")],
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Print the tables of a run again, as `harness run` printed them at its end. Nothing is measured or written.

    Example: harness show results/first
    """
    from ..reading import conclude, read_run

    registry = load_registry(plugin_file)
    found = read_run(run, registry)
    if not found.results:
        raise FileError(f"{run} holds no finished cell; `harness run --out {run}` makes them")
    place = {cell_id: index for index, cell_id in enumerate(found.manifest.get("planned", ()))}
    results = sorted(found.results, key=lambda result: place.get(result.id, len(place)))
    measured = dict.fromkeys(result.cell["suite"] for result in results)
    suites = [registry.suites[name] for name in measured if name in registry.suites]
    rows = [row for result in results for row in result.rows]
    rows += conclude(suites, results, found.manifest.get("run_id", ""))
    if as_json:
        print_json(rows)
        return
    from ..evidence.tables.console import print_report
    from ..foreign_load import busy_line

    print_report(rows, suites, run, busy_line(results, found.environments))
