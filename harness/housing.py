"""A project's folder imported apart: its packages lie below a package of their own, its house. (no torch)

So the folders of two versions may hold packages of one name, and `sys.path` learns of neither: an absolute import of
what lies in the folder is, within the house, an import from the house. What is imported by a name that is put together
at run time (`importlib.import_module`) is not: it is looked for where everyone's modules are.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .importing import FILES, root_of

PREFIX = "harness_plugin_folder_"


def house_of(project: Path) -> str:
    """The name of the package that a project's packages are imported below, in the parent and in every worker."""
    return PREFIX + hashlib.sha256(os.fsencode(project)).hexdigest()[:8]


def announce_house(project: Path) -> None:
    """Let the source of a project be found below its house, whether it is imported in this process or not."""
    FILES[house_of(project)] = root_of(project)


def housed(module: str, package: str) -> str:
    """The name of the module that `module`, written absolutely in a module of `package`, stands for there."""
    house, top = package.partition(".")[0], module.partition(".")[0]
    if not house.startswith(PREFIX) or house not in FILES:
        return module
    return f"{house}.{module}" if _lies_in(FILES[house], top) else module


def without_house(module: str) -> str:
    """The name of a module as its own project has it."""
    return module.partition(".")[2] if module.startswith(PREFIX) else module


def import_housed(project: Path, target: str) -> Any:
    """Import an entry "module" or "module:attribute" of a project below its house. Raises whatever it raises."""
    house = house_of(project)
    if house not in sys.modules:
        announce_house(project)
        spec = ModuleSpec(house, None, is_package=True)
        spec.submodule_search_locations = [str(FILES[house])]
        sys.modules[house] = module_from_spec(spec)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    name, _, attributes = target.partition(":")
    found: Any = importlib.import_module(f"{house}.{name}")
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found


def _lies_in(root: Path, top: str) -> bool:
    """Whether an import of `top` with `root` first in `sys.path` would find it there; a folder without `__init__.py`
    and modules is none."""
    found = PathFinder.find_spec(top, [str(root)])
    return found is not None and (found.has_location or any((root / top).glob("*.py")))


class _Finder(MetaPathFinder):
    """Finds what is below a house."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        found = PathFinder.find_spec(fullname, path)
        if found is not None and type(found.loader) is SourceFileLoader:
            found.loader = _Loader(fullname, found.loader.path)
        return found


class _Loader(SourceFileLoader):
    """Gives a module the `__import__` of its house: an import statement takes it from the module's builtins."""

    def exec_module(self, module: ModuleType) -> None:
        house = module.__name__.partition(".")[0]
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": partial(_import, house)}
        super().exec_module(module)


def _import(
    house: str, name: str, globals: Mapping[str, Any] | None = None, locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (), level: int = 0,
) -> ModuleType:
    inner = name if level else housed(name, house)
    found = __import__(inner, globals, locals, fromlist or (), level)
    if inner == name or fromlist:
        return found
    return sys.modules[f"{house}.{name.partition('.')[0]}"]         # `import a.b` binds a
