"""From a request to finished cells in a store: plan, resume, execute, conclude, write the tables. (no torch)"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import UsageError
from ..registry import Registry
from ..specs import Suite, parse_selector
from ..store import SCHEMA, CellResult, Row, Store
from .cells import Cell, Choice, Request, source_digest, unique
from .environment import environment, environment_id
from .executors import Events, LocalExecutor, Stop


def choose(registry: Registry, selectors: Sequence[str]) -> tuple[Choice, ...]:
    """The selected plugins. Raises UsageError or PluginError."""
    choices = []
    for text in selectors:
        selector = parse_selector(text)
        spec = registry.model(selector)
        choices.append(Choice(spec, selector, source_digest(spec.target)))
    labels = [choice.label for choice in choices]
    if len(set(labels)) != len(labels):
        raise UsageError(f"a plugin is selected twice in {', '.join(labels)}")
    return tuple(choices)


def check_options(choices: Sequence[Choice], preset: str) -> None:
    """Build every available plugin's config, so that a wrong option or size is told before anything runs."""
    from ..options import make_config

    for choice in choices:
        if not choice.missing:
            make_config(choice.spec, dict(choice.selector.options), preset)


@dataclass
class Plan:
    """The cells of a run, and which of them the store already has."""

    suites: tuple[Suite, ...]
    request: Request
    cells: list[Cell]
    finished: dict[str, CellResult] = field(default_factory=dict)

    @property
    def missing(self) -> list[Cell]:
        """Cells to measure. A timing group is measured whole, or not at all."""
        groups = {cell.group for cell in self.cells if cell.group and cell.id not in self.finished}
        return [c for c in self.cells if c.id not in self.finished or (c.group and c.group in groups)]


def make_plan(registry: Registry, suites: Sequence[str], request: Request, store: Store | None, retry: bool) -> Plan:
    """Plan the suites. What the store holds counts as finished, save the unavailable and, with `retry`, failures."""
    chosen = tuple(registry.suite(name) for name in dict.fromkeys(suites))
    cells = unique([cell for suite in chosen for cell in suite.plan(request)])
    if not cells:
        raise UsageError("nothing to measure: the suites planned no cell for these plugins")
    finished = {}
    for cell in cells if store else ():
        result = store.read(cell.id) if store else None
        if result is None or any(row.status == "unavailable" for row in result.rows):
            continue
        if result.ok or not retry:
            finished[cell.id] = result
    return Plan(chosen, request, cells, finished)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def execute(
    plan: Plan, registry: Registry, store: Store, executor: LocalExecutor, events: Events, stop: Stop, command: Sequence[str],
    note: Callable[[str], None] = lambda text: None,
) -> list[Row]:
    """Run what is missing and write the tables. Returns every row of the plan, derived ones last."""
    manifest = _open_manifest(store, command)
    where = environment()
    place = environment_id(where)
    manifest["environments"][place] = where
    for facts in registry.manager.hook.harness_environment():
        manifest["environments"][place].update(facts)
    limits = manifest["limits"].setdefault(place, {})
    device = plan.request.device
    if plan.missing and device not in limits:
        note("measuring the machine's limits")
        limits[device] = executor.measure_limits(device)
    store.write_manifest(manifest)
    executor = replace(executor, limits=limits.get(device, {}))
    done = dict(plan.finished)

    def finished(result: CellResult) -> None:
        result.environment = place
        for row in result.rows:
            row.run_id = manifest["run_id"]
            row.started_at = row.started_at or now()
        store.write(result)
        done[result.id] = result
        registry.manager.hook.harness_cell_finished(result=result, directory=store.directory)
        events.finished(result)

    specs = {choice.spec.name: choice.spec for choice in plan.request.models}
    with stop.on_interrupt():
        executor.run(plan.missing, specs, dict(done), replace(events, finished=finished), stop)
    conclude_all(registry, store, manifest["run_id"])
    mine = [done[cell.id] for cell in plan.cells if cell.id in done]
    return [row for result in mine for row in result.rows] + conclude(plan.suites, mine, manifest["run_id"])


def _open_manifest(store: Store, command: Sequence[str]) -> dict[str, Any]:
    manifest = store.manifest() or {
        "schema": SCHEMA, "run_id": uuid.uuid4().hex[:12], "created": now(), "commands": [], "environments": {}, "limits": {},
    }
    manifest["harness"] = __version__
    manifest["commands"].append({"at": now(), "argv": list(command)})
    return manifest


def conclude(suites: Sequence[Suite], results: Sequence[CellResult], run_id: str) -> list[Row]:
    """The derived rows of each suite from the results at hand."""
    rows = []
    for suite in suites:
        own = [r for r in results if r.cell["suite"] == suite.name]
        if suite.conclude and own:
            rows += suite.conclude(own)
    for row in rows:
        row.run_id = run_id
    return rows


def conclude_all(registry: Registry, store: Store, run_id: str) -> None:
    """Write the tables of everything the store holds."""
    results = store.results()
    suites = [registry.suites[name] for name in dict.fromkeys(r.cell["suite"] for r in results) if name in registry.suites]
    store.write_tables(conclude(suites, results, run_id))


def exit_code(rows: Sequence[Row], stop: Stop) -> int:
    """0 when every row is ok, 1 when some are not, 130 when interrupted."""
    if stop.requested:
        return 130
    return 0 if all(row.status == "ok" for row in rows) else 1


def default_directory(suites: Sequence[str], choices: Sequence[Choice]) -> Path:
    """results/<suites>-<plugins>: the same command finds its own run again."""
    import re

    name = "+".join(suites) + "-" + "+".join(choice.label for choice in choices)
    return Path("results") / re.sub(r"[^A-Za-z0-9+=._-]+", "-", name)[:100]
