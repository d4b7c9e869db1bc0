"""Importing a plugin: from a file, or from the folder of a project, within a time limit. (no torch)"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import FileError, PluginError
from .untrusted import LARGEST_TEXT, Malformed, parse_toml, read_bounded

GROUP = "harness"                               # of entry points
FILES: dict[str, Path] = {}                     # plugin files by the name that they are imported under
ROOTS: list[Path] = []                          # the folders that projects are imported from


@contextmanager
def time_limit(seconds: int, what: str) -> Iterator[None]:
    """Raise PluginError when the block runs longer than `seconds` (main thread of a POSIX process only)."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def on_alarm(*_: Any) -> None:
        raise PluginError(f"{what} took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def module_name(path: Path) -> str:
    """The name a plugin file is imported under, in the parent and in every worker: two files may share a stem."""
    place = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return f"harness_plugin_file_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}_{place}"


def announce(path: Path) -> None:
    """Let the source of a plugin file or a project be found, whether it is imported in this process or not."""
    if not path.is_dir():
        FILES[module_name(path)] = path
    elif (root := root_of(path)) not in ROOTS:
        ROOTS.insert(0, root)


def root_of(project: Path) -> Path:
    """The folder that a project's packages lie in."""
    return project / "src" if (project / "src").is_dir() else project


def import_file(path: Path) -> Any:
    """Import a plugin file. Raises FileError where there is none, or whatever the file raises."""
    if not path.is_file():
        raise FileError(f"no plugin file {path}; `harness new NAME` makes one")
    name = module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def project_entries(project: Path) -> dict[str, str]:
    """The plugins of a project's folder, name -> "module" or "module:attribute", as its pyproject.toml lists them.

    Raises FileError where it has none.
    """
    path = project / "pyproject.toml"
    try:
        table = parse_toml(read_bounded(path, LARGEST_TEXT))
        entries = table["project"]["entry-points"][GROUP]
        if not (isinstance(entries, dict) and entries and all(isinstance(text, str) for text in entries.values())):
            raise KeyError
    except FileNotFoundError:
        raise FileError(f"{project} has no pyproject.toml; `harness new NAME` makes a plugin with one") from None
    except Malformed as wrong:
        raise FileError(f"{path} is corrupt: {wrong}") from None
    except (KeyError, TypeError):
        raise FileError(f"{path} lists no plugin; under [project] write "
                        'entry-points.harness = { NAME = "MODULE" }') from None
    return entries


def import_entry(project: Path, target: str) -> Any:
    """Import an entry of `project_entries` from the folder itself, or from its src. Raises PluginError where a module
    of that name comes from elsewhere, or whatever it raises."""
    root = root_of(project)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    name, _, attributes = target.partition(":")
    module = importlib.import_module(name)
    if not Path(str(module.__file__)).resolve().is_relative_to(root):
        raise PluginError(f"{name} is another module here, {module.__file__}; choose another name")
    found: Any = module
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found
