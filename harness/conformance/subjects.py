"""`harness check`: what is to be checked, found by a project's folder, a file, a package or a name. (no torch)"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import UsageError, unknown
from ..hookspecs import PROJECT
from ..importing import project_entries
from ..registry import Registry, load
from .result import CheckResult, Status

HEAVY = ("torch", "jax", "tensorflow", "transformers", "pandas", "scipy")       # and what a model requires
LISTINGS = ("harness_models", "harness_components", "harness_suites", "harness_corpora", "harness_tokenizers",
            "harness_encodings", "harness_claims")
KINDS = ("models", "tokenizers", "corpora", "suites", "claims")                   # that are checked
IMPORT_TIMEOUT_S = 120


@dataclass(frozen=True)
class Subject:
    """A plugin as the registry calls it, and the statement that imports it alone, as `plugin`. `models` restricts its
    models to these."""

    name: str
    statement: str
    single_file: bool = False
    models: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()            # that a worker is told of


def find(text: str) -> tuple[Registry, list[Subject]]:
    """What `text` names: a project's folder, a plugin file, an installed package, an entry point, or a model.

    Raises UsageError for a name that is unknown, FileError for a folder without an entry point.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        project = path.resolve()
        entries = project_entries(project)
        return load([project]), [
            Subject(name, f"from pathlib import Path; from harness.importing import import_entry\n"
                          f"plugin = import_entry(Path({str(project)!r}), {target!r})", files=(project,))
            for name, target in entries.items()]
    if path.suffix == ".py":
        file = path.resolve()
        source = ("from pathlib import Path; from harness.importing import import_file\n"
                  f"plugin = import_file(Path({str(file)!r}))")
        return load([file]), [Subject(path.stem, source, single_file=True, files=(file,))]
    registry = load()
    if text in registry.models:
        return registry, [_loaded(registry, registry.origins[text], (text,))]
    names = [name for name, _ in registry.manager.list_name_plugin()] + list(registry.broken)
    found = [text] if text in names else [name for name in _entry_points(text) if name in names]
    if not found:
        error = unknown("plugin or package", text, {*registry.models, *names})
        raise UsageError(f"{error}; a folder with a pyproject.toml, a .py file or an installed package can be checked")
    return registry, [_loaded(registry, name) for name in found]


def _entry_points(package: str) -> list[str]:
    try:
        return [entry.name for entry in distribution(package).entry_points if entry.group == PROJECT]
    except (PackageNotFoundError, ValueError):
        return []


def _loaded(registry: Registry, name: str, models: tuple[str, ...] = ()) -> Subject:
    module = getattr(registry.manager.get_plugin(name), "__name__", name)
    return Subject(name, f"import importlib\nplugin = importlib.import_module({module!r})", models=models)


def check(
    registry: Registry, subjects: list[Subject], lengths: Sequence[int] = (), device: str = "cpu",
    dtype: str = "float32",
) -> Iterator[CheckResult]:
    """Every line, as it is found. The models are checked at these lengths, there, in that dtype."""
    from .checks import Conditions, check_model
    from .claim_checks import check_claims
    from .corpus_checks import check_corpus
    from .suite_checks import check_suite
    from .tokenizer_checks import check_tokenizer

    conditions = Conditions(tuple(lengths) or Conditions.lengths, device, dtype)

    for subject in subjects:
        if subject.name in registry.broken:
            broken = registry.broken[subject.name]
            where = f" ({broken.place})" if broken.place else ""
            yield CheckResult(subject.name, "loads", "fail", broken.reason + where)
            continue
        brought = {kind: list(_brought(registry, subject.name, f"harness_{kind}")) for kind in KINDS}
        models = [spec for spec in brought["models"] if not subject.models or spec.name in subject.models]
        others = {kind: [] if subject.models else specs for kind, specs in brought.items() if kind != "models"}
        named = [spec.name for spec in (*models, *chain.from_iterable(others.values())) if hasattr(spec, "name")]
        yield CheckResult(subject.name, "loads", "ok", ", ".join(dict.fromkeys(named)) or "nothing that is checked")
        required = [package for spec in models for package in spec.requires]
        yield check_import(subject.name, subject.statement, subject.single_file, required)
        for spec in models:
            yield from check_model(registry, spec, conditions)
        for tokenizer in others["tokenizers"]:
            yield from check_tokenizer(registry, tokenizer)
        for corpus in others["corpora"]:
            yield from check_corpus(registry, corpus, subject.statement)
        for suite in others["suites"]:
            yield from check_suite(registry, suite, subject.files)
        yield from check_claims(registry, subject.name, others["claims"])


def _brought(registry: Registry, plugin: str, hook: str) -> Iterator[Any]:
    """What the plugin's own hook of that name lists."""
    for own in getattr(registry.manager.hook, hook).get_hookimpls():
        if own.plugin_name == plugin:
            yield from own.function()


def check_import(subject: str, statement: str, single_file: bool, required: Sequence[str]) -> CheckResult:
    """Whether `statement`, which imports `plugin`, and its listing hooks leave alone what is heavy. In a new process.

    Whoever names a single file pays for it alone, so that it is noted there and no fault.
    """
    code = (f"import sys; sys.path[:] = {sys.path!r}\n{statement}\n"
            f"for name in {LISTINGS!r}: getattr(plugin, name, list)()\n"
            f"print('heavy:', *(name for name in {(*HEAVY, *required)!r} if name in sys.modules))")
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=IMPORT_TIMEOUT_S,
                              check=False)
    except subprocess.TimeoutExpired:
        return CheckResult(subject, "cheap spec", "fail", f"importing it took longer than {IMPORT_TIMEOUT_S} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return CheckResult(subject, "cheap spec", "fail", f"importing it alone fails: {last}")
    heavy = done.stdout.rpartition("heavy:")[2].split()
    if not heavy:
        return CheckResult(subject, "cheap spec", "ok", "listing it imports nothing heavy")
    status: Status = "note" if single_file else "fail"
    return CheckResult(subject, "cheap spec", status, f"listing it imports {', '.join(heavy)}")
