"""Scaffold: `harness new` writes a plugin that registers, keeps the law and passes its own test."""

import importlib
import sys
import tomllib

import pytest
import torch

from harness.build import build
from harness.conformance.scaffold import create
from harness.errors import FileError, UsageError
from harness.registry import load


def test_the_new_plugin_registers_and_passes_its_test(tmp_path, monkeypatch):
    files = create("my_model", tmp_path / "a folder")
    folder = tmp_path / "a folder"
    assert [str(f.relative_to(folder)) for f in files] == [
        "my_model/__init__.py", "my_model/model.py", "test_my_model.py", "pyproject.toml"]
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert load([folder]).models["my_model"].target.endswith(":MyModel")
    own = importlib.import_module("test_my_model")
    for name in ("my_model", "my_model.model", "test_my_model"):
        del sys.modules[name]
    own.test_splitting_a_text_changes_nothing()
    monkeypatch.setattr(own.MyModel, "forward", lambda self, tokens, state=None: (torch.rand(*tokens.shape, 11), None))
    with pytest.raises(AssertionError):
        own.test_splitting_a_text_changes_nothing()


def test_the_new_plugin_installs_through_the_entry_point(tmp_path):
    table = tomllib.loads(create("my_model", tmp_path)[-1].read_text())
    assert table["project"]["entry-points"]["harness"] == {"my_model": "my_model"}
    assert table["tool"]["setuptools"]["packages"] == ["my_model"]


def test_a_model_with_heads_keeps_the_law_at_every_size_that_is_solved_for(tmp_path, monkeypatch):
    create("my_heads", tmp_path, heads=True)
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = load([tmp_path]).models["my_heads"]
    own = importlib.import_module("test_my_heads")
    own.test_splitting_a_text_changes_nothing()
    for params, heads in [(5_000, 4), (20_000, 3), (60_000, 5)]:
        model = build(spec, {"heads": str(heads), "dim": str(2 * heads)}, 11).model
        assert model(torch.zeros(1, 3, dtype=torch.int64))[0].shape == (1, 3, 11)
        assert build(spec, {}, 11, params=params).config.dim % 4 == 0
    for name in ("my_heads", "my_heads.model", "test_my_heads"):
        del sys.modules[name]


@pytest.mark.parametrize("name", [
    "", "My", "my-model", "1st", "a b", "../x", "class", "none", "true", "config", "_", "é", "json", "torch", "harness",
])
def test_a_name_that_python_or_its_modules_have_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="name"):
        create(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(tmp_path):
    create("mine", tmp_path)
    (tmp_path / "mine" / "model.py").write_text("precious")
    (tmp_path / "mine" / "__init__.py").unlink()
    with pytest.raises(FileError, match=r"model\.py exists"):
        create("mine", tmp_path)
    assert (tmp_path / "mine" / "model.py").read_text() == "precious"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot write to"):
        create("mine", tmp_path / "file")
