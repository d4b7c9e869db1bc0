"""`harness report`: one or several runs as a page or as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .options import PluginFiles, load_registry

SUFFIXES = {".html": False, ".htm": False, ".md": True}


def report(
    runs: Annotated[list[Path], typer.Argument(help="Results directories; several are told apart by name.")],
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", help="The file to write, .html or .md; default: report.html.")] = None,
    markdown: Annotated[bool, typer.Option(
        "--markdown", help="Write Markdown, with the plots as SVG files beside it.")] = False,
    plugin_file: PluginFiles = None,
) -> None:
    """Write a report: headline numbers, plots, audits, every row, and how to repeat it. One file, no network."""
    path = out or Path("report.md" if markdown else "report.html")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"-o must name a .html or .md file, not {path}")
    if markdown and not SUFFIXES[path.suffix]:
        raise UsageError(f"--markdown writes a .md file, not {path}")
    from ..evidence.claims.verdict_file import load_verdicts
    from ..evidence.report.compose import build

    document = build(runs, load_registry(plugin_file), [verdict for run in runs for verdict in load_verdicts(run)])
    if SUFFIXES[path.suffix]:
        from ..evidence.report.markdown import write

        written = write(document, path)
        print(path, *[f"and {len(written) - 1} figures in {written[1].parent}"] * (len(written) > 1))
    else:
        from ..evidence.report.html import render_html
        from ..store import write_atomically

        write_atomically(path, render_html(document))
        print(path)
