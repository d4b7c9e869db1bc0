"""`harness site`: a leaderboard over many runs and machines, as a folder of pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..quantities import format_number
from .options import PluginFiles, load_registry


def site(
    runs: Annotated[list[Path], typer.Argument(help="Results directories.", metavar="RUNS")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.", metavar="DIR")],
    title: Annotated[str, typer.Option(help="The title; default: Leaderboard.", metavar="TITLE")] = "",
    plugin_file: PluginFiles = None,
) -> None:
    """Write a leaderboard over runs and machines: rankings of what is comparable, every row under a permanent link,
    plots, verdicts, audits, and how to repeat it.

    A folder of pages that needs no network and no server: open its index.html, or copy it to any web space. Systems
    share a ranking only where harness compare would set them side by side.

    Example: harness site results/reference/cpu results/reference/ladder -o site
    """
    from ..evidence.drawing import vega
    from ..evidence.site.pages import write_site
    from ..evidence.site.site import read_site

    found = read_site(runs, load_registry(plugin_file), title)
    if not vega.available():
        print(vega.MISSING, file=sys.stderr)
    written = write_site(found, out)
    print(f"{out / 'index.html'}: {format_number(len(found.boards), 'ranking')}, "
          f"{format_number(len(found.rows), 'row')}, {format_number(len(written), 'file')}")
