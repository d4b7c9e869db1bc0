"""Short hashes of source code and of files, found without importing anything. (no torch)

The digest of a module covers its file and what it imports, wherever the import stands and however it is written:

- a module of the same project, or of any folder that is not an installed package: by content, and so on from there;
- an installed package: by its version; PyTorch and the harness's other dependencies not at all, they belong to the
  environment of a run;
- the engine of the harness: not at all, the protocol number stands for it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, requires, version
from pathlib import Path

from ..housing import housed, without_house
from ..importing import FILES, ROOTS

HASH_LENGTH = 16
DISTRIBUTION = "qllm-harness"
IMPORT = re.compile(
    rb"(?:^|[:;])[ \t]*(?:from[ \t]+(?P<dots>\.*)(?P<module>[\w.]*)[ \t]+import[ \t]*"
    rb"(?P<names>\([^)]*\)|(?:\\\n|[^#;\n])*)"
    rb"|import[ \t]+(?P<modules>(?:\\\n|[^#;\n])*))"
    rb"|import_module\([ \t]*[\"'](?P<string>[\w.]+)[\"']", re.MULTILINE)
INSTALLED = ("site-packages", "dist-packages")


def source_digest(*targets: str, packages: Sequence[str] = ()) -> str:
    """A short hash of the source of `targets` ("module:attribute"), and of the versions of `packages` (importable
    names). "" where no target has a source file.

    A target in a package brings its whole folder, with the folders below: what it loads by name is covered too.
    """
    sources, imported = _closure(_starts(targets))
    if not sources:
        return ""
    digest = hashlib.sha256()
    for name, path in sorted(sources.items()):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    for line in sorted(map(_version, {*packages, *imported})):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()[:HASH_LENGTH]


def source_files(*targets: str) -> list[Path]:
    """The source files that `source_digest` covers."""
    return list(_closure(_starts(targets))[0].values())


def data_files(sources: Iterable[Path]) -> set[Path]:
    """What else lies in the packages of these modules, in folders too that are none: a model can read it, whatever it
    is kept from."""
    found = set[Path]()
    for package in {path.parent for path in sources if (path.parent / "__init__.py").is_file()}:
        for place, folders, names in os.walk(package):
            folders[:] = [name for name in folders
                          if name != "__pycache__" and not Path(place, name, "__init__.py").is_file()]
            found |= {Path(place, name) for name in names if not name.endswith(".py")}
    return found


def _starts(targets: Sequence[str]) -> dict[str, Path]:
    modules = dict.fromkeys(target.partition(":")[0] for target in targets if target)
    return {module: path for module in modules if (path := locate(module)) and path.is_file()}


def files_digest(paths: Iterable[Path], root: Path) -> str:
    """A short hash of files and of where they lie relative to `root`."""
    digest = hashlib.sha256()
    for name, path in sorted((_relative(path, root), path) for path in paths):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode("utf-8", "surrogatepass") + content)
    return digest.hexdigest()[:HASH_LENGTH]


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def locate(module: str) -> Path | None:
    """The file of a module, or the folder of a package without `__init__.py`; None where there is neither.

    No package is imported on the way, but for the harness itself.
    """
    if module in FILES:                                     # a plugin file is found nowhere else
        return FILES[module]
    if loaded := getattr(sys.modules.get(module), "__file__", None):
        return Path(loaded)
    parent, _, name = module.rpartition(".")
    if parent and parent != "harness":
        above = locate(parent)
        if above is None or (above.is_file() and above.name != "__init__.py"):
            return None
        folder = above if above.is_dir() else above.parent
        places = (folder / name / "__init__.py", folder / f"{name}.py", folder / name)
        return next((place for place in places if place.exists()), None)
    try:
        own = None if parent else PathFinder.find_spec(module, [str(root) for root in ROOTS])
        found = own or importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if found is None:
        return None
    where = tuple(map(Path, [found.origin] if found.has_location and found.origin
                       else found.submodule_search_locations or ()))
    return next((place for place in where if place.exists()), None)


def _closure(starts: dict[str, Path]) -> tuple[dict[str, Path], set[str]]:
    """The source files behind `starts`, by a name that is the same on every machine, and the installed packages that
    they import."""
    sources, packages, asked, read = dict[str, Path](), set[str](), set[tuple[str, bool]](), set[Path]()
    own = {module.partition(".")[0] for module in starts}
    rooms = {module.rpartition(".")[0] for module in starts if module.startswith("harness.")}
    pending: list[tuple[str, Path]] = []
    for module, path in starts.items():
        pending += _folder(module, path)
    while pending:
        module, path = pending.pop()
        if path in read:
            continue
        read.add(path)
        sources[path.stem if module.startswith("harness_plugin_file_") else without_house(module)] = path
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for name, whole in _imported(path, package):
            top = name.partition(".")[0]
            engine = top == "harness" and not _open(name, rooms)
            if (name, whole) in asked or top in sys.stdlib_module_names or engine:
                continue
            asked.add((name, whole))
            found = locate(name)
            if found is None:
                continue
            if top != "harness" and top not in own and set(INSTALLED) & set(found.parts):
                packages.add(top)
            elif found.suffix == ".py":
                pending += _folder(name, found) if whole and found.name == "__init__.py" else [(name, found)]
    return sources, packages - _ours()


def _folder(module: str, path: Path) -> list[tuple[str, Path]]:
    """Every source file of the package that `module` is, or lies in; the file alone where many independent modules lie
    in one folder, or it lies in no package."""
    folder = path.parent
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    if not (folder / "__init__.py").is_file() or package in ("harness.plugins", "harness.suites", "harness.data"):
        return [(module, path)]
    return [(".".join([package, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"), file)
            for file in sorted(folder.rglob("*.py"))]


def _open(name: str, rooms: Iterable[str]) -> bool:
    """Whether a module of the harness is followed: plugins, suites, and what lies beside a target within the engine."""
    return name.startswith(("harness.plugins.", "harness.suites.")) or any(
        name.startswith(f"{room}.") for room in rooms)


def _imported(path: Path, package: str) -> Iterable[tuple[str, bool]]:
    """Names of the modules that a file may import, each with whether the whole of it is meant: of a package that only
    lies on the way to another module, only its own file is."""
    return _imported_by_ours(path, package) if package.partition(".")[0] == "harness" else _read(path, package)


@cache
def _imported_by_ours(path: Path, package: str) -> tuple[tuple[str, bool], ...]:
    """The harness's own files do not change while it runs, and most plugins import the same of them."""
    return tuple(_read(path, package))


def _read(path: Path, package: str) -> Iterator[tuple[str, bool]]:
    for found in IMPORT.finditer(path.read_bytes()):
        if text := found["string"] or found["modules"]:
            names = [housed(words[0], package) for part in text.split(b",") if (words := _words(part))]
            members: list[str] = []
        else:
            above = package.split(".")[: len(package.split(".")) - max(len(found["dots"]) - 1, 0)]
            base = ".".join(filter(None, [*(above if found["dots"] else []), found["module"].decode()]))
            base = base if found["dots"] else housed(base, package)
            members = [f"{base}.{words[0]}" for part in found["names"].split(b",") if (words := _words(part))]
            names = [] if members and all(map(locate, members)) else [base]
        for name in filter(None, [*names, *members]):
            parts = name.split(".")
            yield from ((".".join(parts[:end]), False) for end in range(1, len(parts)))
            yield name, True


def _words(text: bytes) -> list[str]:
    return re.findall(r"[\w.]+", text.decode("utf-8", "replace"))


def _version(package: str) -> str:
    """ "name==version" of the distribution that brings an importable name; "name" where there is none."""
    for name in _may_bring(package):
        with suppress(PackageNotFoundError):
            return f"{package}=={version(name)}"
    return package


def distribution_of(package: str) -> str:
    """The distribution that brings an importable name, as it calls itself; "" where there is none."""
    for name in _may_bring(package):
        with suppress(PackageNotFoundError):
            return distribution(name).metadata["Name"]
    return ""


def _may_bring(package: str) -> Iterator[str]:
    """Names that the distribution of a package may have, the likeliest first."""
    top = package.partition(".")[0]
    yield top
    yield from _distributions().get(top, ())                # it is called otherwise: scikit-learn brings sklearn


@cache
def _distributions() -> Mapping[str, list[str]]:
    """The distributions that bring each importable name; it takes reading what all of them installed."""
    return packages_distributions()


@cache
def _ours() -> set[str]:
    """What the harness itself depends on, without extras; each is imported by the name of its distribution."""
    try:
        needed = requires(DISTRIBUTION) or ()
    except PackageNotFoundError:                # run from a checkout that is not installed
        needed = ["torch", "numpy", "pluggy", "pandas", "pyarrow", "safetensors", "typer", "rich"]
    return {re.split(r"[^\w.-]", line)[0].lower() for line in needed if "extra ==" not in line}
