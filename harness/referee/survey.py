"""Plugins as data: they are imported behind a wall, in another process, and what they say of themselves comes back.

So that nothing which a plugin runs can touch what the command plans, measures and stores. What has to run in the
command itself (a suite, an executor, an exporter) is named by whoever asks, and imported there. (no torch)
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import entry_points
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, TypeVar

from ..aliases import absolute
from ..configs import Configs
from ..errors import FileError, PluginError, UsageError
from ..hookspecs import hookimpl
from ..importing import GROUP
from ..registry import BrokenPlugin, Registry, load
from ..specs import ModelSpec, TokenizerSpec
from ..untrusted import LARGEST, Malformed, bounded, held_to
from . import surveyor, wall
from .behind import forked
from .surveyor import LISTS, Brought, Findings

SECONDS = 600.0                         # that importing all plugins may take
ERRORS = {kind.__name__: kind for kind in (UsageError, PluginError, FileError)}
ASKED = {"harness_claims": list[str], "harness_environment": dict[str, Any]}    # hooks that are data when called

T = TypeVar("T")


class Survey(Configs):
    """The process, asked. Raises whatever error it answers, PluginError where it ends or answers what is none."""

    def __init__(self, files: Sequence[Path], hidden: Sequence[Path]):
        self.folder = Path(tempfile.mkdtemp(prefix="harness-survey-"))
        arguments = ([*map(absolute, files)], [path.resolve() for path in hidden], self.folder)
        self.connection, self.pid = (_forked if wall.LINUX else _started)(*arguments)
        self.close = weakref.finalize(self, _end, self.connection, self.pid, self.folder)
        self.findings = self.ask(Findings, "find")
        self.models = {spec.name for brought in self.findings.brought.values() for spec in brought.harness_models}
        self.tokenizers = {
            spec.name for brought in self.findings.brought.values() for spec in brought.harness_tokenizers}

    def ask(self, kind: type[T], name: str, *given: Any) -> T:
        """What a question of `surveyor.Surveyor` returns, one of `kind`."""
        try:
            self.connection.send([name, *given])
            if not self.connection.poll(SECONDS):
                raise PluginError(f"the plugins gave no answer within {SECONDS:.0f} s")
            state, *rest = bounded(json.loads(self.connection.recv_bytes(LARGEST)))
            if state == "done":
                return held_to(rest[0], kind)
            error, text = held_to(rest, tuple[str, str])
        except (EOFError, OSError):
            raise PluginError(f"the process that imports the plugins ended: {self._reason()}") from None
        except (Malformed, ValueError, TypeError, LookupError, RecursionError) as wrong:
            raise PluginError(f"the process that imports the plugins answers what is no answer: {wrong}") from None
        raise ERRORS[error](text) if error in ERRORS else type(error.replace("\0", ""), (Exception,), {})(text)

    def _reason(self) -> str:
        with suppress(ChildProcessError):
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return f"exit code {code}" if code >= 0 else f"signal {-code}"
        return "it is gone"

    # This process answers for the models and tokenizers that it imports

    def names(self, spec: ModelSpec) -> list[str]:
        return self.ask(list[str], "names", spec.name) if self._knows(spec) else super().names(spec)

    def spelled(self, spec: ModelSpec, options: Mapping[str, str]) -> dict[str, str]:
        if not self._knows(spec):
            return super().spelled(spec, options)
        return self.ask(dict[str, str], "spelled", spec.name, dict(options))

    def values(self, spec: ModelSpec, options: Mapping[str, str], preset: str = "") -> dict[str, str]:
        if not self._knows(spec):
            return super().values(spec, options, preset)
        return self.ask(dict[str, str], "values", spec.name, dict(options), preset)

    def learning(self, spec: TokenizerSpec, options: Mapping[str, str]) -> dict[str, str]:
        if spec.name not in self.tokenizers:
            return super().learning(spec, options)
        return self.ask(dict[str, str], "learning", spec.name, dict(options))

    def table(self, spec: TokenizerSpec) -> str:
        return self.ask(str, "table", spec.name) if spec.name in self.tokenizers else super().table(spec)

    def _knows(self, spec: ModelSpec) -> bool:
        return spec.name in self.models


def surveyed(files: Sequence[Path], hidden: Sequence[Path], here: Callable[[Brought], str]) -> Registry:
    """Every plugin, those alone imported in this process that are built in, or of which `here` says what of them has to
    run here."""
    if not files and not entry_points(group=GROUP):
        return load()
    survey = Survey(files, hidden)
    found = survey.findings

    def instead(name: str) -> Any:
        broken = next((plugin for plugin in found.broken if plugin.name == name), None)
        if name not in found.brought:
            return broken or BrokenPlugin(name, "the process that imports the plugins does not know it")
        if not (why := here(found.brought[name])):
            return stand_in(survey, name)
        notes.append(f"the code of {name} ran beside the store, for its {why}")
        return None

    notes = [f"not enforced here: {note}" for note in found.notes]
    registry = load(files, instead=instead)
    registry.configs, registry.notes = survey, notes
    return registry


def stand_in(survey: Survey, plugin: str) -> Any:
    """What is registered for a plugin that is imported elsewhere: its hooks, which return what it said."""
    brought = survey.findings.brought[plugin]
    own = {name: partial(survey.ask, kind, "call", plugin, name) for name, kind in ASKED.items()
           if name in brought.hooks}
    hooks = {name: _returning(partial(getattr, brought, name)) for name in LISTS} | {
        name: _returning(ask) for name, ask in own.items()}
    return type("StandIn", (), {name: staticmethod(hook) for name, hook in hooks.items()})()


def _returning(answer: Callable[[], Any]) -> Callable[[], Any]:
    """A hook, which must be a function, that returns what `answer` does."""
    return hookimpl(lambda: answer())


def _forked(files: list[Path], hidden: list[Path], folder: Path) -> tuple[Connection, int]:
    """What plugins print goes to standard error: standard output belongs to the results."""
    return forked(partial(surveyor.serve, files=files, hidden=hidden, folder=folder), output=2)


def _started(files: list[Path], hidden: list[Path], folder: Path) -> tuple[Connection, int]:
    """A new interpreter, where a fork is not safe."""
    ours, theirs = Pipe()
    code = f"from harness.referee.surveyor import connected; connected({theirs.fileno()})"
    process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    theirs.close()
    ours.send([files, hidden, folder])
    return ours, process.pid


def _end(connection: Connection, pid: int, folder: Path) -> None:
    connection.close()
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)
