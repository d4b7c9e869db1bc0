"""Components: what a plugin brings for a place of a model is found by name, audited, and told of where it is wrong."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness import components
from harness.checkpoint import RunConfig
from harness.errors import PluginError, UsageError
from harness.importing import module_name
from harness.options import make_config
from harness.registry import current, load
from harness.run.choices import choose
from harness.run.digest import source_digest
from harness.run.identity import model_digest
from harness.selector import parse_selector
from harness.specs import ComponentSpec, ModelSpec

PAGE = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text(encoding="utf-8")

PARTS = '''
import torch
from torch import nn

from harness import ComponentSpec, hookimpl


class Spelling(nn.Module):
    """A bank that reads the text."""

    reads_text = True

    def __init__(self, config):
        super().__init__()
        self.table = nn.Embedding(13, 2 * config.dim)

    def forward(self, z, state, text):
        return z + self.table(text.script), None


class Mean(nn.Module):
    """A coupler without weights and without a loss."""

    def __init__(self, config):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2 * config.dim))

    def forward(self, z, readings):
        return z + self.scale * torch.stack(readings).mean(dim=0), None


class Decay(nn.Module):
    """A memory of the running sum, which it carries."""

    def __init__(self, config):
        super().__init__()
        self.read = nn.Linear(2 * config.dim, 2 * config.dim)

    def forward(self, h, state=None):
        kept, steps = torch.zeros_like(h[:, 0]) if state is None else state, []
        for x in self.read(h).tanh().unbind(1):
            kept = 0.9 * kept + x
            steps.append(kept)
        return h + torch.stack(steps, dim=1), kept


class Future(Decay):
    def forward(self, h, state=None):
        return h + self.read(h.flip(1)), None


class Bare(Spelling):
    def forward(self, z, state, text):
        return z


class NoModule:
    def __init__(self, config):
        pass


@hookimpl
def harness_components():
    return [
        ComponentSpec("phasefield", place, name, f"{__name__}:{target}", "of a test") for place, name, target in (
            ("bank", "spelling", "Spelling"), ("coupler", "mean", "Mean"), ("memory", "decay", "Decay"),
            ("bank", "bare", "Bare"), ("bank", "lost", "Lost"), ("memory", "future", "Future"),
            ("memory", "nothing", "NoModule"))]
'''
ALL_THREE = "phasefield:banks=semantic+spelling:coupler=mean:memory=decay"

SPEC = '''
from harness import ComponentSpec, hookimpl

@hookimpl
def harness_components():
    return [ComponentSpec({})]
'''


@pytest.fixture
def parts(plugin):
    return plugin("parts.py", PARTS)


@pytest.fixture(autouse=True)
def built_in_again():
    """What a test loaded is not there for the next one."""
    yield
    load()


def test_a_model_with_three_foreign_components_passes_the_audit(command, parts):
    done = command("audit", ALL_THREE, "-p", parts, "--params", "10k", "--seq-len", "5,17", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["metric"] for row in rows} >= {"split law", "suffix perturbation", "gradients"}
    assert "live parameters" not in {row["metric"] for row in rows} and 9_800 < rows[0]["params"] < 10_200


def test_the_example_of_the_documentation_works(command, tmp_path):
    example, = re.findall(r"```python\n((?:(?!```).)*harness_components(?:(?!```).)*)```", PAGE, re.DOTALL)
    line, = re.findall(r"^harness (audit .*echo.*)$", PAGE, re.MULTILINE)
    (tmp_path / "echo.py").write_text(example)
    done = command(*line.split(), "--params", "10k", "--seq-len", "9", cwd=tmp_path)
    assert done.returncode == 0 and "\n  passed: " in done.stdout


@pytest.mark.parametrize(("selector", "code", "words"), [
    ("phasefield:banks=semantic+speling", 2, "unknown bank of phasefield 'speling'; did you mean 'spelling'?"),
    ("phasefield:coupler=mein", 2, "unknown coupler of phasefield 'mein'; did you mean 'mean'?"),
    ("phasefield:memory=true", 2, "unknown memory of phasefield 'true'; "),
])
def test_an_unknown_name_is_told_before_anything_runs(command, parts, selector, code, words):
    done = command("run", "--suite", "audit", "--plugins", selector, "-p", parts, "--dry-run")
    assert (done.returncode, done.stdout) == (code, "") and words in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("option", "words"), [
    ("banks=lost", "bank 'lost' of phasefield cannot be used: harness_plugin_file_parts"),
    ("banks=bare", "Bare did not return planes (2, 9, "),
    ("memory=nothing", "memory 'nothing' is a NoModule, not a torch.nn.Module"),
    ("memory=future", "suffix perturbation"),
])
def test_a_broken_component_fails_its_audit_in_a_line(command, parts, option, words):
    done = command("audit", f"phasefield:{option}", "-p", parts, "--params", "10k", "--seq-len", "9")
    failures = [line for line in done.stdout.splitlines() if "FAIL" in line]
    assert done.returncode == 1 and done.stderr == "" and words in failures[0]
    assert "lost" not in option or "has no attribute 'Lost'" in failures[0]


@pytest.mark.parametrize(("spec", "words"), [
    ("'phasefield', 'banks', 'mine', 'a:b', ''", "'mine': unknown place of phasefield 'banks'; did you mean 'bank'?"),
    ("'phasfield', 'bank', 'mine', 'a:b', ''", "'mine': unknown model 'phasfield'; did you mean 'phasefield'?"),
    ("'ssm', 'bank', 'mine', 'a:b', ''", "component 'mine': unknown place of ssm 'bank'; known: none"),
    ("'phasefield', 'bank', 'a b', 'a:b', ''", "'a b' is no name for a component"),
    ("'phasefield', 'bank', 'a+b', 'a:b', ''", "'a+b' is no name for a component"),
    ("'phasefield', 'bank', 'none', 'a:b', ''", "'none' is no name for a component"),
    ("'phasefield', 'bank', 'mine', 'Mine', ''", "mine: 'Mine' is not \"module:attribute\""),
    ("'phasefield', 'bank', 'semantic', 'a:b', ''", "ComponentSpec 'semantic' is already registered"),
])
def test_a_spec_that_fits_nowhere_makes_its_plugin_broken(plugin, spec, words):
    found = load([plugin("mine.py", SPEC.format(spec))])
    assert words in found.broken["mine"].reason
    assert set(found.components) == set(load().components)
    load([plugin("mine.py", SPEC.format(spec))])
    with pytest.raises(PluginError, match=r"unknown bank of phasefield 'other'.*; mine failed to load: "):
        components.find("phasefield", "bank", "other")


def test_a_component_may_be_registered_before_its_model(plugin):
    model = plugin("later.py", "from harness import ModelSpec, hookimpl\n@hookimpl\ndef harness_models():\n    return "
                   "[ModelSpec('later', 'a:b', 'a:c', 'classical', '', '', places=('part',))]")
    found = load([plugin("mine.py", SPEC.format("'later', 'part', 'mine', 'a:b', ''")), model])
    assert not found.broken and found.component("later", "part", "mine").target == "a:b"


def test_names_are_looked_up_in_what_was_loaded_last(parts):
    load([parts])
    assert components.load("phasefield", "memory", "decay").__name__ == "Decay"
    assert components.find("phasefield", "bank", "semantic").target.endswith(":SemanticBank")
    assert current().names("phasefield", "coupler") == ["router", "mean"]
    load()
    with pytest.raises(UsageError, match="unknown memory of phasefield 'decay'"):
        components.load("phasefield", "memory", "decay")


def test_the_config_takes_them(parts):
    spec = load([parts]).models["phasefield"]
    assert make_config(spec, {"banks": "spelling+context", "coupler": "none"}).banks == ("spelling", "context")
    with pytest.raises(UsageError, match=r"^unknown bank of phasefield 'contxt'; did you mean 'context'"):
        make_config(spec, {"banks": "contxt"})


def test_an_edited_component_is_measured_again_and_no_other_model_is(plugin):
    def code(source, selector):
        file = plugin("parts.py", source)
        sys.modules.pop(module_name(file), None)
        choice, = choose(load([file]), [selector])
        return choice.code

    plain = source_digest("harness.plugins.phasefield.model:PhaseField")
    for option in ("banks=semantic+spelling", "coupler=mean", "memory=decay"):
        before = code(PARTS, f"phasefield:{option}")
        assert before.startswith(f"{plain}+") and code(PARTS, f"phasefield:{option}") == before
        assert code(PARTS + "\n# edited", f"phasefield:{option}") != before
    assert code(PARTS, "phasefield") == code(PARTS, "phasefield:banks=context") == plain


def test_trained_weights_count_the_components_of_their_config(parts, monkeypatch):
    registry, config = load([parts]), RunConfig("id", "phasefield", "bytes", 257, "", model={"memory": "decay"})
    monkeypatch.setattr("harness.run.choices.open_checkpoint", lambda name: type("Opened", (), {"config": config}))
    monkeypatch.setattr("harness.run.choices.weights_digest", lambda name: "w")
    choice, = choose(registry, ["phasefield@runs/x"])
    assert choice.code == model_digest(registry, registry.models["phasefield"], {"memory": "decay"})
    assert "+" in choice.code


def test_they_are_listed(command, parts):
    done = command("plugins", "--options", "-p", parts)
    assert re.search(r"^ +memory decay +of a test$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +bank semantic +\w", done.stdout, re.MULTILINE)


def test_specs_are_values():
    spec = ComponentSpec("a", "b", "c", "d:e", "")
    assert spec.key == ("a", "b", "c") and replace(spec, name="x-1.y").key == ("a", "b", "x-1.y")
    assert ModelSpec("m", "a:B", "a:C", "classical", "", "").places == ()
    assert load().model(parse_selector("phasefield")).places == ("bank", "coupler", "memory")
