"""From a request to finished cells in a store: plan, resume, execute, conclude, write the tables. (no torch)"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import HarnessError, PluginError, UsageError, one_line
from ..executor import Events, Executor, Stop
from ..foreign_load import BUSY, KEY, keep_load
from ..locking import at_work, locked
from ..reading import conclude
from ..registry import Registry
from ..store import SCHEMA, CellResult, Row, Store, now
from ..suite import LIMITS, Suite
from ..version import __version__
from .cells import Cell, Choice, Request, unique
from .environment import environment, environment_id, installed_versions, together
from .identity import suite_digest

WRITING = ".writing"                        # in a results directory: held for manifest and tables, by one at a time


@dataclass
class Plan:
    """The cells of a run, and which of them the store already has. `shard` names the part of a run that it is."""

    suites: tuple[Suite, ...]
    request: Request
    cells: list[Cell]
    finished: dict[str, CellResult] = field(default_factory=dict)
    shard: str = ""

    @property
    def users_of_limits(self) -> list[Suite]:
        """The suites to be measured whose values stand beside limits of the machine."""
        wanted = {cell.suite for cell in self.missing}
        return [suite for suite in self.suites if suite.limits != () and suite.name in wanted]

    @property
    def missing(self) -> list[Cell]:
        """Cells to measure. A timing group is measured whole, or not at all."""
        groups = {cell.group for cell in self.cells if cell.group and cell.id not in self.finished}
        return [c for c in self.cells if c.id not in self.finished or (c.group and c.group in groups)]


def make_plan(registry: Registry, suites: Sequence[str], request: Request, store: Store | None, retry: bool) -> Plan:
    """Plan the suites. What the store holds is finished, save what was unavailable and is not now, or failed (`retry`).

    Raises UsageError, PluginError, and FileError where a stored cell is corrupt.
    """
    chosen = tuple(registry.suite(name) for name in dict.fromkeys(suites))
    for suite in chosen:
        hold_to_one(suite, request)
    cells = unique([cell for suite in chosen for cell in _plan_suite(suite, request)])
    if not cells:
        raise UsageError("nothing to measure: the suites planned no cell for these plugins")
    return resumed(Plan(chosen, request, cells), store, retry)


def hold_to_one(suite: Suite, request: Request) -> None:
    """Raise UsageError for several sizes or budgets where a suite measures one."""
    for flag, values in (("--params", request.sizes), ("--budget", request.budgets)):
        if len(values) > 1 and not suite.rungs:
            raise UsageError(f"suite {suite.name} measures one size and one budget a run; {flag} names {len(values)}")


def resumed(plan: Plan, store: Store | None, retry: bool) -> Plan:
    """`plan` with what the store has of it. Raises FileError where a stored cell is corrupt."""
    stored = {result.id: result for result in store.results()} if store else {}
    here = {choice.spec.name for choice in plan.request.models if not choice.missing}

    def counts(cell: Cell) -> bool:
        result = stored.get(cell.id)
        if result is None:
            return False
        if any(row.status == "unavailable" for row in result.rows):
            return cell.plugin not in here
        return result.ok or not retry

    return replace(plan, finished={cell.id: stored[cell.id] for cell in plan.cells if counts(cell)})


def only(plan: Plan, ids: Sequence[str]) -> Plan:
    """These cells of a plan and what they need. Raises UsageError for one that it has not."""
    cells = {cell.id: cell for cell in plan.cells}
    if strangers := [name for name in ids if name not in cells]:
        raise UsageError(f"--cells names {', '.join(strangers)}, which this run has not: another source, text or flag "
                         "makes another cell; --dry-run lists them")
    wanted, found = list(ids), dict[str, Cell]()
    while wanted:
        cell = cells[wanted.pop()]
        found[cell.id] = cell
        wanted += [need for need in cell.needs if need not in found]
    groups = {cell.group for cell in found.values() if cell.group}
    return replace(plan, cells=[cell for cell in plan.cells if cell.id in found or cell.group in groups],
                   finished={name: result for name, result in plan.finished.items() if name in found})


def merge(plans: Sequence[Plan]) -> Plan:
    """Several plans for one device as one, every cell once; `request` is that of the first, for all of their models."""
    models = {choice.label: choice for plan in plans for choice in plan.request.models}
    suites = {suite.name: suite for plan in plans for suite in plan.suites}
    finished = {cell_id: result for plan in plans for cell_id, result in plan.finished.items()}
    return Plan(tuple(suites.values()), replace(plans[0].request, models=tuple(models.values())),
                unique([cell for plan in plans for cell in plan.cells]), finished)


def _plan_suite(suite: Suite, request: Request) -> list[Cell]:
    try:
        sizes = request.sizes
        if suite.params and not (sizes or request.preset or request.state_bytes):
            sizes = (suite.params,)
        batch_size = request.batch_size
        if not batch_size and request.task_size in suite.sizes:
            from ..data.abilities.sizes import BATCHES  # with NumPy, which most commands do without

            batch_size = BATCHES.get(request.task_size, 0)
        return list(suite.plan(replace(
            request, suite_code=suite_digest(suite), sizes=sizes, batch_size=batch_size)))
    except HarnessError:
        raise
    except Exception as error:
        raise PluginError(f"suite {suite.name!r} cannot plan its cells: {one_line(error)}") from error


def execute(
    plan: Plan, registry: Registry, store: Store, executor: Executor, events: Events, stop: Stop,
    command: Sequence[str],
    note: Callable[[str], None] = lambda text: None,
    config: Mapping[str, str] | None = None,
) -> list[Row]:
    """Run what is missing and write the tables. Returns every row of the plan, derived ones last.

    The manifest keeps the command, with the record of the file that gave it options.
    """
    for text in registry.notes:
        note(text)
    asked = {"argv": list(command), **({"config": dict(config)} if config else {}),
             **({"notes": registry.notes} if registry.notes else {})}
    with at_work(store.directory, plan.shard):
        run_id, place, load = _begin(plan, registry, store, executor, asked, note)
        done = dict(plan.finished)

        def finished(result: CellResult) -> None:
            result.environment = result.environment or place
            keep_load(result, load)
            for row in result.rows:
                row.run_id = run_id
                row.started_at = row.started_at or now()
            store.write(result)
            result.weights = {}                             # they are on disk, and there may be thousands of cells
            done[result.id] = result
            _guarded(lambda: registry.manager.hook.harness_cell_finished(result=result, directory=store.directory),
                     note)
            events.finished(result)

        def joined(environments: Mapping[str, Any], limits: Mapping[str, Any]) -> None:
            with locked(store.directory / WRITING, wait=True):
                manifest = store.manifest()
                _enter(manifest, environments)
                for name, devices in limits.items():
                    manifest["limits"].setdefault(name, {}).update(devices)
                store.write_manifest(manifest)

        specs = {choice.spec.name: choice.spec for choice in plan.request.models}
        told = replace(events, finished=finished, joined=joined)
        with stop.on_interrupt():
            executor.run(plan.missing, specs, dict(done), told, stop)
        conclude_all(registry, store, run_id)
    mine = [done[cell.id] for cell in plan.cells if cell.id in done]
    return [row for result in mine for row in result.rows] + conclude(plan.suites, mine, run_id)


def _begin(
    plan: Plan, registry: Registry, store: Store, executor: Executor, asked: Mapping[str, Any],
    note: Callable[[str], None],
) -> tuple[str, str, float | None]:
    """Tell the manifest what was asked for and where, with the limits of the machine. The ids of the run and of the
    environment, and the load that others put on the machine."""
    where = environment()
    place, device, load = environment_id(where), plan.request.device, where["now"][KEY]
    where["packages"] = where["packages"] | installed_versions(_requirements(registry))
    if (load or 0.0) > BUSY and any(cell.timed for cell in plan.cells):
        note(f"other processes take {load:.0%} of this machine's processors: times, exponents and crossovers measured "
             "beside them are not those of the models")
    for facts in _guarded(registry.manager.hook.harness_environment, note) or ():
        where.update(facts)
    limits = store.manifest().get("limits", {}).get(place, {}).get(device, {})
    if not limits and (users := plan.users_of_limits):
        used = {name for suite in users for name in (LIMITS if suite.limits is None else suite.limits)}
        words = " and ".join(text for name, text in LIMITS.items() if name in used)
        note(f"measuring the machine's limits for {', '.join(suite.name for suite in users)}: {words}")
        limits = executor.measure_limits(device)
    with locked(store.directory / WRITING, wait=True):
        manifest = _open_manifest(store, asked)
        _enter(manifest, {place: where})
        manifest["limits"].setdefault(place, {}).update({device: limits} if limits else {})
        manifest["planned"] = list(dict.fromkeys([*(cell.id for cell in plan.cells), *manifest.get("planned", ())]))
        store.write_manifest(manifest)
    executor.limits = limits
    return manifest["run_id"], place, load


def _enter(manifest: dict[str, Any], environments: Mapping[str, Any]) -> None:
    known = manifest["environments"]
    known.update({place: together(known.get(place, {}), facts) for place, facts in environments.items()})


def _requirements(registry: Registry) -> set[str]:
    """The importable names that plugins say they need, whichever of them run: another run into the same directory, on
    the same machine, may have others."""
    tables: tuple[Mapping[str, Any], ...] = registry.models, registry.corpora, registry.tokenizers, registry.encodings
    return {name for table in tables for spec in table.values() for name in spec.requires}


def _guarded(hook: Callable[[], Any], note: Callable[[str], None]) -> Any:
    """Call a hook; what a plugin raises there is told and stops nothing."""
    try:
        return hook()
    except Exception as error:
        note(f"a plugin's hook failed: {one_line(error)}")
        return None


def _open_manifest(store: Store, command: Mapping[str, Any]) -> dict[str, Any]:
    manifest = store.manifest() or {
        "schema": SCHEMA, "run_id": "r" + uuid.uuid4().hex[:12], "created": now(),
        "commands": [], "environments": {}, "limits": {},
    }
    manifest["harness"] = __version__
    manifest["commands"].append({"at": now(), **command})
    return manifest


def conclude_all(registry: Registry, store: Store, run_id: str) -> None:
    """Write the tables of everything the store holds."""
    with locked(store.directory / WRITING, wait=True):
        _conclude(registry, store, run_id)


def _conclude(registry: Registry, store: Store, run_id: str) -> None:
    results = store.results()
    measured = dict.fromkeys(result.cell["suite"] for result in results)
    suites = [registry.suites[name] for name in measured if name in registry.suites]
    store.write_tables(conclude(suites, results, run_id), results)


def exit_code(rows: Sequence[Row], stop: Stop) -> int:
    """0 when every row is ok, 1 when some are not, 130 when interrupted, 143 when told to end."""
    if stop.requested:
        return stop.code
    return 0 if all(row.status == "ok" for row in rows) else 1


def default_directory(suites: Sequence[str], choices: Sequence[Choice]) -> Path:
    """results/<suites>-<plugins>: the same command finds its own run again."""
    import re

    name = "+".join(suites) + "-" + "+".join(choice.label for choice in choices)
    return Path("results") / re.sub(r"[^A-Za-z0-9+=._-]+", "-", name)[:100]
