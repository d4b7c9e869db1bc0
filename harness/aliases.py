"""`-p ALIAS=PATH`: a version of a plugin beside another one, its models and components as ALIAS.NAME. (no torch)

Its suites, corpora and tokenizers are not taken: what two versions are measured with is one and the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import PluginError
from .hookspecs import PROJECT, hookimpl
from .housing import announce_house, house_of, housed, import_housed
from .importing import announce, import_file, module_name
from .specs import ComponentSpec, ModelSpec

ALIASED = re.compile(r"([A-Za-z]\w*)=(.+)", re.DOTALL)


def parted(file: Path) -> tuple[str, Path]:
    """The alias, "" without one, and the absolute path that -p names. A path that exists as it is written has none."""
    found = ALIASED.fullmatch(str(file))
    if found is None or file.exists():
        return "", file.resolve()
    return found[1], Path(found[2]).expanduser().resolve()


def absolute(file: Path) -> Path:
    """What -p names, as every process understands it."""
    alias, path = parted(file)
    return Path(f"{alias}={path}") if alias else path


def announce_as(alias: str, path: Path) -> None:
    """Let the source of a plugin file or a project be found, under an alias apart from what else is loaded."""
    if alias and path.is_dir():
        announce_house(path)
    else:
        announce(path)


def import_as(alias: str, path: Path, target: str = "") -> Renamed:
    """Import a plugin file, or the entry `target` of a project, apart. Raises whatever it raises."""
    plugin = import_housed(path, target) if target else import_file(path)
    return Renamed(alias, plugin, house_of(path) if target else module_name(path))


@dataclass(frozen=True, eq=False)
class Renamed:
    """What is registered for a plugin under an alias. Raises PluginError where it lists no model and no component."""

    alias: str
    plugin: Any
    package: str

    def __post_init__(self) -> None:
        if not (self._hook("harness_models") or self._hook("harness_components")):
            raise PluginError("it lists no model and no component, and an alias takes nothing else")

    @hookimpl
    def harness_models(self) -> list[ModelSpec]:
        return [replace(
            spec, name=f"{self.alias}.{spec.name}", target=self._apart(spec.target), config=self._apart(spec.config),
            kernels=self._apart(spec.kernels), circuits=self._apart(spec.circuits), weights=self._apart(spec.weights),
        ) for spec in self._models()]

    @hookimpl
    def harness_components(self) -> list[ComponentSpec]:
        """Those for its own models under their own names, those for others' under the alias."""
        own, hook = {spec.name for spec in self._models()}, self._hook("harness_components")
        listed: list[ComponentSpec] = hook() if hook else []
        return [replace(spec, target=self._apart(spec.target), **(
            {"model": f"{self.alias}.{spec.model}"} if spec.model in own else {"name": f"{self.alias}.{spec.name}"}))
            for spec in listed]

    def _models(self) -> list[ModelSpec]:
        hook = self._hook("harness_models")
        return hook() if hook else []

    def _hook(self, name: str) -> Callable[[], list[Any]] | None:
        hook = getattr(self.plugin, name, None)
        return hook if hasattr(hook, f"{PROJECT}_impl") else None

    def _apart(self, target: str) -> str:
        """Where "module:attribute" of the plugin's lies now; "" stays so."""
        module, colon, attribute = target.partition(":")
        return f"{housed(module, self.package)}:{attribute}" if colon else ""
