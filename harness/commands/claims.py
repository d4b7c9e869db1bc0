"""`harness claims` and `harness reproduce`: what the sources claim, and what measurement says of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import FileError, HarnessError, UsageError, one_line
from ..quantities import format_number
from ..reading import Run, conclude
from ..selector import join_selectors
from .listing import Entry, print_listing, print_text
from .options import Json, PluginFiles, Quiet, Verbose, complete_models, load_registry, print_objects
from .planning import registry_with_texts

if TYPE_CHECKING:
    from ..evidence.claims.claim import Claim, ClaimTest
    from ..evidence.claims.verdict import Verdict
    from ..registry import Registry
    from ..run.plan import Plan
    from ..run.request import RunOptions
    from ..store import CellResult, Store

DIRECTORY = Path("results/claims")
DEVICE = {"cpu": "cpu", "gpu": "cuda"}
Source = Annotated[str, typer.Option(help='Only of this source, e.g. "seed 003" or 003.', metavar="SOURCE")]
OfPlugin = Annotated[str, typer.Option("--plugin", help="Only those that this plugin's file holds.", metavar="NAME",
                                        autocompletion=complete_models)]


def complete_claims(incomplete: str) -> list[str]:
    from ..evidence.claims.file import load_claims

    return [name for name in load_claims(load_registry(None))[0] if name.startswith(incomplete)]


def claims(source: Source = "", plugin: OfPlugin = "", plugin_file: PluginFiles = None, as_json: Json = False) -> None:
    """List the claims of the plugins, with the rule that decides each and the verdict of the reference machine.

    Exit code 4 where a claim file is malformed.

    Example: harness claims --plugin wave
    """
    from ..evidence.claims.file import select
    from ..evidence.claims.verdict_file import load_verdicts
    from ..layout import reference_claims

    known, problems = known_claims(load_registry(plugin_file))
    chosen = select(known, (), source, plugin)
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in load_verdicts(reference_claims()):
        verdicts.setdefault(verdict.claim, []).append(verdict)
    if as_json:
        print_objects("claim", (claim_record(claim, verdicts.get(claim.id, ())) for claim in chosen))
    else:
        from ..evidence.claims.claim import tests_in_words

        print_listing([Entry((claim.id, claim.source, f'"{claim.quote}"'),
                             (*tests_in_words(claim), *verdict_lines(verdicts.get(claim.id, ())))) for claim in chosen])
        print_text(f"{format_number(len(chosen), 'claim')}; harness reproduce ID tests one")
    raise typer.Exit(FileError.exit_code if problems else 0)


def claim_record(claim: Claim, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """A claim for machines: its tests with their rules in words, and its verdicts."""
    tests = [{**asdict(test), "rule": str(test.rule), "kind": test.rule.kind,
              **{role: str(rule) if rule else "" for role, rule in (
                  ("positive", test.positive), ("negative", test.negative))}} for test in claim.tests]
    return {**asdict(claim), "tests": tests, "verdicts": [asdict(verdict) for verdict in verdicts]}


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """ "by default, cpu: refuted: 0.9 ± 0.5×". Why a claim has no test it says itself."""
    return ["-> " + ": ".join(filter(None, [", ".join(filter(None, [one.form, one.scale])), one.told, one.effect]))
            for one in verdicts if one.findings or one.verdict == "not run"]


def known_claims(registry: Registry) -> tuple[dict[str, Claim], list[str]]:
    """Every claim; what could not be read is told on stderr and stops nothing else."""
    from ..evidence.claims.file import load_claims

    known, problems = load_claims(registry)
    for problem in problems:
        print(f"harness: {problem}", file=sys.stderr)
    return known, problems


def reproduce(
    ids: Annotated[list[str] | None, typer.Argument(
        help="Claims by id; `harness claims` lists them.", metavar="CLAIMS", autocompletion=complete_claims)] = None,
    source: Source = "",
    every: Annotated[bool, typer.Option("--all", help="Every claim.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Measure only what is cheap: minutes.")] = False,
    scale: Annotated[str, typer.Option(help="cpu or gpu: the protocols of that scale.", metavar="SCALE")] = "cpu",
    out: Annotated[Path, typer.Option(help="Results directory; the same command again resumes it.",
        metavar="PATH")] = DIRECTORY,
    retry: Annotated[bool, typer.Option(help="Measure failed cells again.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Show the cells to measure and stop.")] = False,
    jobs: Annotated[int, typer.Option(help="Untimed cells side by side; default: one per core, one on a GPU.",
        metavar="N")] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds a cell may take.", metavar="SECONDS")] = 1800.0,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure what claims say, and give verdicts, from confirmed to not run.

    Only cells that the directory has not are measured; verdicts are written beside them and `harness report` shows
    them. Exit code 0 where every claim that this scale tests has a verdict, 1 where some were not run, 130 where it was
    interrupted: every finished cell is kept.

    Example: harness reproduce wave-speed --out results/claims
    """
    from ..evidence.claims.claim import SCALES
    from ..evidence.claims.file import select
    from ..run import plan as planning
    from ..store import Store

    if scale not in SCALES:
        raise UsageError(f"--scale must be {' or '.join(SCALES)}, got {scale!r}")
    if bool(ids) + bool(source) + every != 1:
        raise UsageError("name claims by id, or give --source, or --all; `harness claims` lists them")
    if jobs < 0 or timeout < 1:
        raise UsageError(f"--jobs must be at least 0 and --timeout at least 1, got {jobs} and {timeout:g}")
    registry = registry_with_texts(plugin_file)
    known, _ = known_claims(registry)
    chosen = select(known, ids or (), source)
    tests = [test for claim in chosen for test in claim.tests if test.scale == scale]
    store = Store(out, create=not dry_run) if not dry_run or out.exists() else None
    reproduction = Reproduction(registry, scale, {"jobs": jobs, "timeout": timeout}, store, retry, quick)
    reproduction.plan(tests)
    if dry_run or store is None:
        from .matrix import print_matrix

        if reproduction.merged:
            print_matrix(reproduction.merged, out, as_json)
        for problem in dict.fromkeys(reproduction.problems.values()):
            print(f"not run: {problem}", file=sys.stderr)
        return
    stopped = reproduction.measure(plugin_file or [], quiet=quiet, verbose=verbose) if reproduction.merged else None
    verdicts = give_verdicts(registry, chosen, scale, reproduction, store)
    show(verdicts, out, as_json)
    codes = [planning.exit_code([], stopped)] if stopped else []
    failed = any(verdict.verdict == "not run" and verdict.scale == scale for verdict in verdicts)
    raise typer.Exit(max([*codes, int(failed)]))


@dataclass
class Reproduction:
    """The cells of tests: planned by protocol, measured together, handed back test by test."""

    registry: Registry
    scale: str
    limits: Mapping[str, Any]                               # jobs and timeout
    store: Store | None
    retry: bool
    quick: bool
    plans: dict[ClaimTest, Plan] = field(default_factory=dict)           # by side of a test
    problems: dict[ClaimTest, str] = field(default_factory=dict)    # why a test cannot be planned here
    merged: Plan | None = None
    options: RunOptions | None = None
    found: dict[str, CellResult] = field(default_factory=dict)

    def plan(self, tests: Sequence[ClaimTest]) -> None:
        """Plan every test; those to be measured now, with `quick` only quick ones, become one plan."""
        from ..run import plan as planning

        protocols: dict[Any, Plan | HarnessError] = {}
        for side in (side for test in tests for side in test.sides):
            key = (side.suites, side.plugins, side.flags)
            if key not in protocols:
                protocols[key] = self._planned(side)
            found = protocols[key]
            if isinstance(found, HarnessError):
                self.problems[side] = one_line(found)
            else:
                self.plans[side] = found
        wanted = [self.plans[side] for test in tests for side in dict.fromkeys(test.sides)
                  if side in self.plans and (test.quick or not self.quick)]
        if wanted:
            self.merged = planning.resumed(planning.merge(wanted), self.store, self.retry)

    def _planned(self, test: ClaimTest) -> Plan | HarnessError:
        """The plan of a test's protocol; or the error of what is missing: a GPU, a corpus, a plugin that loads."""
        from ..run import plan as planning
        from ..run.request import RunOptions, make_request

        flags: dict[str, Any] = {key: str(value) if key == "seq_len" else value for key, value in test.flags}
        options = replace(
            RunOptions(), suite=",".join(test.suites), plugins=join_selectors(test.plugins),
            device=DEVICE[self.scale], **self.limits, **flags)
        try:
            plan = planning.make_plan(self.registry, test.suites, make_request(self.registry, options), None, False)
        except HarnessError as error:
            return error
        self.options = self.options or options
        return plan

    def measure(self, files: Sequence[Path], **told: bool) -> Any:
        """Run what is missing; returns whether it was to stop."""
        from ..run import plan as planning
        from ..run.request import make_executor
        from .progress import Reporter

        assert self.merged and self.options and self.store
        executor = make_executor(
            self.options, self.merged.request, list(files), self.store.directory, self.registry.notes)
        with Reporter(self.merged, **told) as reporter:
            planning.execute(self.merged, self.registry, self.store, executor, reporter.events, reporter.stop,
                             ["harness", *sys.argv[1:]], reporter.note)
        return reporter.stop

    def runs_of(self, test: ClaimTest) -> tuple[Run, Run] | str:
        """What was measured of both sides of a test, derived rows made anew; or what is missing of it."""
        ours, theirs = test.sides
        run = self._run_of(ours)
        other = run if theirs == ours else self._run_of(theirs)
        return run if isinstance(run, str) else other if isinstance(other, str) else (run, other)

    def _run_of(self, test: ClaimTest) -> Run | str:
        if test not in self.plans:
            return self.problems[test]
        plan = self.plans[test]
        results = [self.found[cell.id] for cell in plan.cells if cell.id in self.found]
        if missing := len(plan.cells) - len(results):
            cells = format_number(len(plan.cells), "cell")
            return f"time: {missing} of {cells} {'is' if missing == 1 else 'are'} not measured; the same command" + (
                " without --quick measures them" if self.quick and not test.quick else " resumes")
        return Run("", results, conclude(plan.suites, results, ""))


def give_verdicts(
    registry: Registry, chosen: Sequence[Claim], scale: str, reproduction: Reproduction, store: Store) -> list[Verdict]:
    """Judge every claim from what the store holds now, and write the verdicts beside it."""
    from ..evidence.claims.judging import judge_claim
    from ..evidence.claims.verdict_file import save_verdicts

    reproduction.found = {result.id: result for result in store.results()}
    suites = dict(registry.suites)
    verdicts = [one for claim in chosen for one in judge_claim(claim, scale, reproduction.runs_of, suites)]
    names = {verdict.name for verdict in verdicts}
    return [one for one in save_verdicts(store.directory, verdicts) if one.name in names]


def show(verdicts: Sequence[Verdict], directory: Path, as_json: bool) -> None:
    if as_json:
        print_objects("verdict", (
            {**asdict(verdict), "effect": verdict.effect, "cells": verdict.cells} for verdict in verdicts))
        return
    from ..evidence.claims.table import cells, counts

    print_listing([Entry((one.name, one.told, one.quoted), tuple(filter(None, [*one.lines, cells(one)])))
                   for one in verdicts])
    for line in counts(verdicts):
        print_text(line)
    print(f"{directory}/verdicts.json, cells/; harness report {directory} shows them with their rows")


