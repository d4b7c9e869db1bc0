"""`harness export`: a run, or trained weights, in a form that the field's other tools read."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from ..errors import PluginError, unknown
from .options import PluginFiles, load_registry

OF_A_RUN = ("every-eval-ever", "model-index")
OF_WEIGHTS = {"hf": ("transformers", "peers"), "onnx": ("onnxscript", "onnx")}      # the package of each, its extra


def export(
    source: Annotated[str, typer.Argument(help="A results directory, or a checkpoint for a form of weights.",
        metavar="SOURCE")],
    form: Annotated[str, typer.Option("--format", metavar="FORMAT",
        help=f"Of a run: {' or '.join(OF_A_RUN)}. Of weights: {' or '.join(OF_WEIGHTS)}.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="A new directory.", metavar="DIR")],
    plugin_file: PluginFiles = None,
) -> None:
    """Write a run as records of Every Eval Ever or as model cards, trained weights for transformers or as ONNX.

    Exit code 1 where a model has no graph, 3 where a package is missing, 4 where there is nothing to export.

    Example: harness export results/first --format every-eval-ever -o eee
    """
    if form in OF_A_RUN:
        told = _export_run(Path(source), form, out, plugin_file)
    elif form in OF_WEIGHTS:
        told = _export_weights(source, form, out, plugin_file)
    else:
        raise unknown("format", form, (*OF_A_RUN, *OF_WEIGHTS))
    print(f"{out}: {told}")


def _export_run(source: Path, form: str, out: Path, plugin_file: list[Path] | None) -> str:
    registry = load_registry(plugin_file)
    from ..reading import read_run

    run = read_run(source, registry)
    if form == "every-eval-ever":
        from ..bridges.every_eval_ever import export_every_eval_ever

        return export_every_eval_ever(run, out)
    from ..bridges.model_index import export_model_index

    return export_model_index(run, out, registry.suites)


def _export_weights(source: str, form: str, out: Path, plugin_file: list[Path] | None) -> str:
    package, extra = OF_WEIGHTS[form]
    if find_spec(package) is None:
        raise PluginError(f"--format {form} needs the package {package}: pip install 'qllm-harness[{extra}]'")
    from ..checkpoint import open_checkpoint

    opened, registry = open_checkpoint(source), load_registry(plugin_file)
    from ..bench.restored import restore
    from ..bridges.records import make_folder

    restored = restore(registry, opened)
    make_folder(out)
    if form == "onnx":
        from ..bridges.onnx import export_onnx

        return export_onnx(restored, out)
    from ..bridges.hf import export_hf

    return export_hf(restored, out)
