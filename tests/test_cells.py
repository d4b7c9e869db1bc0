"""Cells: what changes a measurement changes the hash, and nothing else does."""

import os
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from harness.run.cells import Cell, Choice, Request, timing_group, unique
from harness.run.digest import source_digest
from harness.selector import Selector
from harness.specs import ModelSpec

CELL = Cell("suite", "model", (("a", "1"),), corpus="pydoc", protocol=(("grid", (1, 2)),))
SPEC = ModelSpec("model", "a:B", "a:C", "classical", "", "")


def other(value):
    return {str: "x", int: 7, bool: True, tuple: (("k", "v"),)}[type(value)]


@pytest.mark.parametrize("name", [f.name for f in fields(Cell)])
def test_every_field_takes_part_in_the_hash(name):
    assert replace(CELL, **{name: other(getattr(CELL, name))}).id != CELL.id


def test_the_hash_is_the_same_in_every_process():
    code = "from harness import Cell; print(Cell('s', 'm', (('a', '1'),), protocol=(('grid', (1, 2)),)).id)"
    path = os.pathsep.join(filter(None, sys.path))
    ids = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": path, "PYTHONHASHSEED": seed}).stdout.strip() for seed in "12"}
    assert ids == {Cell("s", "m", (("a", "1"),), protocol=(("grid", (1, 2)),)).id}


def test_a_cell_as_json_keeps_it():
    record = CELL.record()
    assert record["id"] == CELL.id
    assert record["options"] == {"a": "1"}
    assert record["protocol"] == {"grid": (1, 2)}
    assert CELL.label == "model:a=1"
    assert CELL.get("grid") == (1, 2)
    assert CELL.get("absent", 3) == 3


def test_a_request_fills_in_what_all_suites_share():
    choice = Choice(SPEC, Selector("model", options=(("a", "1"),)), code="digest")
    request = Request((choice,), tokenizer="bytes", sizes=(9,), texts=(("file:x", "text digest"),))
    cell = request.cell("s", choice, corpus="file:x", seed=4, protocol={"b": 1, "a": 2})
    assert (cell.params, cell.tokenizer, cell.code, cell.options, cell.seed) == (9, "bytes", "digest", (("a", "1"),), 4)
    assert cell.protocol == (("a", 2), ("b", 1))
    assert cell.text == "text digest"
    assert request.cell("s", choice).text == ""
    assert replace(request, preset="tiny").cell("s", choice).params == 0


def test_a_timing_group_is_named_by_its_members():
    a, b, c = (replace(CELL, seed=seed) for seed in range(3))
    assert timing_group([a, b]) == timing_group([b, a])
    assert timing_group([a, b]) != timing_group([a, b, c])


def test_repetitions_are_dropped_in_order():
    a, b = CELL, replace(CELL, seed=1)
    assert unique([b, a, b]) == [b, a]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a model that imports a shared module relatively, and a stranger beside it."""
    files = {
        "digested/__init__.py": "", "digested/mine/__init__.py": "",
        "digested/mine/model.py": "def f():\n    from ..shared import x\nfrom .parts import y\nfrom .. import more",
        "digested/mine/parts.py": "", "digested/shared.py": "", "digested/more.py": "", "digested/theirs/model.py": "",
        "digested/theirs/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "digested"
    for name in ("digested", "digested.mine"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("file", "counts"), [
    ("mine/model.py", True), ("mine/parts.py", True), ("mine/new.py", True), ("shared.py", True), ("more.py", True),
    ("theirs/model.py", False), ("mine/notes.txt", False),
])
def test_a_digest_covers_the_source_that_a_model_runs(package, file, counts):
    before = source_digest("digested.mine.model:Model")
    (package / file).write_text("z = 1")
    assert (source_digest("digested.mine.model:Model") != before) is counts


def test_a_digest_imports_nothing(package):
    (package / "mine" / "model.py").write_text("raise ValueError")
    assert source_digest("digested.mine.model:Model")


def test_what_has_no_source_has_no_digest():
    assert [source_digest(target) for target in ("no.such:M", "nosuch:M", "sys:M")] == ["", "", ""]
