"""What several test files share: a toy plugin, plugins written on the spot, the command in a process of its own."""

import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from typer.testing import CliRunner

import harness
from harness import __main__ as entry
from harness.cli import app

if not shutil.which("nvidia-smi"):
    os.environ["TRITON_INTERPRET"] = "1"        # read when Triton is imported, by whichever test comes first
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # many processes of these tests import the tree: compile it once

os.environ.setdefault("OMP_NUM_THREADS", "1")   # of this process; tests run in several, and clocks count threads
for size in ("COLUMNS", "LINES"):               # of whoever runs the tests, in several processes say
    os.environ.pop(size, None)

PATIENCE_S = 900.0                              # until a process counts as hung: a machine may be slow, and busy
ROOT = Path(harness.__file__).parents[1]
TOY = Path(__file__).with_name("toy.py")
PRETENDED = """
from types import SimpleNamespace
from harness import CellResult, Row, hookimpl

def run(cells, specs, done, events, stop):
    for cell in cells:
        events.finished(CellResult(cell.record(), [Row(suite=cell.suite, plugin=cell.plugin, metric="m", value=7.5)]))

@hookimpl
def harness_executor(name, local):
    return SimpleNamespace(run=run, measure_limits=lambda device: {}, limits={})
"""


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A copy of the toy plugin's file, in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("toy plugin")
    return Path(write(folder / "toy.py", TOY.read_text()))


@pytest.fixture
def plugin(tmp_path):
    """A function that writes a plugin file of this test: (name, source) -> path."""
    return lambda name, source: write(tmp_path / name, source)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def environment():
    """Of a command: it finds this source tree from any folder, on one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}


def alone(function, *arguments):
    """What a function of a module returns in a process of its own: in ours, what other tests have freed may be used
    again, and is in no peak."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def start(*arguments, cwd=None, **variables):
    """The command as a running process with its outputs as text pipes, and with these environment variables."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, arguments)], cwd=cwd, env={**environment(), **variables}, text=True,
        errors="surrogateescape", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="session")
def command(tmp_path_factory):
    """Run `harness ARGUMENTS…` to its end, in an empty folder unless told otherwise."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def run(*arguments, cwd=elsewhere, **variables):
        process = start(*arguments, cwd=cwd, **variables)
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.wait()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture
def invoke(monkeypatch, capsys):
    """A command in this process: (code, stdout, stderr). A traceback is a failure of the test."""
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            entry.main()
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The directory of a short training run of a model with a state."""
    folder = tmp_path_factory.mktemp("trained")
    draw = random.Random(0)
    write(folder / "words.txt", "\n\n".join(" ".join(draw.choices(["alpha", "beta", "of"], k=99)) for _ in range(40)))
    done = CliRunner().invoke(app, [
        "train", "baseline:layers=1", "--params", "2k", "--seq-len", "16", "--batch-size", "4", "--dtype", "float32",
        "--device", "cpu", "--corpus", f"file:{folder / 'words.txt'}", "--bytes", "4k", "--lr", "0.02", "-q",
        "--out", str(folder / "run")])
    assert done.exit_code == 0, done.output
    return folder / "run"
