"""`harness compare`: runs, or plugins of a run, with a verdict for each metric and an exit code for CI."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FileError, NotComparable, UsageError
from ..quantities import split
from ..reading import Run, read_run
from ..selector import split_selectors
from .options import Json, PluginFiles, complete_models, complete_suites, load_registry

if TYPE_CHECKING:
    from ..evidence.comparison.compare import Comparison, Other
    from ..evidence.comparison.gate import GateOutcome, GateRule
    from ..evidence.comparison.table import Page
    from ..registry import Registry
    from ..suite import Suite


def compare(
    runs: Annotated[list[str], typer.Argument(
        help="Results directories, or DIR:PLUGIN each; every further one is compared with the first.",
        metavar="RUNS")],
    plugins: Annotated[str, typer.Option(
        help="Plugins of the one directory A: X,Y compares Y with X; further ones are compared with X too.",
        metavar="X,Y", autocompletion=complete_models)] = "",
    suite: Annotated[str, typer.Option(
        help="Suites to compare, separated by commas; default: all.",
        metavar="NAMES", autocompletion=complete_suites)] = "",
    fail_on: Annotated[list[str] | None, typer.Option(
        help='Exit with 1 where this holds of B / A: "throughput.tokens_per_s@train < 0.95"; may be repeated.',
        metavar="RULE")] = None,
    margin: Annotated[float | None, typer.Option(
        help="What differs by less is the same; default: 0.01 for scores and counts, 0.05 for the rest.",
        metavar="SHARE")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a GitHub table.")] = False,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Compare runs (A B ...), or plugins of a run (A --plugins X,Y, or A:X B:Y): each against A, metric by metric.

    Scores are paired by document, timings by round where they were taken in the same rounds, and every verdict is
    corrected for the number of metrics compared. --suite narrows that family. Exit code 1 where a --fail-on rule holds,
    5 where nothing that was to be compared is comparable.

    Example: harness compare results/first --plugins baseline,phasefield
    """
    from ..evidence.comparison.compare import compare_with_each
    from ..evidence.comparison.gate import parse_rule

    if as_json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    if margin is not None and not 0 < margin < 1:
        raise UsageError(f"--margin must lie between 0 and 1, got {margin:g}")
    rules = [parse_rule(text) for text in fail_on or ()]
    registry = load_registry(plugin_file)
    suites = [registry.suite(name) for name in dict.fromkeys(split(suite))] or list(registry.suites.values())
    left, others = open_runs(registry, runs, plugins)
    warn_of_unknown_suites(registry, [left, *(right for right, _ in others)])
    form = "json" if as_json else "md" if markdown else ""
    held, refusals = False, list[NotComparable]()
    for number, (other, rows) in enumerate(
            zip(others, compare_with_each(left, others, suites, margin), strict=True)):
        outcomes, own = judge(rules, rows)
        refusals += own
        held = held or any(outcome.held for outcome in outcomes)
        if any(not row.verdict.startswith("only") for row in rows):
            show_comparison(left, other, suites, rows, outcomes, form, number)
    for refusal in dict.fromkeys(map(str, refusals)):
        print(f"harness: {refusal}", file=sys.stderr)
    raise typer.Exit(1 if held else NotComparable.exit_code if refusals else 0)


def warn_of_unknown_suites(registry: Registry, runs: Sequence[Run]) -> None:
    for name in dict.fromkeys(result.cell["suite"] for run in runs for result in run.results):
        if name not in registry.suites:
            print(f"harness: suite {name!r} is not loaded and not compared; -p FILE loads it", file=sys.stderr)


def judge(rules: Sequence[GateRule], rows: Sequence[Comparison]) -> tuple[list[GateOutcome], list[NotComparable]]:
    """What the rules found, and what could not be compared. Raises UsageError for a rule that names nothing."""
    from ..evidence.comparison.gate import apply_rule

    try:
        require_comparable(rows)
    except NotComparable as refusal:
        return [], [refusal]
    outcomes, refusals = list[Any](), list[NotComparable]()
    for rule in rules:
        try:
            outcomes.append(apply_rule(rule, rows))
        except NotComparable as refusal:
            refusals.append(refusal)
    return outcomes, refusals


def require_comparable(rows: Sequence[Comparison]) -> None:
    """Raises NotComparable where every metric stands on one side only, or is refused."""
    if all(row.verdict.startswith("only") for row in rows):
        only = {side: dict.fromkeys(row.suite for row in rows if row.verdict == f"only in {side}") for side in "AB"}
        has = [", ".join(only[side]) or "no metric of these suites" for side in "AB"]
        raise NotComparable(f"nothing in common to compare: A has {has[0]}; B has {has[1]}")
    reasons = [row.reason for row in rows if row.verdict == "incomparable"]
    if reasons and all(row.verdict == "incomparable" or row.verdict.startswith("only") for row in rows):
        raise NotComparable(f"nothing is comparable: {reasons[0]}")


def show_comparison(left: Run, other: Other, suites: Any, rows: Sequence[Comparison], outcomes: Sequence[GateOutcome],
                    form: str, number: int) -> None:
    """Print what one comparison of several found, as `form`: json, md, or "" for a terminal."""
    from ..evidence.comparison.compare import paired_budgets, relative_growth
    from ..evidence.comparison.ladders import ladder_notes
    from ..evidence.comparison.table import page

    right, chosen = other
    growth = relative_growth(left, right, suites, chosen) if chosen else []
    budgets = paired_budgets(left, right, suites, chosen)
    ladders = ladder_notes(left, right, chosen) if chosen and any(row.rung for row in rows) else []
    busy = busy_notes(left, other, suites)
    if form == "json":
        print_records(rows, growth, budgets, outcomes, right.name, ladders, busy)
        return
    if number:
        print()
    found = page(rows, growth, budgets, outcomes, chosen)
    print_page(heading(left, right, chosen), replace(found, notes=[*found.notes, *ladders, *busy]), form == "md")


def busy_notes(left: Run, other: Other, suites: Sequence[Suite]) -> list[str]:
    """Where what is compared was timed on a busy machine, a line for each run; what is not compared does not count."""
    from ..foreign_load import busy_line

    right, chosen = other
    names = chosen or ("", "")
    sides = [("", left, names)] if left is right else [("A: ", left, names[:1]), ("B: ", right, names[1:])]
    lines = []
    for side, run, asked in sides:
        compared = {(suite.name, label) for suite in suites for label in (
            [run.label_of(name, suite.name) for name in asked] if chosen else run.labels(suite.name))}
        own = [result for result in run.results if (result.cell["suite"], result.label) in compared]
        lines += [side + line] if (line := busy_line(own, run.environments)) else []
    return lines


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


def open_runs(registry: Registry, runs: Sequence[str], plugins: str) -> tuple[Run, list[Other]]:
    """The first run, and what is compared with it: runs (that same object where they are one directory), each with the
    plugins chosen. Raises UsageError, FileError."""
    (here, x), *others = map(parse_side, runs)
    if plugins:
        first, *named = split_selectors(plugins) or [""]
        if others or x:
            raise UsageError("--plugins chooses plugins of one directory; write A --plugins X,Y or A:X B:Y")
        if not named:
            raise UsageError(f"--plugins must name two plugins or more, X,Y; got {plugins!r}")
        x, others = first, [(here, name) for name in named]
    elif not others:
        raise UsageError("compare takes runs, A B, or plugins of one: A --plugins X,Y")
    for text, (_, y) in zip(runs[1:], others, strict=False):
        if bool(x) != bool(y):
            raise UsageError(f"name a plugin on both sides or on none: {runs[0]} has {x or 'none'}, "
                             f"{text} has {y or 'none'}")
    left = read_measured(here, registry)
    return left, [(left if x and here.resolve() == there.resolve() else read_measured(there, registry),
                   (x, y) if x else None) for there, y in others]


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


def print_records(rows: Any, growth: Any, budgets: Any, outcomes: Any, run: str, ladders: Sequence[str],
                  busy: Sequence[str] = ()) -> None:
    """A JSON object a line; `kind` is comparison, growth, tuning, rungs, load or rule. `run` names B."""
    from dataclasses import asdict

    from ..evidence.comparison.tuning import unequal
    from ..store import finite

    records = [{"kind": "comparison", "run": run, **asdict(row), "ratio": "inf" if row.ratio == math.inf else row.ratio}
               for row in rows]
    records += [{"kind": "growth", **asdict(row)} for row in growth]
    records += [{"kind": "tuning", "equal": not unequal(pair), "a": asdict(pair[0]), "b": asdict(pair[1])}
                for pair in budgets]
    records += [{"kind": "rungs", "text": line} for line in ladders]
    records += [{"kind": "load", "text": line} for line in busy]
    records += [{"kind": "rule", "rule": outcome.rule.text, "holds": bool(outcome.held),
                 "undecided": len(outcome.undecided)} for outcome in outcomes]
    for record in records:
        print(json.dumps(finite({k: v for k, v in record.items() if v not in (None, "", ())})))
