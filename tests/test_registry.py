"""Registry: built-ins, packages and files come through one door; a broken one is listed and stops no other."""

import os
import signal
import sys
from pathlib import Path

import pytest

from harness import registry as registry_module
from harness.errors import FileError, PluginError, UsageError
from harness.registry import BUILTIN, load
from harness.selector import parse_selector
from harness.specs import resolve

MODEL = '''
from dataclasses import dataclass
from harness import ModelSpec, hookimpl

@dataclass(frozen=True)
class Config:
    dim: int = 1

@hookimpl
def harness_models():
    return [ModelSpec("{name}", f"{{__name__}}:Config", f"{{__name__}}:Config", "classical", "{summary}", "")]
'''


def model(name, summary=""):
    return MODEL.format(name=name, summary=summary)


def reason(file):
    """Why a plugin file is broken; everything else must still be there."""
    found = load([file])
    assert set(load().models) == set(found.models)
    assert set(found.broken) == {file.stem}
    assert "\n" not in found.broken[file.stem].reason
    return found.broken[file.stem].reason


def test_every_builtin_loads():
    found = load()
    assert not found.broken
    assert set(found.origins.values()) <= set(BUILTIN)
    assert {"baseline", "ssm"} <= set(found.models)
    assert found.suites
    assert found.corpora
    assert found.tokenizers


def test_a_file_registers_like_a_builtin(plugin):
    found = load([plugin("mine.py", model("mine"))])
    assert found.origins["mine"] == "mine"
    assert found.origins["baseline"] == "harness.plugins.baseline"
    assert resolve(found.models["mine"].config).__name__ == "Config"


@pytest.mark.parametrize(("source", "words"), [
    ("def f(:\n", "SyntaxError"),
    ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ("import sys; sys.exit(0)", "SystemExit"),
    ("x = 1", "implements no hook"),
    ("from harness import hookimpl\n@hookimpl\ndef harness_model(): return []",
     "unknown hook 'harness_model'; did you mean 'harness_models'"),
    ("from harness import hookimpl\n@hookimpl\ndef harness_models(extra): return []", "extra"),
    ("from harness import hookimpl\n@hookimpl\ndef harness_models(): pass", "a NoneType, not a list of ModelSpec"),
    ("from harness import hookimpl\n@hookimpl\ndef harness_models(): return ['x']", "returned a str, not a ModelSpec"),
    ("from harness import hookimpl\n@hookimpl\ndef harness_models(): raise OSError('disk')", "OSError: disk"),
    (model("baseline"), "ModelSpec 'baseline' is already registered"),
    (model("mine").replace("return [", "return 2 * ["), "ModelSpec 'mine' is already registered"),
    (model("a b"), "no name for a model"),
])
def test_a_broken_file_says_why_and_stops_nothing(plugin, source, words):
    file = plugin("mine.py", source)
    assert words in reason(file)
    with pytest.raises(PluginError, match="plugin 'mine' failed to load: "):
        load([file]).model(parse_selector("mine"))


def test_a_file_that_hangs_is_given_up(plugin, monkeypatch):
    monkeypatch.setattr(registry_module, "IMPORT_LIMIT_S", 1)
    before = signal.getsignal(signal.SIGALRM)
    assert reason(plugin("slow.py", "import time\ntime.sleep(60)")) == "importing slow took longer than 1 s"
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.alarm(0) == 0


def test_an_unknown_model_tells_of_the_file_that_may_have_defined_it(plugin):
    with pytest.raises(PluginError, match=r"unknown plugin 'phaser'.*mine failed to load: ValueError: no"):
        load([plugin("mine.py", "raise ValueError('no')")]).model(parse_selector("phaser"))


@pytest.mark.parametrize(("ask", "words"), [
    (lambda r: r.model(parse_selector("basline")), "unknown plugin 'basline'; did you mean 'baseline'"),
    (lambda r: r.model(parse_selector("☃")), "unknown plugin '☃'; known: baseline"),
    (lambda r: r.suite("perplexty"), "unknown suite 'perplexty'; did you mean 'perplexity'"),
    (lambda r: r.corpus("pidoc"), "unknown corpus 'pidoc'; did you mean 'pydoc'"),
    (lambda r: r.corpus("file"), "corpus 'file' needs PATH: write file:PATH"),
    (lambda r: r.corpus("pydoc:x"), "corpus 'pydoc' takes no argument, got 'x'"),
    (lambda r: r.tokenizer("byte"), "unknown tokenizer 'byte'; did you mean 'bytes'"),
    (lambda r: r.tokenizer("bytes:roots=9"), "unknown option of tokenizer bytes 'roots'; known: none"),
    (lambda r: r.tokenizer("morphological:root=9"), "of tokenizer morphological 'root'; did you mean 'roots'"),
    (lambda r: r.tokenizer("morphological:roots=x"), "option roots='x' of tokenizer morphological must be an integer"),
    (lambda r: r.tokenizer("bytes@runs/x"), "a tokenizer comes from no checkpoint, got 'bytes@runs/x'"),
])
def test_unknown_names_come_with_the_nearest(ask, words):
    with pytest.raises(UsageError) as refused:
        ask(load())
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["markov:seed=01", "markov:seed=+1", "markov:seed= 1"])
def test_an_option_of_a_corpus_or_tokenizer_is_spelled_one_way(text):
    registry = load()
    assert str(registry.corpus(text)[1]) == "markov:seed=1"
    assert str(registry.corpus("markov:seed=-0")[1]) == "markov:seed=0"
    assert str(registry.corpus("file:01.txt:heldout=02.txt")[1]) == "file:01.txt:heldout=02.txt"
    assert str(registry.tokenizer("morphological:roots=0_90")[1]) == "morphological:roots=90"


def test_two_files_may_share_a_name(plugin, tmp_path):
    (tmp_path / "other").mkdir()
    first, second = plugin("model.py", model("one")), plugin("other/model.py", model("two"))
    found = load([first, second])
    assert {"one", "two"} <= set(found.models)
    assert not found.broken
    again = load([first, Path(os.path.relpath(first))])
    assert "one" in again.models
    assert not again.broken


def test_a_broken_file_does_not_take_a_loaded_one_of_its_name_away(plugin, tmp_path):
    (tmp_path / "other").mkdir()
    found = load([plugin("model.py", model("one")), plugin("other/model.py", "raise ValueError")])
    assert "one" in found.models
    assert [hook.plugin_name for hook in found.manager.hook.harness_models.get_hookimpls()].count("model") == 1


def test_a_file_may_be_called_as_a_module_of_the_standard_library(plugin):
    import random

    found = load([plugin("random.py", model("mine"))])
    assert "mine" in found.models
    assert sys.modules["random"] is random


def test_what_a_plugin_prints_goes_to_stderr(plugin, capsys):
    load([plugin("loud.py", "print('hello')\n" + model("loud"))])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "hello\n"


@pytest.mark.parametrize("name", ["absent.py", "."])
def test_a_file_that_is_none_is_an_error(tmp_path, name):
    with pytest.raises(FileError, match=r"no plugin file|no pyproject"):
        load([tmp_path / name])


def test_installed_packages_come_through_the_entry_point(tmp_path, monkeypatch):
    """Also where one is broken, or two distributions call their entries alike: each keeps its models and hooks."""
    sources = {"good_model": model("good"), "bad_model": "raise ValueError('no')", "rival_model": model("rival")}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
        entry = name.replace("rival", "good")
        (info / "entry_points.txt").write_text(f"[harness]\n{entry} = {name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = load()
    assert found.broken["bad_model"].reason == "ValueError: no"
    assert set(found.broken) == {"bad_model"}
    assert {"good", "rival"} <= set(found.models)
    hooks = {hook.plugin_name for hook in found.manager.hook.harness_models.get_hookimpls()}
    assert "good_model" in hooks
    assert len({"good_model of good_model", "good_model of rival_model"} & hooks) == 1


def project(folder, name, entry, source, *below):
    """A project's folder with one module."""
    place = folder.joinpath(*below)
    place.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[project]\nentry-points.harness = {{ {entry} = "{name}" }}\n')
    (place / f"{name}.py").write_text(source)
    return folder


@pytest.mark.parametrize("below", [(), ("src",)])
def test_a_project_registers_what_its_pyproject_lists(tmp_path, monkeypatch, below):
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"project_{len(below)}"
    folder = project(tmp_path / "a project", name, "mine", model("mine"), *below)
    for _ in range(2):
        found = load([folder])
        assert found.origins["mine"] == "mine"
        assert found.models["mine"].target == f"{name}:Config"
    assert not found.broken


def test_a_project_stands_for_the_installed_package_of_its_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    site, info = tmp_path / "site", tmp_path / "site" / "twice-1.dist-info"
    info.mkdir(parents=True)
    (site / "twice_installed.py").write_text(model("twice", "installed"))
    (info / "METADATA").write_text("Name: twice\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness]\ntwice = twice_installed\n")
    monkeypatch.syspath_prepend(site)
    folder = project(tmp_path / "source", "twice_edited", "twice", model("twice", "edited"))
    assert load().models["twice"].summary == "installed"
    found = load([folder])
    assert found.models["twice"].summary == "edited"
    assert not found.broken


def test_a_project_that_does_not_load_is_listed_and_stops_no_other(tmp_path, monkeypatch):
    """Its module raises, or has the name of one that comes from elsewhere."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    raising = project(tmp_path / "a", "raising_project", "raising", "raise ValueError('no')")
    shadowed = project(tmp_path / "b", "json", "shadowed", model("shadowed"))
    found = load([raising, shadowed])
    assert found.broken["raising"].reason == "ValueError: no"
    assert "json is another module here" in found.broken["shadowed"].reason
    assert "baseline" in found.models


def test_a_project_is_found_by_workers_too(command):
    folder = Path(__file__).with_name("tutorial_plugin")
    done = command("audit", "tutorial", "-p", folder, "--seq-len", "9", "--params", "10k")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


@pytest.mark.parametrize("error", ["BaseException('gone')", "GeneratorExit", "SystemExit(3)", "MemoryError"])
def test_whatever_a_plugin_raises_stops_no_other(tmp_path, error):
    (tmp_path / "mine.py").write_text(f"raise {error}")
    found = load([tmp_path / "mine.py"])
    assert list(found.broken) == ["mine"] and "baseline" in found.models
    with pytest.raises(PluginError, match="'mine' failed to load"):
        found.hold_to_named()
