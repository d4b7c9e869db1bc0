"""`harness report`: one or several runs as a page, as Markdown, or as JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..quantities import format_number
from .options import PluginFiles, load_registry

if TYPE_CHECKING:
    from ..evidence.report.document import Document

FORMS = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}
STDOUT = Path("-")


def report(
    runs: Annotated[list[Path], typer.Argument(help="Results directories; several are told apart by name.",
        metavar="RUNS")],
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", help="The file to write, .html, .md or .json, or - for stdout; default: report.html.",
        metavar="PATH")] = None,
    markdown: Annotated[bool, typer.Option(
        "--markdown", help="Write Markdown, with the plots as SVG files beside it; on stdout without them.")] = False,
    as_json: Annotated[bool, typer.Option(
        "--json", help="Write everything it says as one JSON document; without -o to stdout.")] = False,
    title: Annotated[str, typer.Option(help="The title; default: the names of the directories.",
        metavar="TITLE")] = "",
    plugin_file: PluginFiles = None,
) -> None:
    """Write a report: what is decided against the baseline, verdicts, headline numbers, plots, audits, every row, and
    how to repeat it. One file, no network.

    Example: harness report results/first -o first.html
    """
    path = out or (STDOUT if as_json else Path("report.md" if markdown else "report.html"))
    form = _form(path, markdown, as_json)
    from ..evidence.claims.verdict_file import load_verdicts
    from ..evidence.drawing import vega
    from ..evidence.report.compose import build

    verdicts = [verdict for run in runs for verdict in load_verdicts(run)]
    document = build(runs, load_registry(plugin_file), verdicts, title)
    if form != "json" and not vega.available():
        print(vega.MISSING, file=sys.stderr)
    if form == "md" and path != STDOUT:
        from ..evidence.report.markdown import write

        written = write(document, path)
        print(path, *[f"and {format_number(len(written) - 1, 'figure')} in {written[-1].parent}"] * (len(written) > 1))
    elif path == STDOUT:
        sys.stdout.buffer.write(_rendered(document, form).encode())     # UTF-8, whatever the terminal takes
    else:
        from ..writing import write_atomically

        write_atomically(path, _rendered(document, form))
        print(path)


def _form(path: Path, markdown: bool, as_json: bool) -> str:
    """html, md or json: what the flags say, else the name of the file. Raises UsageError where they disagree."""
    if markdown and as_json:
        raise UsageError("--json and --markdown exclude each other")
    asked = "json" if as_json else "md" if markdown else ""
    if path == STDOUT:
        return asked or "html"
    named = FORMS.get(path.suffix)
    if named is None:
        raise UsageError(f"-o must name a .html or .md file, not {path}; .json, and - for stdout, are taken too")
    if asked and named != asked:
        raise UsageError(f"{'--json' if as_json else '--markdown'} writes a .{asked} file, not {path}")
    return named


def _rendered(document: Document, form: str) -> str:
    if form == "json":
        from ..evidence.report.record import render_json

        return render_json(document) + "\n"
    if form == "md":
        from ..evidence.report.markdown import render_alone

        return render_alone(document)
    from ..evidence.report.html import render_html

    return render_html(document)
