"""What runs in the process that imports plugins for whoever plans: their specs, and answers about their options.

Nothing here can be trusted once a plugin is imported: what is answered is a claim, held to its form by who asked.
(no torch)
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from ..aliases import parted
from ..configs import HERE
from ..errors import one_line
from ..registry import BUILTIN, BrokenPlugin, Registry, load
from ..specs import ComponentSpec, CorpusSpec, EncodingSpec, ModelSpec, TokenizerSpec
from ..untrusted import held_to
from . import wall
from .sources import importable, texts_among_libraries

LISTS = ("harness_models", "harness_components", "harness_corpora", "harness_tokenizers", "harness_encodings")
SUITES, CLAIMS = "harness_suites", "harness_claims"


@dataclass(frozen=True)
class Brought:
    """What a plugin brings: specs by the names of their hooks, the names of its suites, and its other hooks."""

    harness_models: list[ModelSpec] = field(default_factory=list)
    harness_components: list[ComponentSpec] = field(default_factory=list)
    harness_corpora: list[CorpusSpec] = field(default_factory=list)
    harness_tokenizers: list[TokenizerSpec] = field(default_factory=list)
    harness_encodings: list[EncodingSpec] = field(default_factory=list)
    suites: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Findings:
    """The plugins besides the built-in ones, and what the system does not keep from their code, in words."""

    brought: dict[str, Brought]
    broken: list[BrokenPlugin]
    notes: list[str]


def connected(descriptor: int) -> None:
    """Serve whoever is at the other end, from a process that was started anew."""
    connection = Connection(descriptor)
    files, hidden, folder = connection.recv()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    serve(connection, [], files, hidden, folder)


def serve(
    connection: Connection, notes: list[str], files: Sequence[Path], hidden: Sequence[Path], folder: Path,
) -> None:
    beside = [path if path.is_dir() else path.parent for _, path in map(parted, files)]        # what a tokenizer reads
    notes += wall.build_wall([*importable(files), *beside], [*texts_among_libraries(), *hidden], folder)
    surveyor = Surveyor(files, notes)
    with contextlib.suppress(EOFError, OSError):
        while True:
            name, *given = connection.recv()
            try:
                answer = ["done", msgspec.to_builtins(getattr(surveyor, name)(*given))]
                message = json.dumps(answer)
            except BaseException as error:              # whatever a plugin raises
                text = one_line(error).removeprefix(f"{type(error).__name__}: ")
                message = json.dumps(["failed", type(error).__name__, text])
            connection.send_bytes(message.encode())


class Surveyor:
    """The questions."""

    def __init__(self, files: Sequence[Path], notes: list[str]):
        self.files, self.notes = files, notes
        self.registry: Registry | None = None

    def find(self) -> Findings:
        """Import every plugin."""
        self.registry = registry = load(self.files)
        broken = {plugin.name: plugin for plugin in registry.broken.values() if plugin.name not in BUILTIN}
        brought = {}
        for name, _ in registry.manager.list_name_plugin():
            if name not in BUILTIN:
                try:
                    brought[name] = self._brought(name)
                except Exception as error:              # it listed them once, and does not again
                    broken[name] = BrokenPlugin(name, one_line(error))
        return Findings(brought, list(broken.values()), self.notes)

    def _brought(self, plugin: str) -> Brought:
        callers = self._known.manager.get_hookcallers(self._known.manager.get_plugin(plugin)) or ()
        hooks = [caller.name for caller in callers]
        specs = {hook: list(self._own(plugin, hook)()) for hook in hooks if hook in LISTS}
        suites = [suite.name for suite in self._own(plugin, SUITES)()] if SUITES in hooks else []
        brought = Brought(**specs, suites=suites, hooks=[hook for hook in hooks if hook not in (*LISTS, SUITES)])
        return held_to(msgspec.to_builtins(brought), Brought)

    def _own(self, plugin: str, hook: str) -> Callable[[], Any]:
        """A plugin's own implementation of a hook."""
        module, caller = self._known.manager.get_plugin(plugin), getattr(self._known.manager.hook, hook)
        found: Callable[[], Any] = next(one.function for one in caller.get_hookimpls() if one.plugin is module)
        return found

    def names(self, model: str) -> list[str]:
        return HERE.names(self._spec(model))

    def spelled(self, model: str, options: Mapping[str, str]) -> dict[str, str]:
        return HERE.spelled(self._spec(model), options)

    def values(self, model: str, options: Mapping[str, str], preset: str) -> dict[str, str]:
        return HERE.values(self._spec(model), options, preset)

    def learning(self, tokenizer: str, options: Mapping[str, str]) -> dict[str, str]:
        return HERE.learning(self._known.tokenizers[tokenizer], options)

    def table(self, tokenizer: str) -> str:
        return HERE.table(self._known.tokenizers[tokenizer])

    def call(self, plugin: str, hook: str) -> Any:
        """What a hook without arguments returns, paths as texts."""
        value = self._own(plugin, hook)()
        return list(map(str, value)) if hook == CLAIMS else value

    @property
    def _known(self) -> Registry:
        assert self.registry
        return self.registry

    def _spec(self, model: str) -> ModelSpec:
        return self._known.models[model]
