"""Cells measured for the moment, for commands that store nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .progress import Reporter

if TYPE_CHECKING:
    from ..executor import Stop
    from ..run.flags import RunOptions
    from ..run.plan import Plan
    from ..store import CellResult


def measured_apart(
    plan: Plan, options: RunOptions, files: Sequence[Path], **told: bool,
) -> tuple[dict[str, CellResult], Stop]:
    """The results of a plan by cell, in its order, and whether the user asked to stop; then some are missing.

    `files` are plugins to load in the workers, `told` what a person sees: quiet, verbose.
    """
    from ..run.request import make_executor

    specs = {choice.spec.name: choice.spec for choice in plan.request.models}
    results: dict[str, CellResult] = {}

    def finished(result: CellResult) -> None:
        results[result.id] = result
        reporter.events.finished(result)

    with Reporter(plan, **told) as reporter, tempfile.TemporaryDirectory() as scratch:
        executor = make_executor(options, plan.request, files, Path(scratch))
        with reporter.stop.on_interrupt():
            executor.run(plan.cells, specs, {}, replace(reporter.events, finished=finished), reporter.stop)
    return {cell.id: results[cell.id] for cell in plan.cells if cell.id in results}, reporter.stop
