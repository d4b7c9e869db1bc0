"""Aliases: two versions of one plugin stand side by side under two names, each with the code of its own folder."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from harness.aliases import absolute, parted
from harness.configs import HERE
from harness.errors import PluginError
from harness.registry import load
from harness.run.digest import source_files
from harness.run.identity import model_digest
from harness.specs import resolve

PACKAGE = {
    "pyproject.toml": '[project]\nentry-points.harness = { twin = "twin_package" }\n',
    "twin_package/__init__.py": """
from dataclasses import dataclass

import twin_beside
import twin_package.deep.facts
import twin_package.deep.facts as renamed
from harness import ComponentSpec, ModelSpec, Suite, hookimpl
from twin_package.deep import facts

assert twin_package.deep.facts is renamed is facts and twin_package.__name__.endswith("twin_package")

@dataclass(frozen=True)
class Config:
    dim: int = facts.DIM + twin_beside.NONE

@hookimpl
def harness_models():
    return [ModelSpec("twin", "twin_package.model:Twin", "twin_package:Config", "classical", "", "", places=("mix",))]

@hookimpl
def harness_components():
    return [ComponentSpec(model, place, "own", "twin_package.model:Twin", "")
            for model, place in [("twin", "mix"), ("phasefield", "bank")]]

@hookimpl
def harness_suites():
    return [Suite("twin", "", plan=print, measure=print)]
""",
    "twin_package/deep/__init__.py": "",
    "twin_package/deep/facts.py": "from twin_aside import ZERO\nDIM = {dim} + ZERO\n",
    "twin_package/model.py": "from . import Config\nfrom twin_package.deep.facts import DIM\nclass Twin: WIDTH = DIM\n",
    "twin_beside.py": "NONE = 0\n",
    "twin_aside/__init__.py": "ZERO = 0\n",
}


def version(folder, dim, *below):
    """A project's folder in which DIM is `dim`; its code lies in a folder `below`."""
    for name, text in PACKAGE.items():
        path = folder.joinpath(*(() if name == "pyproject.toml" else below), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{dim}", str(dim)))
    return folder


def digest(registry, name):
    return model_digest(registry, registry.models[name], {})


@pytest.fixture
def untouched(monkeypatch):
    """Neither the path nor the modules of this process keep what a test imports."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in [name for name in sys.modules if "twin_" in name]:
        del sys.modules[name]


@pytest.mark.parametrize("below", [(), ("src",)])
def test_each_version_has_the_code_of_its_own_folder(tmp_path, untouched, below):
    old, new = version(tmp_path / "old", 3, *below), version(tmp_path / "new", 5, *below)
    found = load([Path(f"base={old}"), Path(f"head={new}")])
    assert not found.broken and "twin_package" not in sys.modules
    for name, dim in (("base.twin", 3), ("head.twin", 5)):
        spec = found.models[name]
        assert dim == resolve(spec.target).WIDTH and HERE.values(spec, {}) == {"dim": str(dim)}
    assert digest(found, "base.twin") != digest(found, "head.twin")
    for name, folder in (("base.twin", old), ("head.twin", new)):
        files = {str(path.relative_to(folder.joinpath(*below))) for path in source_files(found.models[name].target)}
        assert files == {name for name in PACKAGE if name.endswith(".py")}


def test_the_same_code_has_the_digest_that_it_has_without_an_alias(tmp_path, untouched):
    """As a project and as a file: where a version lies, and what it is called there, is no part of it."""
    here, there = version(tmp_path / "here", 3), version(tmp_path / "there", 3)
    found = load([Path(f"base={here}"), there])
    assert digest(found, "base.twin") == digest(found, "twin") == digest(load([there]), "twin")
    for folder in (here, there):
        shutil.copy(Path(__file__).with_name("toy.py"), folder / "toy.py")
    found = load([Path(f"base={here / 'toy.py'}"), there / "toy.py"])
    assert digest(found, "base.toy") == digest(found, "toy") and not found.broken


def test_an_alias_beside_the_version_without_one(tmp_path, untouched):
    """In whichever order they come."""
    old, new = version(tmp_path / "old", 3), version(tmp_path / "new", 5)
    for files in ([Path(f"base={old}"), new], [new, Path(f"base={old}")]):
        found = load(files)
        assert [resolve(found.models[name].target).WIDTH for name in ("base.twin", "twin")] == [3, 5]
        assert set(source_files(found.models["twin"].target)) == {*new.rglob("*.py")}


def test_models_and_components_are_renamed_and_instruments_left_out(tmp_path, untouched):
    folder = version(tmp_path / "old", 3)
    found = load([Path(f"base={folder}")])
    assert found.names("base.twin", "mix") == ["own"]
    assert ("phasefield", "bank", "base.own") in found.components and not found.broken
    assert "twin" not in found.suites and "twin" not in found.models


def test_a_plugin_without_models_takes_no_alias(plugin):
    file = plugin("texts.py", "from harness import hookimpl\n@hookimpl\ndef harness_corpora(): return []\n")
    with pytest.raises(PluginError, match=r"'base\.texts' failed to load: it lists no model"):
        load([Path(f"base={file}")]).hold_to_named()


def test_a_path_that_holds_a_sign_of_equality_has_no_alias(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    assert parted(Path("a=b")) == ("", tmp_path / "a=b")
    assert parted(Path("a=../x")) == ("a", tmp_path.parent / "x")
    assert absolute(absolute(Path("a=c"))) == Path(f"a={tmp_path / 'c'}")


def test_two_versions_are_timed_in_one_group(command, tmp_path):
    """The workers too: each has the parameters that its own folder gives it, and they took turns."""
    folders = [tmp_path / name for name in ("old", "new")]
    for folder in folders:
        shutil.copytree(Path(__file__).with_name("tutorial_plugin"), folder)
    changed = folders[1] / "tutorial_plugin" / "model.py"
    changed.write_text(changed.read_text().replace("2 * config.dim)", "2 * config.dim, bias=False)"))
    done = command("run", "-p", f"base={folders[0]}", "-p", f"head={folders[1]}", "--suite", "throughput", "--plugins",
                   "base.tutorial:dim=16,head.tutorial:dim=16", "--seq-len", "16", "--rounds", "3", "--out",
                   tmp_path / "run", "--dtype", "float32", "--device", "cpu", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    cells = [json.loads(path.read_text()) for path in (tmp_path / "run" / "cells").glob("*.json")]
    assert len({cell["cell"]["group"] for cell in cells}) == 1 and len({cell["cell"]["code"] for cell in cells}) == 2
    assert {"control:train" in cell["raw"]: cell["cell"]["plugin"] for cell in cells}[True] == "base.tutorial"
    params = {cell["cell"]["plugin"]: cell["rows"][0]["params"] for cell in cells}
    assert params["base.tutorial"] == params["head.tutorial"] + 32
    compared = command("compare", tmp_path / "run", "--plugins", "base.tutorial:dim=16,head.tutorial:dim=16", "--json",
                       "--fail-on", "throughput.tokens_per_s < 0.0001")
    assert compared.returncode == 0, compared.stderr
    assert "paired by round, 3 rounds" in compared.stdout
