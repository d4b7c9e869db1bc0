"""`harness check`: the tutorial passes as a folder, installed and in pytest; each planted fault fails in its line."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from conftest import ROOT, environment
from typer.testing import CliRunner

from harness import __main__ as entry
from harness.cli import app
from harness.conformance.result import MENDS
from harness.conformance.scaffold import create

TUTORIAL = Path(__file__).with_name("tutorial_plugin")
LINES = ["loads", "cheap spec", "summary", "builds", "options", "sizing", "contract", "determinism", "causality",
         "batch independence", "split law", "train = eval", "gradients", "live parameters", "beyond the length",
         "device", "dtype", "state", "advance", "checkpoint"]


@pytest.fixture(autouse=True)
def modules_as_before(monkeypatch):
    """Projects of one name are imported from many folders here."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget("tutorial_plugin")
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("tutorial_plugin", "mine", "harness_plugin_file")):
            del sys.modules[name]


def forget(package):
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


@pytest.fixture
def project(tmp_path):
    """A copy of the tutorial, in a folder whose name has a space; its texts can be replaced."""
    folder = tmp_path / "a project"
    shutil.copytree(TUTORIAL, folder, ignore=shutil.ignore_patterns("__pycache__"))

    def edited(**replacements):
        for name, pairs in replacements.items():
            path = folder / "tutorial_plugin" / {"spec": "__init__.py"}.get(name, f"{name}.py")
            text = path.read_text()
            for old, new in pairs.items():
                assert old in text
                text = text.replace(old, new)
            path.write_text(text)
        shutil.rmtree(folder / "tutorial_plugin" / "__pycache__", ignore_errors=True)       # it knows seconds and sizes
        return folder

    return edited


@pytest.fixture
def check(monkeypatch, capsys):
    """The command in this process: exit code and lines."""
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["harness", "check", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as left:
            entry.main()
        printed = capsys.readouterr()
        return left.value.code, [json.loads(line) for line in printed.out.splitlines()], printed.err

    return call


def failing(lines):
    return {line["check"]: line for line in lines if line["status"] not in ("ok", "note", "skipped")}


def test_the_tutorial_passes_every_line(check):
    code, lines, _ = check(TUTORIAL)
    assert code == 0
    assert [line["check"] for line in lines] == LINES
    assert {line["status"] for line in lines} == {"ok"}
    assert set(LINES) <= set(MENDS)
    found = {line["check"]: line["detail"] for line in lines}
    assert found["state"].endswith("bytes a sequence, whatever the length")
    assert found["live parameters"] == "a gradient reaches all 8"
    assert found["advance"] == "is forward itself"


def test_the_tutorial_is_short_and_shaped_as_a_new_plugin(tmp_path):
    """At most 40 lines of model, six of pyproject, the files of `harness new`."""
    assert len((TUTORIAL / "tutorial_plugin" / "model.py").read_text().splitlines()) <= 40
    text = (TUTORIAL / "pyproject.toml").read_text()
    assert len([line for line in text.splitlines() if line.strip() and not line.startswith("[")]) <= 6
    new = {str(path.relative_to(tmp_path)): path for path in create("mine", tmp_path)}
    own = {str(path.relative_to(TUTORIAL)).replace("tutorial_plugin", "mine")
           for path in TUTORIAL.rglob("*") if path.suffix in (".py", ".toml")}
    assert own == set(new)
    renamed = new["pyproject.toml"].read_text().replace("mine", "tutorial_plugin")
    assert tomllib.loads(renamed.replace("harness-tutorial_plugin", "harness-tutorial-plugin")) == tomllib.loads(text)


@pytest.mark.parametrize("heads", [False, True], ids=["", "heads"])
def test_what_is_new_passes(check, tmp_path, heads):
    create("mine", tmp_path / "new", heads)
    code, lines, _ = check(tmp_path / "new")
    assert code == 0
    assert not failing(lines)


def test_the_tutorial_is_installed_and_found_by_its_entry_point(project, tmp_path):
    """Built offline by pip into a folder of its own, then listed and checked by name from elsewhere."""
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "--target", site, project()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments], cwd=elsewhere, capture_output=True, text=True, check=False,
            env=environment() | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])})

    listed = {entry["name"]: entry for entry in map(json.loads, command("plugins", "--json").stdout.splitlines())}
    assert listed["tutorial"]["from"] == "tutorial_plugin"
    done = command("check", "harness-tutorial-plugin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(LINES)} of {len(LINES)} lines hold" in done.stdout


SKIP = "        y = sum("
FAULTS = {                              # line -> what is done to the tutorial, and what its line says
    "cheap spec": ({"spec": {"from dataclasses": "import torch\nfrom dataclasses"}}, "listing it imports torch"),
    "summary": ({"spec": {'summary="a causal convolution of the last tokens before a gated layer"': 'summary=" "'}},
                "its summary is empty"),
    "builds": ({"model": {"import torch\n": "import no_such_package\nimport torch\n"}},
               "No module named 'no_such_package'"),
    "options": ({"spec": {"self.dim < 1 or self.window < 1": "self.dim < 1"}}, "window=-1 is accepted, and then"),
    "sizing": ({"model": {"2 * config.dim)": "2 * config.dim, bias=self.taps.device.type != 'meta')"}},
               "on the meta device and"),
    "contract": ({"model": {"return self.head(self.norm(x + value * gate.sigmoid()))":
                            "return self.head(self.norm(x + value * gate.sigmoid()))[:, :, 1:]"}}, "of shape"),
    "causality": ({"model": {SKIP: "        x = x + x.roll(-1, dims=1)\n        y = sum("}}, "changing tokens from"),
    "batch independence": ({"model": {SKIP: "        x = x - x.mean(0)\n        y = sum("}}, "changing rows"),
    "split law": ({"model": {"if state is None else state": "if state is None else 0 * state"}}, "cut at"),
    "determinism": ({"model": {SKIP: "        x = x + torch.randn_like(x)\n        y = sum("}}, "calling again"),
    "train = eval": ({"model": {SKIP: "        x = x * (1 + self.training)\n        y = sum("}}, "moves logits"),
    "gradients": ({"model": {"value * gate.sigmoid()": "value * gate.sigmoid() + 0 * x.detach().sub(x).abs().sqrt()"}},
                  "NaN or infinite gradients"),
    "live parameters": ({"model": {"        self.norm =": "        self.unused = nn.Parameter(torch.ones(3))\n"
                                   "        self.norm ="}}, "3 numbers in unused"),
    "device": ({"model": {SKIP: "        x = x + torch.zeros(x.shape)\n        y = sum("}},
               "zeros at model.py:23 lies on the CPU"),
    "dtype": ({"model": {"x + value * gate.sigmoid()":
                         "x + value * gate.sigmoid() * torch.ones(x.shape, device=x.device)"}},
              "ones at model.py:25 is float32 by default"),
    "state": ({"model": {"if state is None else state": "if state is None else state.transpose(0, 1)",
                         "seen[:, seen.shape[1] - before :]": "seen[:, seen.shape[1] - before :].transpose(0, 1)"}},
              "is in the state of a batch of 5"),
    "advance": ({"model": {"    def forward": "    def advance(self, tokens, state):\n"
                           "        return self(tokens, 0 * state)\n\n    def forward"}},
                "call 1 after 9 tokens, of 1 x 1 tokens, gives logits that are"),
    "checkpoint": ({"model": {"        self.norm =": "        self.bias = torch.randn(vocab_size)\n        self.norm =",
                              "return self.head(": "return self.bias + self.head("}}, "differ by"),
}


@pytest.mark.parametrize("line", FAULTS)
def test_a_planted_fault_fails_in_its_line(check, project, line):
    """The line says what it found and how to mend it; the exit code is 1."""
    replacements, words = FAULTS[line]
    code, lines, _ = check(project(**replacements))
    assert code == 1
    found = failing(lines)[line]
    assert words in found["detail"]
    assert found["mend"] == MENDS[line]
    assert "\n" not in found["detail"]


def test_training_that_counts_its_steps_outside_the_checkpoint_is_found(check, project):
    """A schedule in a plain attribute begins anew where training is resumed; in a buffer it goes on."""
    count = ("        if self.training:\n            self.steps += 1\n            x = x * (1 + 1e-3 * self.steps)\n"
             "        y = sum(")
    attribute = {"        self.norm =": "        self.steps = 0\n        self.norm =", SKIP: count}
    found = failing(check(project(model=attribute))[1])
    assert "weights that were kept and read train with logits that differ by" in found["checkpoint"]["detail"]
    forget("tutorial_plugin")
    project(model={"self.steps = 0": "self.register_buffer('steps', torch.tensor(0))"})
    assert "checkpoint" not in failing(check(project())[1])


def test_every_line_but_two_has_a_planted_fault():
    """That nothing loads is tested below; what does not reach beyond its length is noted and no fault."""
    assert {*FAULTS, "loads", "beyond the length"} == set(LINES)


def test_a_faint_fault_fails_alone(check, project):
    """Nothing else is accused where one thing is wrong."""
    for line in FAULTS.keys() - {"builds", "options", "device", "checkpoint"}:
        forget("tutorial_plugin")
        assert list(failing(check(project(**FAULTS[line][0]))[1])) == [line]
        for name, pairs in FAULTS[line][0].items():
            project(**{name: {new: old for old, new in pairs.items()}})


CASCADES = {                            # a line that fails -> those that are skipped for it
    "builds": dict.fromkeys(("options", "sizing", "contract"), "builds") | dict.fromkeys(
        LINES[LINES.index("determinism"):], "contract") | {"beyond the length": "split law"},
    "contract": dict.fromkeys(LINES[LINES.index("determinism"):], "contract") | {"beyond the length": "split law"},
    "causality": {"split law": "causality", "beyond the length": "split law"},
    "determinism": {"causality": "determinism", "batch independence": "determinism", "split law": "determinism",
                    "train = eval": "determinism", "live parameters": "train = eval",
                    "beyond the length": "split law", "advance": "determinism", "checkpoint": "determinism"},
    "split law": {"beyond the length": "split law"},
    "gradients": {"live parameters": "gradients", "checkpoint": "gradients"},
    "train = eval": {"live parameters": "train = eval"},
}


def test_training_in_bfloat16_is_tried(check, project):
    """What has no backward pass there passes every other line: they are about float32, or need no gradient."""
    fault = ("        if torch.is_autocast_enabled('cpu') and torch.is_grad_enabled():\n"
             "            raise RuntimeError('no kernel for bfloat16')\n")
    code, lines, _ = check(project(model={SKIP: fault + SKIP}))
    found = failing(lines)
    assert code == 1 and set(found) == {"dtype"}
    assert "a training step in bfloat16 raises RuntimeError: no kernel for bfloat16" in found["dtype"]["detail"]


@pytest.mark.parametrize("line", CASCADES)
def test_what_rests_on_a_failed_line_is_skipped_and_not_accused(check, project, line):
    code, lines, _ = check(project(**FAULTS[line][0]))
    skipped = {found["check"]: found["detail"] for found in lines if found["status"] == "skipped"}
    assert (code, list(failing(lines))) == (1, [line])
    assert skipped == {name: f"needs {needed}" for name, needed in CASCADES[line].items()}
    assert not any("mend" in found for found in lines if found["check"] != line)
    assert [found["check"] for found in lines] == LINES


@pytest.mark.parametrize(("model", "words"), [
    ({"return self.head(": "return nn.functional.linear(x, self.norm.weight[:3]) + self.head("}, "(model.py:25)"),
    ({"y = sum(": "y = helper.broken(x) + sum(", "import torch\n": "import torch\nfrom . import helper\n"},
     "(helper.py:3)"),
], ids=["torch", "a module beside it"])
def test_a_failure_names_the_line_of_the_author(check, project, model, words):
    """Not the one in torch that raised."""
    folder = project(model=model)
    helper = folder / "tutorial_plugin" / "helper.py"
    helper.write_text("import torch\ndef broken(x):\n    return torch.cat([x, 3])\n")
    detail = failing(check(folder)[1])["contract"]["detail"]
    assert words in detail


HEADS = {"spec": {"    window: int = ": "    heads: int = 2\n    window: int = "}}
EARLY = {"if self.dim < 1": "if self.dim % self.heads:\n            raise ValueError('no multiple of heads')\n"
         "        if self.dim < 1"}
LATE = {"        value, gate": "        heads = self.config.heads\n"
        "        y = y.view(*y.shape[:2], heads, self.config.dim // heads).flatten(2)\n        value, gate"}
BUILT = {"        self.norm =": "        nn.MultiheadAttention(config.dim, config.heads)\n        self.norm ="}
STEP = {"    def __post_init__": "    @property\n    def width_step(self):\n        return self.heads\n\n"
        "    def __post_init__"}


@pytest.mark.parametrize(("spec", "model"), [(EARLY, {}), ({}, LATE), ({}, BUILT)], ids=["config", "forward", "init"])
def test_a_width_that_the_heads_do_not_divide_is_mended_by_width_step(check, project, spec, model):
    """Wherever it shows, the line of the sizes alone fails, and names the cure; with the cure everything holds."""
    code, lines, _ = check(project(spec=HEADS["spec"] | spec, model=model))
    assert (code, list(failing(lines))) == (1, ["sizing"])
    assert "width_step" in failing(lines)["sizing"]["detail"]
    assert "width_step" in failing(lines)["sizing"]["mend"]
    assert not [line for line in lines if line["status"] == "skipped"]
    forget("tutorial_plugin")
    code, lines, _ = check(project(spec=STEP))
    assert (code, list(failing(lines))) == (0, []) if spec else "sizing" not in failing(lines)


def test_defaults_that_the_config_refuses_are_mended_there(check, project):
    """A width that the heads do not divide by default: the one line that fails names the cure."""
    code, lines, _ = check(project(spec={**EARLY, "    window: int = ": "    heads: int = 7\n    window: int = "}))
    assert (code, list(failing(lines))) == (1, ["builds"])
    assert "no multiple of heads" in failing(lines)["builds"]["detail"]
    assert "defaults" in failing(lines)["builds"]["mend"]
    assert "width_step" in failing(lines)["builds"]["mend"]


def test_lengths_and_dtype_are_those_that_are_asked_for(check):
    code, lines, _ = check("baseline", "--seq-len", "1,2,100", "--dtype", "bfloat16")
    found = {line["check"]: line["detail"] for line in lines}
    assert (code, failing(lines)) == (0, {})
    assert found["split law"].startswith("T=1, 2, 100; within 0.0")         # rounding of bfloat16, not of float32


@pytest.mark.parametrize(("given", "words"), [
    (("--device", "cuda"), "--device cuda: "), (("--device", "tpu"), "--device must be one of auto, cpu, cuda"),
    (("--dtype", "int8"), "--dtype must be one of"), (("--seq-len", "0"), "--seq-len must be at least 1"),
])
def test_conditions_that_cannot_be_are_one_line(check, given, words):
    if given == ("--device", "cuda") and torch.cuda.is_available():
        pytest.skip("there is one")
    code, lines, err = check(TUTORIAL, *given)
    assert (code, lines) == (2, [])
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize(("source", "code", "line", "words"), [
    ("raise ValueError('broken')", 3, "loads", "ValueError: broken"),
    ("import harness", 3, "loads", "it implements no hook"),
])
def test_what_does_not_load_is_code_3(check, plugin, source, code, line, words):
    found, lines, _ = check(plugin("mine.py", source))
    assert found == code
    assert words in failing(lines)[line]["detail"]


LEAVE = ("raise SystemExit(0)", "raise KeyboardInterrupt", "raise GeneratorExit('bye')", "raise BaseException('bye')")


@pytest.mark.parametrize("leave", LEAVE)
@pytest.mark.parametrize(("place", "code", "line"), [
    ({"spec": {"@hookimpl": "{}\n\n\n@hookimpl"}}, 3, "loads"),
    ({"spec": {"    return [ModelSpec(": "    {}\n    return [ModelSpec("}}, 3, "loads"),
    ({"spec": {"        if self.dim < 1": "        {}\n        if self.dim < 1"}}, 1, "builds"),
    ({"model": {"import torch\n": "{}\nimport torch\n"}}, 1, "builds"),
    ({"model": {"        self.norm =": "        {}\n        self.norm ="}}, 1, "builds"),
    ({"model": {SKIP: "        {}\n        y = sum("}}, 1, "contract"),
], ids=["import", "hook", "config", "import of the model", "init", "forward"])
def test_whatever_a_plugin_leaves_by_is_a_line(check, project, leave, place, code, line):
    """Neither a traceback nor an end of the command, also by what no `except Exception` catches."""
    replaced = {name: {old: new.replace("{}", leave) for old, new in pairs.items()} for name, pairs in place.items()}
    found, lines, err = check(project(**replaced))
    if (leave, line) == (LEAVE[1], "contract"):
        line = "builds"                                     # of an interrupt it is not told who sent it
    assert (found, list(failing(lines)), err) == (code, [line], "")
    assert leave.split()[1].partition("(")[0] in failing(lines)[line]["detail"]
    assert ".py:" in failing(lines)[line]["detail"]


def test_what_is_not_installed_is_said_with_its_extra_and_no_more_is_checked(check, project):
    needs = 'source="the tutorial", requires=("no_such_package",)'
    code, lines, _ = check(project(spec={'source="the tutorial"': needs}))
    assert code == 3
    assert lines[-1]["check"] == "builds"
    assert lines[-1]["status"] == "unavailable"
    assert "tutorial needs no_such_package: pip install no_such_package" in lines[-1]["detail"]


def test_a_single_file_may_import_torch_and_is_told(check, plugin):
    spec = (TUTORIAL / "tutorial_plugin" / "__init__.py").read_text()
    model = (TUTORIAL / "tutorial_plugin" / "model.py").read_text()
    spec = spec.replace('"tutorial_plugin.model:', 'f"{__name__}:').replace('"tutorial_plugin:', 'f"{__name__}:')
    code, lines, _ = check(plugin("mine.py", model + spec))
    assert code == 0
    assert {line["check"]: line["status"] for line in lines}["cheap spec"] == "note"


PACKAGE = """
from pathlib import Path
from harness import CorpusSpec, Suite, TokenizerSpec, hookimpl
from harness.data.documents import Documents
from harness.data.tokenizers import Bytes

def text(argument=""):
    return Documents("mine", tuple(f"training {i} and {i * i} more".encode() for i in range(99)), (b"held out",))

def plan(request):
    return [request.cell("answers", choice) for choice in request.models]

def measure(cell, bench):
    bench.row("answer", 42.0, "", "higher")

@hookimpl
def harness_tokenizers():
    return [TokenizerSpec("letters", f"{__name__}:Bytes", "bytes by another name")]

@hookimpl
def harness_corpora():
    return [CorpusSpec("numbers", f"{__name__}:text", "numbers")]

@hookimpl
def harness_suites():
    return [Suite("answers", "of a test", plan, measure, primary=("answer",))]

@hookimpl
def harness_claims():
    return [Path(__file__).with_name("said.toml")]
"""


def test_everything_that_a_package_brings_is_checked(check, plugin, tmp_path):
    (tmp_path / "said.toml").write_text('[[claim]]\nid = "mine"\nquote = "q"\nsource = "s"\nsection = "t"\n'
                                        'failure = "f"\nunmeasurable = "it is a name"\n')
    code, lines, _ = check(plugin("mine.py", PACKAGE))
    assert (code, failing(lines)) == (0, {})
    assert {(line["subject"], line["check"]) for line in lines} >= {
        ("letters", "round trip"), ("numbers", "same text"), ("answers", "rows"), ("said.toml", "named")}
    assert not {line["check"] for line in lines} - set(MENDS)


def test_a_state_that_grows_is_told(check):
    code, lines, _ = check("baseline")
    assert code == 0
    assert "more a token" in {line["check"]: line["detail"] for line in lines}["state"]


@pytest.mark.parametrize(("what", "code", "words"), [
    ("baselin", 2, "did you mean 'baseline'"),
    ("no.such.package", 2, "a folder with a pyproject.toml, a .py file or an installed package"),
    ("absent.py", 4, "no plugin file"),
    (".", 4, "has no pyproject.toml"),
])
def test_what_cannot_be_found_is_one_line(check, monkeypatch, tmp_path, what, code, words):
    monkeypatch.chdir(tmp_path)
    found, lines, err = check(what)
    assert (found, lines) == (code, [])
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("text", "words"), [
    ("[project]\nname = 'x'\n", "lists no plugin"), ("[project", "is corrupt"),
    ("[project]\nentry-points.harness = {}\n", "lists no plugin"),
    ("[project]\nentry-points.harness = { mine = 3 }\n", "lists no plugin"),
])
def test_a_project_without_an_entry_point_is_one_line(check, tmp_path, text, words):
    (tmp_path / "pyproject.toml").write_text(text)
    code, _, err = check(tmp_path)
    assert code == 4
    assert words in err


def test_the_table_shows_the_mend(project):
    done = CliRunner().invoke(app, ["check", str(project(**FAULTS["live parameters"][0]))])
    assert done.exit_code == 1
    assert "FAIL" in done.output
    assert f"-> {MENDS['live parameters']}" in done.output
    assert f"{len(LINES) - 1} of {len(LINES)} lines hold; look at live parameters" in done.output


def test_every_line_is_a_test_under_pytest(project, tmp_path):
    """The planted fault fails by name with its mend, the others pass; a wrong name is a mistake of the command line."""
    def pytest_run(what):
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "-p", "harness.conformance.pytest_plugin", "--harness-check", what,
             "--rootdir", tmp_path], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)

    done = pytest_run(project(**FAULTS["live parameters"][0]))
    assert done.returncode == 1
    assert f"1 failed, {len(LINES)} passed" in done.stdout               # and the project's own test
    assert "tutorial: live parameters FAILED" in done.stdout
    assert MENDS["live parameters"] in done.stdout
    assert "tutorial: causality PASSED" in done.stdout
    wrong = pytest_run("no-such-thing")
    assert wrong.returncode == 4
    assert "unknown plugin or package" in wrong.stderr
