"""Where an exception came from is told by a line of the author's."""

import importlib
import json
import sys

import pytest
import torch

from harness.frames import place
from harness.reading import __name__ as ENGINE
from harness.registry import load


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules, in a folder as of installed ones: (name of the module, source) -> module."""
    site = tmp_path / "site-packages"
    (site / "mine" / "layers").mkdir(parents=True)
    (site / "mine" / "__init__.py").touch()
    (site / "mine" / "layers" / "__init__.py").write_text("import torch\n\n\ndef broken():\n    torch.cat([1])\n")
    (site / "mine" / "model.py").write_text("from .layers import broken\n\ndef call():\n    broken()\n")
    monkeypatch.syspath_prepend(site)
    yield importlib.import_module("mine.model")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def raised(call):
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def test_the_innermost_line_of_the_authors_package_also_where_it_is_installed(package):
    assert place(raised(package.call), "mine.model") == "__init__.py:5"


def test_without_a_package_the_innermost_line_that_is_not_installed():
    def call():
        json.loads("{")                                                     # raises in the standard library
    assert place(raised(call)) == f"test_frames.py:{call.__code__.co_firstlineno + 1}"
    assert place(raised(lambda: torch.ones(2) @ torch.ones(3, 3))).startswith("test_frames.py:")


def test_the_engines_own_lines_are_no_authors():
    assert ENGINE.startswith("harness.")
    error = raised(lambda: load(["no path"]))
    assert place(error).startswith("test_frames.py:")


def test_what_does_not_parse_is_told_by_its_own_line(tmp_path):
    (tmp_path / "bad.py").write_text("a = 1\nb = = 2\n")
    error = raised(lambda: compile((tmp_path / "bad.py").read_text(), "bad.py", "exec"))
    assert place(error) == "bad.py:2"


def test_without_a_trace_nothing_is_told():
    assert place(ValueError("never raised")) == ""
