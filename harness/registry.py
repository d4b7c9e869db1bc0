"""The plugin manager: built-ins, entry points and `-p` of a file or a project, all through the same door.

Every plugin loads inside its own try: a broken one becomes a listed error and stops no other. Selecting it is an error
that says why.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from . import hookspecs
from .aliases import announce_as, import_as, parted
from .configs import HERE, Configs
from .errors import FileError, HarnessError, PluginError, UsageError, one_line, unknown
from .frames import place
from .importing import import_entry, import_file, project_entries, time_limit
from .interrupts import interrupts_told
from .options import parse_arguments, spelled
from .selector import Selector, parse_selector
from .specs import ComponentSpec, CorpusSpec, EncodingSpec, ModelSpec, TokenizerSpec, require
from .suite import Suite

BUILTIN = (
    "harness.data.builtin", "harness.suites",
    "harness.plugins.baseline", "harness.plugins.ssm", "harness.plugins.phasefield",
    "harness.plugins.goldenratio", "harness.plugins.wave",
    "harness.plugins.phaserotator", "harness.plugins.superposition",
    "harness.plugins.brain", "harness.plugins.quantum", "harness.plugins.quixer", "harness.plugins.recurrent",
    "harness.plugins.peers", "harness.plugins.packages", "harness.plugins.fla",
)
IMPORT_LIMIT_S = 60


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that did not load, and the line that raised, "file.py:12", where that is known."""

    name: str
    reason: str
    place: str = ""


@dataclass
class Registry:
    """What is registered, by name, and what failed to load."""

    manager: pluggy.PluginManager
    models: dict[str, ModelSpec] = field(default_factory=dict)
    components: dict[tuple[str, str, str], ComponentSpec] = field(default_factory=dict)     # by model, place and name
    suites: dict[str, Suite] = field(default_factory=dict)
    corpora: dict[str, CorpusSpec] = field(default_factory=dict)
    tokenizers: dict[str, TokenizerSpec] = field(default_factory=dict)
    encodings: dict[str, EncodingSpec] = field(default_factory=dict)
    broken: dict[str, BrokenPlugin] = field(default_factory=dict)
    origins: dict[Any, str] = field(default_factory=dict)      # a model's name or a component's key -> its plugin
    named: list[str] = field(default_factory=list)              # the plugins that -p names
    configs: Configs = HERE                                     # of the models
    notes: list[str] = field(default_factory=list)              # what a reader of results is to know of the loading
    texts: dict[Selector, str] = field(default_factory=dict)    # digests of corpora that were read already

    def hold_to_named(self) -> Registry:
        """Raise PluginError where a plugin that -p names did not load: what was asked for is not what would run."""
        for name in self.named:
            if name in self.broken:
                raise PluginError(f"plugin {name!r} failed to load: {self.broken[name].reason}")
        return self

    def model(self, selector: Selector) -> ModelSpec:
        """The usable model a selector names. Raises UsageError (unknown) or PluginError (broken, unavailable)."""
        if selector.name in self.models:
            return self.models[selector.name]
        for broken in self.broken.values():
            if broken.name.rpartition(".")[2] == selector.name:
                raise PluginError(f"plugin {selector.name!r} failed to load: {broken.reason}")
        raise self._unknown("plugin", selector.name, self.models)

    def component(self, model: str, place: str, name: str) -> ComponentSpec:
        """The component of that name. Raises UsageError (unknown) or PluginError (it may be in a broken plugin)."""
        if (model, place, name) not in self.components:
            raise self._unknown(f"{place} of {model}", name, self.names(model, place))
        return self.components[model, place, name]

    def names(self, model: str, place: str) -> list[str]:
        """Of the components for a place of a model."""
        return [spec.name for spec in self.components.values() if spec.key[:2] == (model, place)]

    def foreign(self, model: str, options: Mapping[str, str]) -> list[ComponentSpec]:
        """The components that the options of a model name and another plugin than the model's own brings."""
        named = {name for value in options.values() for name in value.split("+")}
        return [spec for key, spec in self.components.items() if spec.model == model and spec.name in named
                and self.origins[key] != self.origins[model]]

    def _unknown(self, kind: str, name: str, known: Iterable[str]) -> UsageError | PluginError:
        error = unknown(kind, name, known)
        if not self.broken:
            return error
        reasons = "; ".join(f"{b.name} failed to load: {b.reason}" for b in self.broken.values())
        return PluginError(f"{error}; {reasons}")           # one of these may be where it is defined

    def suite(self, name: str) -> Suite:
        if name not in self.suites:
            raise unknown("suite", name, self.suites)
        return self.suites[name]

    def corpus(self, text: str) -> tuple[CorpusSpec, Selector]:
        selector = parse_selector(text, argument=True)
        if selector.name not in self.corpora:
            raise unknown("corpus", selector.name, self.corpora)
        spec = self.corpora[selector.name]
        if spec.argument and not selector.argument and selector.options:
            key, value = selector.options[0]
            raise UsageError(f"corpus {spec.name!r} needs {spec.argument}; where that is {key}={value}, quote it: "
                             f"{Selector(spec.name, f'{key}={value}')}")
        spec.check(selector.argument)
        require(spec)
        return spec, _spelled(selector, spec.target, f"corpus {spec.name}")

    def tokenizer(self, text: str) -> tuple[TokenizerSpec, Selector]:
        selector = parse_selector(text)
        if selector.name not in self.tokenizers:
            raise unknown("tokenizer", selector.name, self.tokenizers)
        spec = self.tokenizers[selector.name]
        if selector.checkpoint:
            raise UsageError(f"a tokenizer comes from no checkpoint, got {text!r}")
        require(spec)
        options = self.configs.learning(spec, dict(selector.options)) if selector.options else {}
        return spec, replace(selector, options=tuple(options.items()))

    def encoding(self, name: str) -> EncodingSpec:
        """The usable code for matrices of that name. Raises UsageError (unknown) or PluginError (unavailable)."""
        if name not in self.encodings:
            raise self._unknown("encoding", name, self.encodings)
        require(self.encodings[name])
        return self.encodings[name]


def _spelled(selector: Selector, target: str, owner: str) -> Selector:
    """`selector` with its options spelled one way. Raises UsageError for one that the function `target` has not."""
    if not selector.options:
        return selector
    return spelled(selector, parse_arguments(target, dict(selector.options), owner))


_current: Registry | None = None


def current() -> Registry:
    """The registry that was loaded last in this process; without one, what is built in or installed."""
    return _current or load()


def load(
    files: Sequence[Path] = (), *, installed: bool = True, instead: Callable[[str], Any] = lambda name: None,
) -> Registry:
    """Load built-ins, installed packages (entry-point group "harness"), plugin files and projects' folders.

    What a folder lists stands for the installed package of the same entry. Packages are left out unless `installed`.
    `instead` gives, for the name of a plugin, what is registered in its place: it is not imported then.
    """
    global _current

    def load_one(name: str, importer: Callable[[], Any]) -> None:
        other = instead(name)
        if isinstance(other, BrokenPlugin):
            registry.broken[name] = other
        else:
            _load_one(registry, name, importer if other is None else lambda: other)

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    registry = _current = Registry(manager)
    for name in BUILTIN:
        _load_one(registry, name, lambda name=name: importlib.import_module(name))
    places = list(dict.fromkeys(map(parted, files)))
    projects = {path: project_entries(path) for _, path in places if path.is_dir()}
    listed = {entry for alias, path in places if not alias for entry in projects.get(path, ())}
    for entry in entry_points(group=hookspecs.PROJECT) if installed else ():
        if entry.name not in listed:
            load_one(_free_name(registry, entry.name, _distribution(entry)), entry.load)
    for alias, path in places:
        announce_as(alias, path)
        before = f"{alias}." if alias else ""
        for entry_name, target in projects.get(path, {}).items():
            name = _free_name(registry, before + entry_name, f"{before}{entry_name} ({path})")
            registry.named.append(name)
            load_one(name, partial(import_as, alias, path, target) if alias else partial(import_entry, path, target))
        if path in projects:
            continue
        if not path.is_file():
            raise FileError(f"no plugin file {path}; `harness new NAME` makes one")
        name = _free_name(registry, before + path.stem, before + str(path))
        registry.named.append(name)
        load_one(name, partial(import_as, alias, path) if alias else partial(import_file, path))
    _drop_misplaced(registry)
    return registry


def _free_name(registry: Registry, name: str, longer: str) -> str:
    """`name`, or `longer` where another plugin has it: two distributions may call their entry alike."""
    return longer if registry.manager.has_plugin(name) or name in registry.broken else name


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.name} of {entry.dist.name}" if entry.dist else f"{entry.name} ({entry.value})"


def _drop_misplaced(registry: Registry) -> None:
    """List a plugin as broken whose component is for a model or a place that there is not, whatever came first."""
    for key, spec in list(registry.components.items()):
        model = registry.models.get(spec.model)
        if model is None or spec.place not in model.places:
            del registry.components[key]
            name = registry.origins.pop(key)
            error = (unknown("model", spec.model, registry.models) if model is None
                     else unknown(f"place of {spec.model}", spec.place, model.places))
            registry.broken[name] = BrokenPlugin(name, f"component {spec.name!r}: {error}")


def _load_one(registry: Registry, name: str, importer: Any) -> None:
    """Import and register one plugin; on any failure list it as broken and take back what it registered.

    What a plugin prints meanwhile goes to stderr: stdout belongs to the results.
    """
    manager, module = registry.manager, None
    with interrupts_told() as interrupted:
        try:
            with time_limit(IMPORT_LIMIT_S, f"importing {name}"), redirect_stdout(sys.stderr):
                module = importer()
                _check_hooks(manager, module)
                manager.register(module, name=name)
                _collect(registry, module, name)
        except BaseException as error:          # whatever a plugin raises stops no other
            if isinstance(error, KeyboardInterrupt) and interrupted():
                raise
            if module is not None and manager.get_plugin(name) is module:
                manager.unregister(module)
            where = "" if isinstance(error, HarnessError) else place(error)
            registry.broken[name] = BrokenPlugin(name, one_line(error), where)


def _check_hooks(manager: pluggy.PluginManager, module: Any) -> None:
    hooks = [name for name in dir(module) if manager.parse_hookimpl_opts(module, name) is not None]
    known = [name for name in dir(hookspecs) if manager.parse_hookspec_opts(hookspecs, name) is not None]
    for name in hooks:
        if name not in known:
            raise unknown("hook", name, known)
    if not hooks:
        raise PluginError("it implements no hook; decorate harness_models() with @harness.hookimpl")


def _collect(registry: Registry, module: Any, name: str) -> None:
    """Call this plugin's own listing hooks and take its specs in. A name that is taken is an error."""
    tables: list[tuple[str, dict[Any, Any], type]] = [
        ("harness_models", registry.models, ModelSpec), ("harness_components", registry.components, ComponentSpec),
        ("harness_suites", registry.suites, Suite),
        ("harness_corpora", registry.corpora, CorpusSpec), ("harness_tokenizers", registry.tokenizers, TokenizerSpec),
        ("harness_encodings", registry.encodings, EncodingSpec),
    ]
    found: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
    for hook, table, kind in tables:
        implementations = getattr(registry.manager.hook, hook).get_hookimpls()
        found += [(table, _named(hook, kind, own.function(), table)) for own in implementations if own.plugin is module]
    for table, specs in found:
        table.update(specs)
        registry.origins.update(
            (key, name) for key, spec in specs.items() if isinstance(spec, ModelSpec | ComponentSpec))


def _by(spec: Any) -> str:
    """Where the one that has the name comes from, as far as it says."""
    target = getattr(spec, "target", "") or getattr(getattr(spec, "measure", None), "__module__", "")
    return f" by {target.partition(':')[0]}" if target else ""


def _named(hook: str, kind: Any, specs: Any, taken: dict[Any, Any]) -> dict[Any, Any]:
    """The specs that a hook returned, by name or key. Raises PluginError for anything else."""
    if not isinstance(specs, list | tuple):
        raise PluginError(f"{hook}() returned a {type(specs).__name__}, not a list of {kind.__name__}")
    named: dict[Any, Any] = {}
    for spec in specs:
        if not isinstance(spec, kind):
            raise PluginError(f"{hook}() returned a {type(spec).__name__}, not a {kind.__name__}")
        key = getattr(spec, "key", spec.name)
        if key in taken or key in named:
            raise PluginError(f"{kind.__name__} {spec.name!r} is already registered{_by(taken.get(key))}; rename one")
        named[key] = spec
    return named
