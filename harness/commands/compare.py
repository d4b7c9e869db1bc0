"""`harness compare`: two runs, or two plugins of a run, with a verdict for each metric and an exit code for CI."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FileError, UsageError
from ..quantities import split
from ..reading import Run, read_run
from ..selector import split_selectors
from .options import Json, PluginFiles, complete_suites, load_registry

if TYPE_CHECKING:
    from ..evidence.comparison.compare import Comparison
    from ..evidence.comparison.table import Page
    from ..registry import Registry


def compare(
    a: Annotated[str, typer.Argument(help="Results directory, or DIR:PLUGIN.")],
    b: Annotated[str, typer.Argument(help="The other one; none with --plugins.")] = "",
    plugins: Annotated[str, typer.Option(help="Two plugins of the one directory A: X,Y compares Y with X.")] = "",
    suite: Annotated[str, typer.Option(
        help="Suites to compare, separated by commas; default: all.", autocompletion=complete_suites)] = "",
    fail_on: Annotated[list[str] | None, typer.Option(
        help='Exit with 1 where this holds of B / A: "throughput.tokens_per_s@train < 0.95"; may be repeated.')] = None,
    margin: Annotated[float | None, typer.Option(
        help="What differs by less is the same; default: 0.01 for scores and counts, 0.05 for the rest.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a GitHub table.")] = False,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Compare two runs (A B), or two plugins of a run (A --plugins X,Y, or A:X B:Y): B against A, metric by metric.

    Scores are paired by document, timings by round where they were taken in the same rounds, and every verdict is
    corrected for the number of metrics compared. --suite narrows that family. Exit code 1 where a --fail-on rule holds.
    """
    from ..evidence.comparison.compare import compare_runs, paired_budgets, relative_growth
    from ..evidence.comparison.gate import apply_rule, parse_rule

    if as_json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    if margin is not None and not 0 < margin < 1:
        raise UsageError(f"--margin must lie between 0 and 1, got {margin:g}")
    rules = [parse_rule(text) for text in fail_on or ()]
    registry = load_registry(plugin_file)
    suites = [registry.suite(name) for name in dict.fromkeys(split(suite))] or list(registry.suites.values())
    left, right, chosen = open_runs(registry, a, b, plugins)
    warn_of_unknown_suites(registry, left, right)
    rows = compare_runs(left, right, suites, plugins=chosen, margin=margin)
    require_something_in_common(rows)
    outcomes = [apply_rule(rule, rows) for rule in rules]
    growth = relative_growth(left, right, suites, chosen) if chosen else []
    budgets = paired_budgets(left, right, suites, chosen)
    if as_json:
        print_records(rows, growth, budgets, outcomes)
    else:
        from ..evidence.comparison.table import page

        print_page(heading(left, right, chosen), page(rows, growth, budgets, outcomes, chosen), markdown)
    raise typer.Exit(1 if any(outcome.held for outcome in outcomes) else 0)


def warn_of_unknown_suites(registry: Registry, left: Run, right: Run) -> None:
    for name in dict.fromkeys(result.cell["suite"] for run in (left, right) for result in run.results):
        if name not in registry.suites:
            print(f"harness: suite {name!r} is not loaded and not compared; -p FILE loads it", file=sys.stderr)


def require_something_in_common(rows: Sequence[Comparison]) -> None:
    """Raises UsageError where every metric stands on one side only."""
    if all(row.verdict.startswith("only") for row in rows):
        only = {side: dict.fromkeys(row.suite for row in rows if row.verdict == f"only in {side}") for side in "AB"}
        has = [", ".join(only[side]) or "no metric of these suites" for side in "AB"]
        raise UsageError(f"nothing in common to compare: A has {has[0]}; B has {has[1]}")


def heading(left: Run, right: Run, chosen: tuple[str, str] | None) -> str:
    """ "A: results/first ssm   B: results/second wave"; without plugins where whole runs are compared."""
    plugins = chosen or ("", "")
    return "   ".join(" ".join(filter(None, [f"{side}: {run.name}", plugin]))
                      for side, run, plugin in zip("AB", (left, right), plugins, strict=True))


def print_page(title: str, found: Page, markdown: bool) -> None:
    from ..evidence.comparison.table import to_markdown, to_rich
    from ..evidence.tables.console import wide_console

    if markdown:
        print(title + "\n\n" + to_markdown(found))
    else:
        console = wide_console()
        console.print(title, markup=False)
        console.print(to_rich(found))


def open_runs(registry: Registry, a: str, b: str, plugins: str) -> tuple[Run, Run, tuple[str, str] | None]:
    """Both runs (one object where they are one directory) and the plugins chosen. Raises UsageError, FileError."""
    (here, x), (there, y) = parse_side(a), parse_side(b) if b else (Path(), "")
    if plugins:
        named = split_selectors(plugins)
        if b or x:
            raise UsageError("--plugins chooses two plugins of one directory; write A --plugins X,Y or A:X B:Y")
        if len(named) != 2:
            raise UsageError(f"--plugins must name two plugins, X,Y; got {plugins!r}")
        there, (x, y) = here, named
    elif not b:
        raise UsageError("compare takes two runs, A B, or two plugins of one: A --plugins X,Y")
    if bool(x) != bool(y):
        raise UsageError(f"name a plugin on both sides or on none: {a} has {x or 'none'}, {b} has {y or 'none'}")
    left = read_measured(here, registry)
    right = left if here.resolve() == there.resolve() and x else read_measured(there, registry)
    return left, right, (x, y) if x else None


def parse_side(text: str) -> tuple[Path, str]:
    """A results directory, or DIR:PLUGIN: the longest part before a colon that is a directory."""
    parts = text.split(":")
    for end in range(len(parts), 0, -1):
        if (path := Path(":".join(parts[:end]))).is_dir():
            return path, ":".join(parts[end:])
    return Path(text), ""                               # the store says what is wrong with it


def read_measured(directory: Path, registry: Registry) -> Run:
    """A run that has something to compare. Raises FileError."""
    run = read_run(directory, registry)
    if not run.results:
        raise FileError(f"{directory} holds no finished cell; `harness run --out {directory}` makes them")
    return run


def print_records(rows: Any, growth: Any, budgets: Any, outcomes: Any) -> None:
    """A JSON object a line; `kind` is comparison, growth, tuning or rule."""
    from dataclasses import asdict

    from ..evidence.comparison.tuning import unequal
    from ..store import finite

    records = [{"kind": "comparison", **asdict(row), "ratio": "inf" if row.ratio == math.inf else row.ratio}
               for row in rows]
    records += [{"kind": "growth", **asdict(row)} for row in growth]
    records += [{"kind": "tuning", "equal": not unequal(pair), "a": asdict(pair[0]), "b": asdict(pair[1])}
                for pair in budgets]
    records += [{"kind": "rule", "rule": outcome.rule.text, "holds": bool(outcome.held),
                 "undecided": len(outcome.undecided)} for outcome in outcomes]
    for record in records:
        print(json.dumps(finite({k: v for k, v in record.items() if v not in (None, "", ())})))
