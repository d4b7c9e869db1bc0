"""`harness export`: a run in a form that the field's other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import unknown
from .options import PluginFiles, load_registry

OF_A_RUN = ("every-eval-ever", "model-index")


def export(
    source: Annotated[str, typer.Argument(help="A results directory.",
        metavar="RUN")],
    form: Annotated[str, typer.Option("--format", help=f"{' or '.join(OF_A_RUN)}.",
        metavar="FORMAT")],
    out: Annotated[Path, typer.Option("-o", "--out", help="A new directory.", metavar="DIR")],
    plugin_file: PluginFiles = None,
) -> None:
    """Write results as records of Every Eval Ever or as model cards.

    Example: harness export results/first --format every-eval-ever -o eee
    """
    if form not in OF_A_RUN:
        raise unknown("format", form, OF_A_RUN)
    registry = load_registry(plugin_file)
    from ..reading import read_run

    run = read_run(Path(source), registry)
    if form == "every-eval-ever":
        from ..bridges.every_eval_ever import export_every_eval_ever

        told = export_every_eval_ever(run, out)
    else:
        from ..bridges.model_index import export_model_index

        told = export_model_index(run, out, registry.suites)
    print(f"{out}: {told}")
