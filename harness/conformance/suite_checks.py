"""What is asked of a suite: a plan that repeats itself, rows that can be read, an identity that covers its source."""

from __future__ import annotations

import inspect
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from ..errors import HarnessError
from ..executor import Events, Stop
from ..quantities import format_number
from ..registry import Registry
from ..run import plan as planning
from ..run.cells import Cell
from ..run.digest import locate, source_files
from ..run.flags import RunOptions
from ..run.identity import suite_digest, suite_modules
from ..run.request import make_executor, make_request
from ..specs import missing
from ..store import CellResult
from ..suite import ByDocument, ByRound, ByValue, Counted, Suite
from .lines import Lines
from .result import CheckFailed, CheckResult

TINY = {"params": "20k", "seq_len": "32", "budget": "4k", "rounds": 2, "lr": 3e-3, "device": "cpu", "dtype": "float32"}
COMPARED = (ByRound, ByDocument, ByValue, Counted)


def check_suite(registry: Registry, suite: Suite, files: Sequence[Path]) -> Iterator[CheckResult]:
    """Every line of one suite, in order. `files` are the plugin files that a worker loads."""
    checks = _SuiteChecks(registry, suite, files)
    yield checks.line("identity", checks.identity)
    yield checks.line("plan", checks.plan)
    yield checks.line("rows", checks.rows)
    yield checks.line("conclusions", checks.conclusions)


class _SuiteChecks(Lines):
    def __init__(self, registry: Registry, suite: Suite, files: Sequence[Path]):
        super().__init__(suite.name, suite_modules(suite)[0])
        self.registry, self.suite, self.files = registry, suite, files
        self.planned: planning.Plan
        self.options: RunOptions
        self.results: list[CellResult] = []

    def identity(self) -> str:
        """The digest covers the source of everything that the modules which plan and measure hold."""
        modules = suite_modules(self.suite)
        covered = {path.resolve() for path in source_files(*modules)}
        if not covered or not suite_digest(self.suite):
            raise CheckFailed(f"the source of {', '.join(modules)} is not to be found")
        for module in modules:
            for name, value in vars(sys.modules[module]).items():
                source = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
                path = locate(source) if isinstance(source, str) and not _ours_or_installed(source) else None
                if path and path.is_file() and path.resolve() not in covered:
                    raise CheckFailed(f"it takes {name} from {path.name}, which no import statement of it names")
        return f"covers {len(covered)} source files"

    def plan(self) -> str:
        """With the first model that the suite has cells for, twice."""
        reasons: list[str] = []
        for spec in sorted(self.registry.models.values(), key=lambda spec: not spec.baseline):
            if missing(spec):
                continue
            self.options = RunOptions(suite=self.suite.name, plugins=spec.name, **TINY)  # type: ignore[arg-type]
            try:
                self.planned = self.make_plan()
            except HarnessError as error:
                reasons.append(str(error))
                continue
            if self.planned.cells:
                break
        else:
            raise CheckFailed(f"it plans no cell for any model{': ' if reasons else ''}{reasons[0] if reasons else ''}")
        first, again = ([cell.id for cell in plan.cells] for plan in (self.planned, self.make_plan()))
        if first != again:
            raise CheckFailed("planned again, its cells are others")
        if wrong := {cell.suite for cell in self.planned.cells} - {self.suite.name}:
            raise CheckFailed(f"its cells are of the suite {', '.join(sorted(wrong))}")
        cells = format_number(len(first), "cell")
        return f"{cells} for {self.planned.request.models[0].label}, the same when planned again"

    def make_plan(self) -> planning.Plan:
        return planning.make_plan(
            self.registry, [self.suite.name], make_request(self.registry, self.options), None, False)

    def rows(self) -> str | CheckResult:
        """Of the first cell that needs no other, in a worker of its own."""
        cell: Cell = next((cell for cell in self.planned.cells if not cell.needs), self.planned.cells[0])
        specs = {choice.spec.name: choice.spec for choice in self.planned.request.models}
        with tempfile.TemporaryDirectory() as scratch:
            executor = make_executor(self.options, self.planned.request, self.files, Path(scratch))
            executor.run([cell], specs, {}, Events(finished=self.results.append), Stop())
        rows = [row for result in self.results for row in result.rows]
        if broken := [row for row in rows if row.status == "error"]:
            raise CheckFailed(f"{broken[0].metric or 'measure'}: {broken[0].reason}")
        if not rows:
            raise CheckFailed("measuring a cell leaves no row")
        for row in rows:
            if row.status == "ok" and not (row.metric and row.value is not None and math.isfinite(row.value)):
                raise CheckFailed(f"a row has the metric {row.metric!r} and the value {row.value}")
            found = self.suite.compared(row) if self.suite.compared else None
            if found is not None and not isinstance(found, COMPARED):
                raise CheckFailed(f"compared() gives a {type(found).__name__} for {row.metric}")
        measured = [row for row in rows if row.status == "ok"]
        if not measured:
            return self.result("rows", "note", f"none on this machine: {rows[0].reason}")
        metrics = ", ".join(dict.fromkeys(row.metric for row in measured))
        return f"{format_number(len(measured), 'row')}: {metrics}"[:200]

    def conclusions(self) -> str:
        if self.suite.conclude is None:
            return "none"
        first, again = (self.suite.conclude(self.results) for _ in range(2))
        if first != again:
            raise CheckFailed("concluding twice from the same cells gives other rows")
        return f"{format_number(len(first), 'row')} from the cells that were measured"


def _ours_or_installed(module: str) -> bool:
    """Whether a module is part of the engine, or of what is installed, whose versions stand for it."""
    if module.partition(".")[0] in (*sys.stdlib_module_names, "harness"):
        return True
    file = inspect.getattr_static(sys.modules.get(module), "__file__", None)
    return not isinstance(file, str) or "site-packages" in Path(file).parts
