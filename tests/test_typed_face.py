"""The typed face: a type checker finds what a suite or an executor of a plugin gets wrong."""

import importlib.util
import inspect
import subprocess
import sys

import pytest
from conftest import ROOT, environment

import harness

SUITE = '''
from collections.abc import Iterator

from harness import Cell, Request, Suite, Workbench, hookimpl


def plan(request: Request) -> Iterator[Cell]:
    for choice in request.models:
        yield request.cell("mine", choice)


def measure(cell: Cell, bench: Workbench) -> None:
    model = bench.build()
    bench.row("parameters", bench.count().total)
    for seconds in bench.time(lambda: bench.score(model, bench.heldout(100))):
        bench.row("seconds", seconds, "s", "lower")


@hookimpl
def harness_suites() -> list[Suite]:
    return [Suite("mine", "a suite", plan, measure)]
'''

EXECUTOR = '''
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness import Cell, CellResult, Events, Executor, ModelSpec, Stop, hookimpl


@dataclass
class Remote:
    local: Executor
    limits: dict[str, float]

    def measure_limits(self, device: str) -> dict[str, float]:
        return self.local.measure_limits(device)

    def run(
        self, cells: Sequence[Cell], specs: Mapping[str, ModelSpec], done: dict[str, CellResult], events: Events,
        stop: Stop,
    ) -> None:
        self.local.run(cells, specs, done, events, stop)


@hookimpl
def harness_executor(name: str, local: Executor) -> Executor | None:
    return Remote(local, {}) if name == "remote" else None
'''

MISTAKES = {                                # what is written instead -> what mypy says
    "a misspelt method": (SUITE, "bench.build()", "bench.biuld()", '"Workbench" has no attribute "biuld"'),
    "a wrong argument": (SUITE, "bench.heldout(100)", 'bench.heldout("100")', 'incompatible type "str"'),
    "a misspelt result": (SUITE, "bench.count().total", "bench.count().totl", 'has no attribute "totl"'),
    "a measure of other arguments": (SUITE, "measure(cell: Cell, bench: Workbench)", "measure(bench: Workbench)",
                                     'Argument 4 to "Suite" has incompatible type'),
    "a missing method": (EXECUTOR, "def measure_limits", "def measured_limits", "Incompatible return value type"),
    "a run of other arguments": (EXECUTOR, "done: dict[str, CellResult], ", "", "Incompatible return value type"),
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What mypy says of each file, by its name: one call for all."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed: pip install mypy")
    folder = tmp_path_factory.mktemp("typed")
    texts = {"suite": SUITE, "executor": EXECUTOR}
    texts |= {f"mistake{i}": text.replace(right, wrong)
              for i, (text, right, wrong, _) in enumerate(MISTAKES.values())}
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--strict", "--follow-imports=silent",
         *(folder / f"{name}.py" for name in texts)],
        cwd=ROOT, env={**environment(), "MYPYPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {name: [line for line in done.stdout.splitlines() if f"{name}.py:" in line] for name in texts}


def test_an_honest_suite_and_an_honest_executor_pass_the_strict_check(verdicts):
    assert (verdicts["suite"], verdicts["executor"]) == ([], [])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(verdicts, mistake):
    index, words = list(MISTAKES).index(mistake), MISTAKES[mistake][3]
    assert words in "\n".join(verdicts[f"mistake{index}"])


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "harness" / "py.typed").is_file()


@pytest.mark.parametrize("face", [harness.Workbench, harness.Executor, harness.Request, harness.Cell])
def test_the_face_is_documented(face):
    """Every public method of it has words of its own."""
    assert face.__doc__
    bare = [name for name, member in vars(face).items() if not name.startswith("_")
            and (inspect.isfunction(member) or isinstance(member, property)) and not member.__doc__]
    assert not bare


def test_the_engine_implements_the_faces():
    """Explicitly, so that mypy holds every method to the one that it stands for."""
    from harness.bench.workbench import TorchWorkbench
    from harness.run.executors import LocalExecutor

    assert harness.Workbench in TorchWorkbench.__mro__
    assert harness.Executor in LocalExecutor.__mro__
    for face, own in ((harness.Workbench, TorchWorkbench), (harness.Executor, LocalExecutor)):
        promised = {name: member for name, member in vars(face).items() if not name.startswith("_")
                    and (inspect.isfunction(member) or isinstance(member, property))}
        assert promised
        assert not [name for name, member in promised.items() if inspect.getattr_static(own, name) is member]
