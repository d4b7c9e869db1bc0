"""`harness audit`: the checks on fresh weights, one plugin in full or all of them in a table."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..specs import PUBLISHED
from .listing import Entry, print_listing
from .options import (
    Device,
    Json,
    Params,
    PluginFiles,
    Quiet,
    Size,
    Tokenizer,
    Verbose,
    complete_models,
    print_json,
)
from .planning import registry_for

if TYPE_CHECKING:
    from ..registry import Registry
    from ..store import CellResult, Row

COUNT = "failed_checks"                 # a row of the sum, which is no check itself
SHOWN = ("shown of fresh weights at these lengths; not of trained ones, nor of a model that knows when it is asked: "
         "for that, a score is sealed")


def audit(
    plugin: Annotated[str, typer.Argument(
        help="A plugin or several, separated by commas; `all`: every one, beside what it is as published.",
        metavar="SELECTORS",
        autocompletion=complete_models)],
    params: Params = "300k",
    size: Size = "",
    seq_len: Annotated[str, typer.Option(help="Lengths to audit at, separated by commas.", metavar="LENGTHS")] = "",
    tokenizer: Tokenizer = "bytes",
    device: Device = "auto",
    timeout: Annotated[float, typer.Option(help="Seconds an audit may take.", metavar="SECONDS")] = 600.0,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Audit plugins for leaks: split law, suffix perturbation, batch independence, determinism, train = eval.

    Exit code 1 where one fails; with `all` the published forms are shown and do not count.

    Example: harness audit phasefield:as_published=true
    """
    from ..run import plan as planning
    from ..run.flags import RunOptions
    from ..run.request import make_request
    from .apart import measured_apart

    everything = plugin == "all"
    options = RunOptions(
        suite="audit", plugins="" if everything else plugin, params=params, size=size, seq_len=seq_len,
        tokenizer=tokenizer, device=device, dtype="float32", timeout=timeout,
        plugin_file=tuple(map(str, plugin_file or ())))
    registry = registry_for(options)
    if everything:
        options = replace(options, plugins=",".join(every_form(registry)))
    request = make_request(registry, options)
    planned = planning.make_plan(registry, ["audit"], request, None, False)
    silent = quiet or not (verbose or sys.stderr.isatty())          # a log of findings has no need of progress
    found, stop = measured_apart(planned, options, plugin_file or [], quiet=silent, verbose=verbose)
    results = list(found.values())
    if as_json:
        print_json([row for result in results for row in result.rows])
    elif everything:
        print_table(results)
        print(f"passed: {SHOWN}")
    else:
        print_in_full(results)
    counted = [result for result in results if not (everything and PUBLISHED in result.cell["options"])]
    raise typer.Exit(planning.exit_code([row for result in counted for row in result.rows], stop))


def every_form(registry: Registry) -> list[str]:
    """Every model, each followed by its published form where it has one."""
    from ..specs import missing

    forms = []
    for name, spec in registry.models.items():
        forms.append(name)
        if not missing(spec) and PUBLISHED in registry.configs.names(spec):
            forms.append(f"{name}:{PUBLISHED}=true")
    return forms


def print_in_full(results: Sequence[CellResult]) -> None:
    """One line per check, then the verdict; the worst row of a check stands for its lengths."""
    for result in results:
        failed = []
        print(f"audit {_label(result.rows)} T={result.cell['seq_len']}")
        for check, rows in _by_check(result).items():
            bad = [row for row in rows if row.status != "ok"]
            if bad:
                print(f"  FAIL  {check}: {bad[0].reason}")
                failed.append(check)
                continue
            worst = max((row.value or 0.0 for row in rows), default=0.0)
            notes = "; ".join(dict.fromkeys(row.reason for row in rows if row.reason))
            if worst == math.inf:                               # nothing was compared: it warns of what it says
                print(f"  note  {check:<22} {notes}")
                continue
            print(f"  ok    {check:<22} largest change {worst:.2g} std" + (f"  ({notes})" if notes else ""))
        print(f"  failed: {', '.join(failed)}; no score of this model would be believed" if failed
              else f"  passed: {SHOWN}")


def print_table(results: Sequence[CellResult]) -> None:
    """A line per plugin: passed with the largest change of a split, or what fails, where and by how much."""
    entries = []
    for result in results:
        checks = _by_check(result)
        if result.ok:
            split = max((row.value or 0.0 for row in checks.get("split law", ())), default=0.0)
            entries.append(Entry((_label(result.rows), "passed", f"a split changes logits by {split:.1g} std")))
            continue
        failed = [row for rows in checks.values() if (row := next((r for r in rows if r.status != "ok"), None))]
        what, *further = [f"{row.metric}: {row.reason}" if row.metric else row.reason for row in failed]
        verdict = "failed" if failed[0].status == "audit_failed" else failed[0].status
        entries.append(Entry((_label(result.rows), verdict, what), tuple(further)))
    print_listing(entries)


def _by_check(result: CellResult) -> dict[str, list[Row]]:
    """The rows of each check, and of what ended the audit by its status; not the count of what failed."""
    checks: dict[str, list[Any]] = {}
    for row in result.rows:
        if row.metric == COUNT:
            continue
        checks.setdefault(row.metric or row.status, []).append(row)
    return checks


def _label(rows: Sequence[Row]) -> str:
    return rows[0].label
