"""The source that a model's process may read: what can be imported, and nothing beside it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

from ..aliases import announce_as, parted
from ..errors import FileError
from ..housing import house_of, housed
from ..importing import GROUP, module_name, project_entries
from ..run.digest import locate, source_files
from ..selector import Selector

TEXTS = ("pydoc_data",)                 # modules of Python that are a corpus and nothing else


def importable(plugin_files: Iterable[Path]) -> list[Path]:
    """Files and folders of code: plugin files and projects with what they import, what `sys.path` leads to, and the
    installed plugins.

    Of a folder that is no package only its modules and packages: a text beside a plugin is not its source.
    """
    places = [parted(file) for file in plugin_files]
    plugin_files = [path for _, path in places]
    tops = {folder for path in plugin_files for folder in ([path, path / "src"] if path.is_dir() else [path.parent])}
    tops |= {Path(entry).resolve() for entry in sys.path}
    found = [_top(path, tops) for path in source_files(*(module for place in places for module in _modules(*place)))]
    found += [inner for path in plugin_files
             for inner in ([path] if path.is_file() else [path / "pyproject.toml", *_code(path), *_code(path / "src")])]
    found += [inner for entry in sys.path for inner in _code(Path(entry))]
    for name in ["harness.plugins.", "harness.suites.", *(entry.value for entry in entry_points(group=GROUP))]:
        found += _package(name.partition(":")[0])
    return found


def _top(path: Path, tops: set[Path]) -> Path:
    """The folder right below one of `tops` that a source file lies in, a package with or without `__init__.py`; else
    the file."""
    return next((folder for folder in path.resolve().parents if folder.parent in tops and folder not in tops), path)


def _modules(alias: str, path: Path) -> list[str]:
    """The modules that a plugin file or a project is; [] for what is none."""
    announce_as(alias, path)
    if not path.is_dir():
        return [module_name(path)]
    try:
        modules = [target.partition(":")[0] for target in project_entries(path).values()]
    except FileError:
        return []
    return [housed(module, house_of(path)) for module in modules] if alias else modules


def caches(target: str) -> list[Path]:
    """Where Python and numba keep the machine code of a model, "module:attribute", and of what it imports: beside the
    source. Folders that are missing are made where that can be done."""
    folders = {path.parent / "__pycache__" for path in source_files(target)}
    for folder in folders:
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
    return [folder for folder in folders if folder.is_dir()]


def _package(module: str) -> list[Path]:
    """The folder of the package, or the file, that a module is found in."""
    top = module.rpartition(".")[0] if module.endswith(".") else module.partition(".")[0]
    try:
        path = locate(top) if top.startswith("harness") else _origin(top)
    except (ImportError, ValueError):
        return []
    return [] if path is None else [path.parent if path.name == "__init__.py" else path]


def _origin(top: str) -> Path | None:
    spec = importlib.util.find_spec(top)
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _code(folder: Path) -> list[Path]:
    """Modules and packages right in a folder."""
    try:
        children = list(folder.iterdir())
    except OSError:
        return []
    return [child for child in children if child.suffix in (".py", ".so") or (child / "__init__.py").is_file()]


def texts_of(selector: Selector) -> list[Path]:
    """The files and folders that a corpus is read from, as its selector names them."""
    found = []
    for text in filter(None, (selector.argument, *dict(selector.options).values())):
        with suppress(OSError, RuntimeError, ValueError):           # it is no path, or is refused later
            if (path := Path(text).expanduser()).exists():
                found.append(path.resolve())
    return found


def texts_among_libraries() -> list[Path]:
    """Where a text lies among what a model may read."""
    specs = [importlib.util.find_spec(name) for name in TEXTS]
    found = [Path(spec.origin).parent for spec in specs if spec and spec.origin]
    return found + [path for name in TEXTS for path in Path("/").glob(f"usr/lib*/python3*/{name}")]
