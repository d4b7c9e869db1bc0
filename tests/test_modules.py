"""Modules as text: documentation strings are those that parsing finds, nothing is imported, tests stay out."""

import ast
import inspect
import sys
from collections import Counter
from pathlib import Path

import numpy
import pytest

from harness.data.modules import documentation, modules, package_folder
from harness.errors import FileError

SOURCE = b'''#!/usr/bin/env python
# a comment: """ isn't this

r"""Module with \\alpha."""

def f(a="""not this""", b={1:
        "nor this"}):
    """One.

        Indented \\x41.
    Not.
    """
    x = """nor this"""
    return '#"""', x   # """
class C:    # comment: here
    # and here

    \'\'\'Two "quoted" \'words\'.\'\'\'

    async def g(self):
        """Three."""
    def h(self):
        u"Four\\
 goes on"
    def i(self): "on its line, so not this"
'''


def parsed(source):
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    nodes = sorted((node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)),
                   key=lambda node: getattr(node, "lineno", 0))
    return [text for node in nodes if (text := ast.get_docstring(node))]


def test_documentation_strings_are_cleaned_and_in_order():
    assert list(documentation(SOURCE)) == [
        "Module with \\alpha.", "One.\n\n    Indented A.\nNot.", "Two \"quoted\" 'words'.", "Three.", "Four goes on"]
    assert list(documentation(SOURCE)) == parsed(SOURCE)[:-1]
    assert list(documentation(b"")) == list(documentation(b'x = """\n')) == []


def test_nearly_all_that_parsing_finds_and_nothing_else():
    missed = extra = total = 0
    for _, source in modules(package_folder("networkx") / "generators"):
        want, got = Counter(parsed(source)), Counter(documentation(source))
        missed, extra, total = missed + (want - got).total(), extra + (got - want).total(), total + want.total()
    assert total > 150 and missed <= 0.001 * total and extra <= 0.02 * total


def test_modules_are_named_as_they_are_imported_without_tests(tmp_path):
    package = tmp_path / "pack"
    for name in ("__init__.py", "b.py", "a/__init__.py", "a/c.py", "tests/d.py", "no-name/e.py", "a/not-a.name.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes(b"x = 1\r\n")
    (package / "latin.py").write_bytes(b"# \xe9\n")
    assert dict(modules(package)) == dict.fromkeys(("pack", "pack.a", "pack.a.c", "pack.b"), b"x = 1\n")
    assert list(modules(package / "b.py")) == [("b", b"x = 1\n")]


def test_a_package_is_found_and_not_imported(tmp_path, monkeypatch):
    (tmp_path / "exploding").mkdir()
    (tmp_path / "exploding/__init__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package_folder("exploding") == tmp_path / "exploding" and "exploding" not in sys.modules
    assert package_folder("numpy") == Path(inspect.getfile(numpy)).parent


@pytest.mark.parametrize("name", ["no_such_package_here", "this"])
def test_a_missing_package_names_the_mend(name):
    with pytest.raises(FileError, match=f"no package {name} here; pip install {name}"):
        package_folder(name)
