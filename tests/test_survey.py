"""Plugins as data: whoever plans imports none of them, is told the same, and keeps what they try to change."""

import os
import sys
from pathlib import Path

import pytest

from harness.commands.planning import here, registry_for
from harness.errors import FileError, PluginError, UsageError
from harness.importing import module_name
from harness.referee.survey import Survey, surveyed
from harness.registry import load
from harness.run.choices import check_options, choose
from harness.run.flags import RunOptions
from harness.store import CellResult

TWO = """
from dataclasses import dataclass
from pathlib import Path
from harness import ComponentSpec, ModelSpec, TokenizerSpec, hookimpl

@dataclass(frozen=True)
class Config:
    dim: int = 8
    rate: float = 0.5
    PRESETS = {"tiny": {"dim": 4}}

    def __post_init__(self):
        if self.dim % 2:
            raise ValueError("dim must be even")

@hookimpl
def harness_models():
    return [ModelSpec("odd", f"{__name__}:Model", f"{__name__}:Config", "classical", "", "", places=("mixer",))]

@hookimpl
def harness_components():
    return [ComponentSpec("odd", "mixer", "sum", f"{__name__}:Sum", "")]

@hookimpl
def harness_tokenizers():
    return [TokenizerSpec("own", f"{__name__}:Own", "")]

@hookimpl
def harness_claims():
    return [Path("claims.toml")]

@hookimpl
def harness_environment():
    return {"place": "elsewhere"}
"""
MODEL = TWO.partition("@hookimpl\ndef harness_components")[0]


def nowhere(brought):
    return ""


@pytest.fixture
def found(plugin):
    return surveyed([plugin("two.py", TWO)], [], nowhere)


def test_what_plugins_bring_is_known_and_none_is_imported(found, plugin):
    path = plugin("two.py", TWO)
    assert module_name(path) not in sys.modules
    own = load([path])
    assert own.models == found.models
    assert own.components == found.components
    assert own.tokenizers == found.tokenizers
    assert own.origins == found.origins
    assert found.named == ["two"]


def test_hooks_that_give_data_are_asked(found):
    assert found.manager.hook.harness_environment() == [{"place": "elsewhere"}]
    claims, = [own.function() for own in found.manager.hook.harness_claims.get_hookimpls() if own.plugin_name == "two"]
    assert list(map(Path, claims)) == [Path("claims.toml")]


@pytest.mark.parametrize("selector", ["odd", "odd:dim=04:rate=1e-1", "odd:rate=2"])
def test_a_choice_is_the_same(plugin, selector):
    file = plugin("two.py", TWO)
    away, = choose(surveyed([file], [], nowhere), [selector])
    assert away == choose(load([file]), [selector])[0]
    assert away.takes("rate")


@pytest.mark.parametrize(("selector", "preset"), [
    ("odd:dmi=4", ""), ("odd:dim=many", ""), ("odd:dim=3", ""), ("odd", "huge"), ("odd", "tiny")])
def test_a_mistake_is_told_in_the_same_words(plugin, selector, preset):
    def told(registry):
        try:
            check_options(choose(registry, [selector]), preset, configs=registry.configs)
        except UsageError as error:
            return str(error)
        return ""

    file = plugin("two.py", TWO)
    words = told(surveyed([file], [], nowhere))
    assert words == told(load([file]))
    assert bool(words) == (preset != "tiny")


@pytest.mark.parametrize("source", ["import no_such_module", "raise ValueError('no')", "x ="])
def test_a_broken_plugin_is_told_in_the_same_words(plugin, source):
    file = plugin("broken.py", source)
    assert surveyed([file], [], nowhere).broken == load([file]).broken
    with pytest.raises(PluginError, match="'broken' failed to load"):
        surveyed([file], [], nowhere).hold_to_named()


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileError, match="no plugin file"):
        surveyed([tmp_path / "none.py"], [], nowhere)


def test_what_ends_the_process_is_told(plugin):
    with pytest.raises(PluginError, match="process that imports the plugins ended: exit code 3"):
        surveyed([plugin("ends.py", "import os\nos._exit(3)")], [], nowhere)


def test_an_answer_that_is_none_is_told(found):
    with pytest.raises(PluginError, match="answers what is no answer: must be a table, not a list"):
        found.configs.ask(dict[str, str], "names", "odd")


CHANGES = {
    "the store": ("from harness.store import CellResult\nCellResult.__init__ = None",
                  lambda before: CellResult.__init__ is before["init"]),
    "the environment": ("import os\nos.environ['MARK'] = 'text'", lambda before: "MARK" not in os.environ),
    "a file beside it": ("import os\nopen(os.path.join(os.path.dirname(__file__), 'notes.txt'), 'w').write('text')",
                         lambda before: not before["folder"].joinpath("notes.txt").exists()),
    "its own source": ("open(__file__, 'a').write('# text')",
                       lambda before: before["file"].read_text() == before["text"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_that_a_plugin_changes_at_import_is_changed_here(plugin, tmp_path, change):
    source, unchanged = CHANGES[change]
    text = f"try:\n    {source.replace(chr(10), chr(10) + '    ')}\nexcept OSError:\n    pass\n{MODEL}"
    file = plugin("changes.py", text)
    before = {"init": CellResult.__init__, "file": file, "folder": tmp_path, "text": text}
    assert "odd" in surveyed([file], [], nowhere).models
    assert unchanged(before)


def test_the_text_is_out_of_sight(plugin, tmp_path):
    (tmp_path / "text.py").write_text("held_out = 1")
    file = plugin("reads.py", "try:\n    import text\nexcept (ImportError, PermissionError):\n    pass\n"
                              f"else:\n    raise ValueError('seen')\n{MODEL}")
    path = [str(tmp_path), *sys.path]
    before, sys.path = sys.path, path
    try:
        assert "seen" in surveyed([file], [], nowhere).broken["reads"].reason
        assert not surveyed([file], [tmp_path / "text.py"], nowhere).broken
    finally:
        sys.path = before


def test_what_a_plugin_says_of_a_built_in_model_is_not_asked(plugin):
    survey = Survey([plugin("two.py", TWO)], [])
    assert survey.models == {"odd"}


SUITE = """
from harness import Suite, hookimpl

@hookimpl
def harness_suites():
    return [Suite("mine", "", lambda request: [], lambda cell, bench: None)]

@hookimpl
def harness_cell_finished(result, directory):
    pass
"""


@pytest.mark.parametrize(("source", "options", "why"), [
    (SUITE, {"suite": "mine"}, "suite mine and hook harness_cell_finished"),
    (SUITE, {"suite": "perplexity"}, "hook harness_cell_finished"),
    (TWO, {"tokenizer": "own"}, ""),
    (TWO, {}, ""),
    (MODEL + SUITE.partition("@hookimpl\ndef harness_suites")[0], {}, ""),
], ids=["suite", "exporter", "tokenizer", "model", "none"])
def test_what_has_to_run_in_the_command_is_told(plugin, source, options, why):
    file = str(plugin("one.py", source))
    registry = registry_for(RunOptions(**{"plugins": "odd", "plugin_file": (file,)} | options))
    assert registry.notes == ([f"the code of one ran beside the store, for its {why}"] if why else [])


def test_what_is_measured_exports_nothing(plugin):
    file = plugin("both.py", MODEL + SUITE)
    brought = Survey([file], []).findings.brought["both"]
    assert here(RunOptions(plugins="odd:dim=2"), brought) == ""
    assert here(RunOptions(plugins="baseline"), brought) == "hook harness_cell_finished"
