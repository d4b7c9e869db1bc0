"""`harness new`: a plugin to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from .options import load_registry


def new(
    name: Annotated[str, typer.Argument(help="Name of the plugin, an identifier such as mymodel.", metavar="NAME")],
    directory: Annotated[Path | None, typer.Option(
        help="Where to put it; default: a folder of that name here.", metavar="PATH")] = None,
    heads: Annotated[bool, typer.Option(
        "--heads", help="A model with several heads: its width goes in multiples of them.")] = False,
) -> None:
    """Write a new plugin: a package, its test and its pyproject.

    Example: harness new mymodel
    """
    from ..conformance.scaffold import create

    if name in load_registry(None).models:
        raise UsageError(f"a plugin {name!r} is already registered; choose another name")
    for path in create(name, directory or Path(name), heads):
        print(path)
    where = shlex.quote(str(directory or Path(name)))
    print(f"try it: harness check {where} && harness run -p {where} --suite scaling --plugins {name},baseline")
