"""`harness rescore`: a stored run's kept weights scored once more, here or on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FileError, HarnessError, UsageError, one_line
from ..quantities import format_number
from .listing import Entry, print_listing
from .options import Device, Json, PluginFiles, Quiet, Verbose, print_objects
from .planning import registry_with_texts
from .progress import cell_name

if TYPE_CHECKING:
    from ..run.rescore import Again, Rescored


def rescore(
    run: Annotated[Path, typer.Argument(help="Results directory.", metavar="RUN")],
    device: Device = "auto",
    jobs: Annotated[int, typer.Option(help="Cells side by side; default: one per core, one on a GPU.",
        metavar="N")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds a cell may take.", metavar="SECONDS")] = 900.0,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score the weights that a run has kept once more, and say which scores come again. Nothing is written.

    A score comes again where the same bytes give a number within its interval. Exit code 0 where all do, 1 where one
    does not or cannot be scored here, 4 where there is no run or it holds no score, 130 where it was interrupted.

    Example: harness rescore results/first
    """
    from ..executor import Stop
    from ..run.plan import merge
    from ..run.rescore import Rescored, compared_again, plan_again, text_scores
    from ..store import CellResult, Store
    from .apart import measured_apart

    if jobs < 0 or timeout < 1:
        raise UsageError(f"--jobs must be at least 0 and --timeout at least 1, got {jobs} and {timeout:g}")
    registry = registry_with_texts(plugin_file)
    store = Store(run, create=False)
    scores = text_scores(registry, store.results())
    if not scores:
        raise FileError(f"{run} holds no score of a text; `harness run --out {run}` with a suite that scores makes one")
    planned: list[Again | HarnessError] = []
    for score in scores:
        try:
            planned.append(plan_again(registry, store, score, {"device": device, "jobs": jobs, "timeout": timeout}))
        except HarnessError as error:
            planned.append(error)
    possible = [one for one in planned if not isinstance(one, HarnessError)]
    found, stop = dict[str, CellResult](), Stop()
    if possible:
        plan = merge([one.plan for one in possible])
        found, stop = measured_apart(plan, possible[0].options, plugin_file or [], quiet=quiet, verbose=verbose)
    rescored = [
        Rescored(score, reason=one_line(one)) if isinstance(one, HarnessError) else
        compared_again(score, found.get(one.plan.cells[0].id), one.note)
        for score, one in zip(scores, planned, strict=True)]
    _show(rescored, as_json)
    raise typer.Exit(stop.code if stop.requested else int(any(one.reason for one in rescored)))


def _show(rescored: Sequence[Rescored], as_json: bool) -> None:
    if as_json:
        print_objects("rescore", map(_record, rescored))
        return
    print_listing([Entry((cell_name(one.score.result.cell), _verdict(one), _words(one))) for one in rescored])
    print(f"comes again: {sum(not one.reason for one in rescored)} of {format_number(len(rescored), 'score')}")


def _verdict(one: Rescored) -> str:
    return "comes again" if not one.reason else "not scored" if one.value is None else "does not"


def _words(one: Rescored) -> str:
    """ "2.8171 bits/byte, off by 1.2e-07", and what else is to be told."""
    row = one.score.row
    number = "" if one.value is None else f"{one.value:.4f} {row.unit}, off by {one.off:.2g}"
    return "; ".join(filter(None, [number or f"{row.value:.4f} {row.unit}", one.reason, one.note]))


def _record(one: Rescored) -> dict[str, Any]:
    row = one.score.row
    found = {"cell_id": row.cell_id, "plugin": row.label, "metric": row.metric, "unit": row.unit, "stored": row.value,
             "ci_low": row.ci_low, "ci_high": row.ci_high, "value": one.value, "off": one.off,
             "comes_again": not one.reason, "reason": one.reason, "note": one.note}
    return {key: value for key, value in found.items() if value not in (None, "")}
