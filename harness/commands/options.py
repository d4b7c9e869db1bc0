"""What the commands share: common options, and loading the registry. (no torch)"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..registry import Registry
    from ..store import Row


def load_registry(files: list[Path] | None) -> Registry:
    from ..registry import load

    return load(files or [])


def complete_models(incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in load_registry(None).models if name.startswith(last)]


def complete_suites(incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in load_registry(None).suites if name.startswith(last)]


def given(context: typer.Context) -> set[str]:
    """Names of the parameters that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}


def print_json(rows: Iterable[Row]) -> None:
    """A row a line, what is empty left out."""
    from dataclasses import asdict

    from ..store import finite

    for row in rows:
        print(json.dumps(finite({k: v for k, v in asdict(row).items() if v not in (None, "")})))


PluginFiles = Annotated[list[Path] | None, typer.Option(
    "-p", "--plugin-file", help="Load a plugin from this file, or from the project in this folder; may be repeated.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines on stdout.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="auto, float32 or bfloat16 (autocast; parameters stay float32).")]
Params = Annotated[str, typer.Option(help="Match every model to this many non-embedding parameters.")]
Tokenizer = Annotated[str, typer.Option(help="bytes, gpt2, or morphological[:roots=N].")]
Size = Annotated[str, typer.Option(help="Take this published preset instead of matching, e.g. tiny.")]
