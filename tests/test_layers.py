"""Layers: imports point downward only, and what is to be cheap imports no torch."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

import harness
from harness.registry import BUILTIN, load
from harness.specs import FAMILIES

PACKAGES = {"harness": ROOT / "harness", "harness.plugins": ROOT / "plugins", "harness.suites": ROOT / "suites"}


def name_of(path):
    """The module that a file is imported as: suites/memory.py is harness.suites.memory."""
    package, folder = next((p, f) for p, f in reversed(PACKAGES.items()) if path.is_relative_to(f))
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join([package, *parts]).removesuffix(".__init__")


FILES = {name_of(path): path for folder in PACKAGES.values() for path in sorted(folder.rglob("*.py"))}


def imports(name):
    """Absolute names of what a module imports, also inside functions; `from a import b` gives a.b."""
    path, found = FILES[name], set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [node.module])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def test_imports_are_resolved():
    assert {"harness.run.cells.Cell", "rich.console.Console", "sys"} <= imports("harness.progress")
    assert "harness.plugins.blocks.RMSNorm" in imports("harness.plugins.baseline.model")
    assert "harness.suites.memory" in imports("harness.suites")


def within(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def heading(name):
    return (ast.get_docstring(ast.parse(FILES[name].read_text())) or "").partition("\n\n")[0]


ABOVE = ("harness.run", "harness.bench", "harness.data", "harness.cli", "harness.evidence", "harness.model")
ABOVE_DATA = ("harness.run", "harness.bench", "harness.cli", "harness.evidence", "harness.store", "harness.model")
FORBIDDEN = {                               # a part of the engine -> what it must not import
    "harness.evidence": ("harness.run", "harness.bench", "harness.cli", "harness.data", "harness.model"),
    "harness.bench": ("harness.run.executors", "harness.run.worker", "harness.cli", "harness.evidence"),
    "harness.data": ABOVE_DATA,
    "harness.model": ("harness.data", *ABOVE_DATA[:-1]),
    "harness.store": ABOVE,
    "harness.specs": ABOVE,
    "harness.registry": ABOVE,
    "harness.run": ("harness.cli", "harness.evidence", "harness.progress"),
}
TYPES_ONLY = {("harness.specs", "harness.run.cells.Cell"), ("harness.specs", "harness.run.cells.Request")}
LAZY = {                                    # upward for one name each, inside a function
    ("harness.bench.workbench", "harness.run.worker.base_fields"), ("harness.bench.workbench", "harness.run.plan.now"),
}


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_point_downward(part):
    members = [name for name in FILES if within(name, part)]
    assert members
    upward = {(name, target) for name in members for target in imports(name) if within(target, *FORBIDDEN[part])}
    assert upward <= TYPES_ONLY | LAZY


def test_the_engine_names_no_plugin_and_no_suite():
    named = {(name, target) for name in FILES if not within(name, "harness.plugins", "harness.suites")
             for target in imports(name) if within(target, "harness.plugins", "harness.suites")}
    assert not named
    registry = load()
    suites = {path.stem for path in (ROOT / "suites").glob("*.py")}
    names = {*registry.models, *suites} - {"__init__", *FAMILIES}         # a plugin may be called as its family is
    strings = {(name, node.value) for name in FILES if not within(name, "harness.plugins", "harness.suites")
               for node in ast.walk(ast.parse(FILES[name].read_text()))
               if isinstance(node, ast.Constant) and node.value in names}
    # The control of a timing is the baseline where that takes part; the command `audit` runs the suite of that name;
    # versions are noted of packages that a plugin is called after.
    assert strings <= {
        ("harness.run.executors", "baseline"), ("harness.cli_audit", "audit"),
        *(("harness.run.environment", package) for package in ("qiskit", "pennylane"))}
    assert all(within(name, "harness.plugins", "harness.suites", "harness.data") for name in BUILTIN)


@pytest.mark.parametrize("name", [name for name in FILES if within(name, "harness.plugins", "harness.suites")])
def test_plugins_and_suites_see_the_public_face_shared_parts_and_themselves(name):
    """A shared part lies beside the plugins and is none: `..blocks`, a folder without a hook."""
    own = ".".join(name.split(".")[:3])
    for target in imports(name):
        if not within(target, "harness") or within(target, own):
            continue
        public = target.count(".") == 1 and target.removeprefix("harness.") in dir(harness)
        part = ".".join(target.split(".")[:3])
        shared = within(target, "harness.plugins") and part in FILES and part not in BUILTIN
        assert public or (shared and name not in BUILTIN), f"{name} imports {target}"


@pytest.mark.parametrize("name", [name for name in FILES if within(name, "harness.suites")])
def test_a_suite_imports_no_torch(name):
    assert not [target for target in imports(name) if within(target, "torch")]


NO_TORCH = [name for name in FILES if "(no torch)" in heading(name)]


def test_modules_that_promise_it_import_no_torch():
    assert {"harness.store", "harness.run.cells", "harness.run.executors", "harness.evidence.timing"} <= set(NO_TORCH)
    parts = ("specs", "options", "registry", "cli", "progress", "__main__", "errors", "hookspecs", "scaffold")
    cheap = [*NO_TORCH, *BUILTIN, *(f"harness.{part}" for part in parts)]
    code = (f"import sys, importlib\nfor name in {cheap!r}:\n"
            "    importlib.import_module(name)\n    if 'torch' in sys.modules: sys.exit(name)")
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_public_face_is_complete():
    for name in dir(harness):
        assert getattr(harness, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        harness.no_such_name        # noqa: B018
    assert Path(importlib.import_module("harness.plugins.baseline").__file__).is_file()
