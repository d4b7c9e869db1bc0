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
    assert {"harness.run.cells.Cell", "rich.progress.BarColumn", "sys"} <= imports("harness.commands.progress")
    assert "harness.plugins.blocks.RMSNorm" in imports("harness.plugins.baseline.model")
    assert "harness.suites.memory" in imports("harness.suites")


def within(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def heading(name):
    return (ast.get_docstring(ast.parse(FILES[name].read_text())) or "").partition("\n\n")[0]


COMMANDS = ("harness.cli", "harness.commands")
RUNNING = ("harness.run.choices", "harness.run.plan", "harness.run.executors", "harness.run.worker")
ABOVE = ("harness.bench", "harness.audit", "harness.evidence", "harness.model", "harness.build", *COMMANDS)
FORBIDDEN = {                               # a part of the engine -> what it must not import
    "harness.evidence": ("harness.run", "harness.bench", "harness.audit", "harness.data", "harness.model", *COMMANDS),
    "harness.bench": (*RUNNING, "harness.evidence", *COMMANDS),
    "harness.audit": ("harness.run", "harness.bench", "harness.evidence", "harness.data", "harness.store", *COMMANDS),
    "harness.data": ("harness.run", "harness.store", *ABOVE),
    "harness.model": ("harness.data", "harness.run", "harness.store", *(set(ABOVE) - {"harness.model"})),
    "harness.store": ("harness.run", "harness.data", *ABOVE),
    "harness.specs": ("harness.run", "harness.data", *ABOVE),
    "harness.suite": ("harness.data", *ABOVE),
    "harness.reading": (*RUNNING, "harness.data", *ABOVE),
    "harness.registry": (*RUNNING, "harness.data", *ABOVE),
    "harness.run": ("harness.evidence", *COMMANDS),
}


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_point_downward(part):
    members = [name for name in FILES if within(name, part)]
    assert members
    upward = {(name, target) for name in members for target in imports(name) if within(target, *FORBIDDEN[part])}
    assert not upward


def cycles(graph):
    """The strongly connected components of more than one module (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in graph[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            members = set()
            while name not in members:
                members.add(stack.pop())
            if len(members) > 1:
                found.append(members)

    for name in graph:
        if name not in index:
            visit(name)
    return found


def modules_of(name):
    """The modules of the tree that one imports: `from a import b` is a.b where that is a module, else a."""
    found = {target if target in FILES else target.rpartition(".")[0] for target in imports(name)}
    return {target for target in found if target in FILES and target != name}


def test_a_cycle_is_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == [{"b", "c"}]


def test_no_import_goes_in_a_circle_counting_lazy_ones_and_those_for_types():
    assert cycles({name: modules_of(name) for name in FILES}) == []


def test_a_checkout_reaches_every_module_by_one_name_only():
    code = ("import importlib.util as u, harness.plugins, harness.suites\n"
            "names = ('harness.harness', 'harness.tests', 'harness.results',\n"
            "         'harness.plugins.blocks', 'harness.suites.memory')\n"
            "print([u.find_spec(name) is not None for name in names])")
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[False, False, False, True, True]\n"


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
    # The commands `audit` and `lr` run a suite; of packages that a plugin is called after versions are noted, and
    # loading is watched.
    assert strings <= {
        ("harness.commands.audit", "audit"), ("harness.commands.lr", "transfer"),
        *(("harness.run.environment", package) for package in ("qiskit", "pennylane", "transformers")),
        *((name, "transformers") for name in ("harness.conformance.subjects", "harness.commands.export"))}
    assert all(within(name, "harness.plugins", "harness.suites", "harness.data") for name in BUILTIN)


BUILT_ON = {"harness.plugins.quixer": "harness.plugins.quantum"}        # one simulator of circuits for both


@pytest.mark.parametrize("name", [name for name in FILES if within(name, "harness.plugins", "harness.suites")])
def test_plugins_and_suites_see_the_public_face_shared_parts_and_themselves(name):
    """A shared part lies beside the plugins or suites and is none: `..blocks`, a folder without a hook."""
    own = ".".join(name.split(".")[:3])
    for target in imports(name):
        if not within(target, "harness") or within(target, own, BUILT_ON.get(own, own)):
            continue
        public = target.count(".") == 1 and target.removeprefix("harness.") in dir(harness)
        part = ".".join(target.split(".")[:3])
        shared = (within(target, "harness.plugins", "harness.suites") and part in FILES and part not in BUILTIN
                  and "\nsuite = " not in FILES[part].read_text())
        assert public or (shared and name not in BUILTIN), f"{name} imports {target}"


@pytest.mark.parametrize("name", [name for name in FILES if within(name, "harness.suites")])
def test_a_suite_imports_no_torch(name):
    assert not [target for target in imports(name) if within(target, "torch")]


NO_TORCH = [name for name in FILES if "(no torch)" in heading(name)]


def test_modules_that_promise_it_import_no_torch():
    assert {"harness.store", "harness.run.cells", "harness.run.executors",
            "harness.evidence.comparison.timing"} <= set(NO_TORCH)
    parts = ("specs", "suite", "options", "registry", "cli", "commands.progress", "__main__", "errors", "hookspecs",
             "conformance.scaffold")
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
