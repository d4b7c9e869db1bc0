"""The hooks of the harness. A plugin implements any of them with `@hookimpl` and returns cheap specs.

Register a package under the entry-point group "harness", or name a file with `-p my_model.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pluggy

from .executor import Executor
from .specs import ComponentSpec, CorpusSpec, EncodingSpec, ModelSpec, TokenizerSpec
from .store import CellResult
from .suite import Suite

PROJECT = "harness"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def harness_models() -> list[ModelSpec]:  # type: ignore[empty-body]
    """The model plugins this package brings."""


@hookspec
def harness_components() -> list[ComponentSpec]:  # type: ignore[empty-body]
    """The components this package brings for models that have places for them, its own or others'."""


@hookspec
def harness_suites() -> list[Suite]:  # type: ignore[empty-body]
    """The suites this package brings."""


@hookspec
def harness_corpora() -> list[CorpusSpec]:  # type: ignore[empty-body]
    """The corpora this package brings."""


@hookspec
def harness_tokenizers() -> list[TokenizerSpec]:  # type: ignore[empty-body]
    """The tokenizers this package brings."""


@hookspec
def harness_encodings() -> list[EncodingSpec]:  # type: ignore[empty-body]
    """The codes for weight matrices this package brings."""


@hookspec
def harness_claims() -> list[Path]:  # type: ignore[empty-body]
    """The claim files (TOML) this package brings."""


@hookspec
def harness_environment() -> dict[str, Any]:  # type: ignore[empty-body]
    """Further facts about this machine for the manifest."""


@hookspec
def harness_cell_finished(result: CellResult, directory: Path) -> None:
    """Called in the parent after a cell was stored, for exporters."""


@hookspec(firstresult=True)
def harness_executor(name: str, local: Executor) -> Executor | None:
    """The executor of `--executor NAME`, None for a name that is not this plugin's. It may wrap the `local` one."""
