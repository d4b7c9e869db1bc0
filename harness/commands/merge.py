"""`harness merge`: the parts of a run, or runs of several machines, as one results directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..quantities import format_number
from .options import PluginFiles, load_registry


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Results directories.", metavar="RUNS")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Results directory to write.", metavar="PATH")],
    plugin_file: PluginFiles = None,
) -> None:
    """Put the parts of a run together, or runs of several machines.

    A cell that several of them hold must be the same to the byte: exit code 4 where it is not, and nothing is written.
    The results name the machine of every cell, and only timings of one machine are compared. Verdicts are not merged;
    harness reproduce gives them on what was merged.

    Example: harness merge results/part1 results/part2 -o results/all
    """
    from ..run.merging import merge_runs

    store = merge_runs(load_registry(plugin_file), runs, out, ["harness", *sys.argv[1:]])
    cells, machines = store.results(), store.manifest()["environments"]
    print(f"{format_number(len(cells), 'cell')} of {format_number(len(machines), 'machine')} in {out}")
