"""Plan: what the store holds is not measured again, what is new is; hooks and suites of others cannot spoil a run."""

import inspect
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.errors import FileError, PluginError, UsageError
from harness.executor import Events, Stop
from harness.importing import module_name
from harness.reading import read_table
from harness.registry import load
from harness.run import plan
from harness.run.cells import Request
from harness.run.choices import choose
from harness.run.plan import default_directory, execute, exit_code, make_plan
from harness.run.request import RunOptions, make_request
from harness.store import CellResult, Row, Store
from harness.suite import Suite


@pytest.fixture(scope="module")
def registry(toy):
    return load([toy])


def request(registry, *selectors, **fields):
    return Request(choose(registry, selectors or ("toy",)), seeds=(0, 1), sizes=(1,), **fields)


@dataclass
class Pretend:
    """An executor that gives every cell one row of a status."""

    status: str = "ok"
    limits: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    measured: list = field(default_factory=list)

    def measure_limits(self, device):
        self.asked.append(device)
        return {"copy_bytes_per_s": 1.0}

    def run(self, cells, specs, done, events, stop):
        for cell in cells:
            self.measured.append(cell)
            row = Row(suite=cell.suite, plugin=cell.plugin, metric="m", value=1.0, status=self.status)
            events.finished(CellResult(cell.record(), [row], {"limits": self.limits}))


def perform(registry, store, suites, request, executor, retry=False, notes=None):
    planned = make_plan(registry, suites, request, store, retry)
    note = notes.append if notes is not None else lambda text: None
    rows = execute(planned, registry, store, executor, Events(), Stop(), ["harness", "run"], note)
    return planned, rows


def test_the_same_plan_again_measures_nothing(registry, tmp_path):
    first, again = Pretend(), Pretend()
    perform(registry, Store(tmp_path), ["poke"], request(registry), first)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")}
    planned, rows = perform(registry, Store(tmp_path), ["poke", "poke"], request(registry), again)
    assert (len(first.measured), len(again.measured), len(rows)) == (2, 0, 2)
    assert first.asked == ["cpu"]
    assert again.asked == []
    assert planned.missing == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")} == before
    assert len(json.loads((tmp_path / "manifest.json").read_text())["commands"]) == 2


def test_only_what_is_new_is_measured(registry, tmp_path):
    perform(registry, Store(tmp_path), ["poke"], request(registry), Pretend())
    more = Pretend()
    _, rows = perform(registry, Store(tmp_path), ["poke"], replace(request(registry), seeds=(0, 1, 2)), more)
    assert [cell.seed for cell in more.measured] == [2]
    assert len(rows) == 3
    assert len(read_table(tmp_path)) == 3


def test_failures_are_finished_until_a_retry(registry, tmp_path):
    perform(registry, Store(tmp_path), ["poke"], request(registry), Pretend("error"))
    patient, eager = Pretend(), Pretend()
    perform(registry, Store(tmp_path), ["poke"], request(registry), patient)
    perform(registry, Store(tmp_path), ["poke"], request(registry), eager, retry=True)
    assert (len(patient.measured), len(eager.measured)) == (0, 2)
    assert set(read_table(tmp_path)["status"]) == {"ok"}


def test_what_was_unavailable_is_tried_once_it_is_there(registry, tmp_path):
    both = request(registry, "toy", "absent")
    perform(registry, Store(tmp_path), ["poke"], both, Pretend("unavailable"))
    again = Pretend()
    perform(registry, Store(tmp_path), ["poke"], both, again)
    assert [cell.plugin for cell in again.measured] == ["toy", "toy"]


def test_a_timing_group_is_measured_whole(registry, tmp_path):
    store, asked = Store(tmp_path), request(registry, "toy", "toy:dim=4", "absent")
    planned, _ = perform(registry, store, ["rounds"], asked, Pretend())
    lost = planned.cells[0]
    (tmp_path / "cells" / f"{lost.id}.json").unlink()
    assert {cell.id for cell in make_plan(registry, ["rounds"], asked, store, False).missing} == {
        cell.id for cell in planned.cells if cell.group == lost.group}


def test_every_group_of_scaling_holds_the_same_anchor(registry):
    """The first model at the shortest length, whatever else is timed; of one length there is nothing to anchor."""
    def groups(lengths):
        options = RunOptions(plugins="toy,toy:dim=4", device="cpu", seq_len=lengths)
        plan = make_plan(registry, ("scaling",), make_request(registry, options), None, False)
        found = {}
        for cell in plan.cells:
            if cell.group:
                found.setdefault(cell.group, []).append((cell.get("role"), cell.label, cell.seq_len))
        return list(found.values())

    found = groups("32,16,64")
    assert [[one for one in group if one[0] == "anchor"] for group in found] == [[("anchor", "toy", 16)]] * 3
    assert [len(group) for group in found] == [3] * 3
    assert [role for group in groups("32") for role, _, _ in group] == ["time"] * 2


def test_a_group_with_an_unavailable_member_is_finished(registry, tmp_path):
    store, asked = Store(tmp_path), request(registry, "toy", "absent")
    planned, _ = perform(registry, store, ["rounds"], asked, Pretend())
    absent = next(cell for cell in planned.cells if cell.plugin == "absent")
    store.write(CellResult(absent.record(), [Row(status="unavailable")]))
    assert make_plan(registry, ["rounds"], asked, store, False).missing == []


def test_an_edited_plugin_file_is_measured_again(plugin, toy, tmp_path):
    def planned(source):
        file = plugin("edited.py", source)
        sys.modules.pop(module_name(file), None)
        found = load([file])
        return {cell.id for cell in make_plan(found, ["poke"], request(found), None, False).cells}

    before = planned(toy.read_text())
    assert planned(toy.read_text()) == before
    assert not planned(toy.read_text() + "\n# edited") & before


def test_a_corrupt_cell_is_told_before_anything_runs(registry, tmp_path):
    store = Store(tmp_path)
    (tmp_path / "cells" / "0123456789abcdef.json").write_text("{")
    with pytest.raises(FileError, match=r"0123456789abcdef\.json is corrupt"):
        make_plan(registry, ["poke"], request(registry), store, False)


@pytest.mark.parametrize(("plan", "error", "words"), [
    (lambda request: [], UsageError, "nothing to measure"),
    (lambda request: 1 / 0, PluginError, "suite 'odd' cannot plan its cells: ZeroDivisionError"),
])
def test_a_suite_that_cannot_plan_is_told(registry, plan, error, words, monkeypatch):
    monkeypatch.setitem(registry.suites, "odd", Suite("odd", "", plan, lambda cell, bench: None))
    with pytest.raises(error, match=words):
        make_plan(registry, ["odd"], request(registry), None, False)


def test_a_suite_that_cannot_conclude_loses_no_row(registry, tmp_path, monkeypatch):
    poke = registry.suites["poke"]
    monkeypatch.setitem(registry.suites, "poke", replace(poke, conclude=lambda results: results[99]))
    _, rows = perform(registry, Store(tmp_path), ["poke"], request(registry), Pretend())
    assert [row.status for row in rows] == ["ok", "ok", "error"]
    assert rows[-1].reason == "cannot conclude: IndexError: list index out of range"
    assert read_table(tmp_path)["status"].tolist() == ["ok", "ok", "error"]


HOOKS = '''
from harness import hookimpl

@hookimpl
def harness_cell_finished(result, directory):
    (directory / "exported.txt").open("a").write(result.id + " ")
    raise ValueError("exporter")

@hookimpl
def harness_environment():
    raise ValueError("facts")
'''


def test_exporters_hear_of_every_cell_and_cannot_stop_a_run(plugin, toy, tmp_path):
    registry, notes = load([toy, plugin("hooks.py", HOOKS)]), []
    store = Store(tmp_path / "run")
    planned, rows = perform(registry, store, ["poke"], request(registry), Pretend(), notes=notes)
    assert (tmp_path / "run" / "exported.txt").read_text().split() == [cell.id for cell in planned.cells]
    assert {row.status for row in rows} == {"ok"}
    failed = [note for note in notes if "hook failed" in note]
    assert [note.partition(": ")[2] for note in failed] == ["ValueError: facts", *["ValueError: exporter"] * 2]


def test_limits_are_measured_once_and_reach_the_executor(registry, tmp_path):
    executor = Pretend()
    perform(registry, Store(tmp_path), ["poke"], request(registry), executor)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (place, limits), = manifest["limits"].items()
    assert limits == {"cpu": {"copy_bytes_per_s": 1.0}}
    assert place in manifest["environments"]
    assert {result.environment for result in Store(tmp_path).results()} == {place}
    assert [r.raw["limits"] for r in Store(tmp_path).results()] == [{"copy_bytes_per_s": 1.0}] * 2


def test_rows_carry_their_run(registry, tmp_path):
    _, rows = perform(registry, Store(tmp_path), ["poke"], request(registry), Pretend())
    run_id = json.loads((tmp_path / "manifest.json").read_text())["run_id"]
    assert {row.run_id for row in rows} == {run_id}
    assert all(row.started_at for row in rows)


def test_a_plugin_selected_twice_is_refused(registry):
    with pytest.raises(UsageError, match="selected twice"):
        choose(registry, ["toy:dim=3:rate=1", "toy:rate=1:dim=3"])
    assert [c.label for c in choose(registry, ["toy", "toy:dim=3"])] == ["toy", "toy:dim=3"]


def test_exit_codes():
    ok, bad = Row(), Row(status="oom")
    assert exit_code([ok], Stop()) == 0
    assert exit_code([ok, bad], Stop()) == 1
    assert exit_code([ok], Stop(requested=True)) == 130


def test_the_same_command_finds_its_directory_again(registry):
    chosen = choose(registry, ["toy:rate=0.25", "toy"])
    assert default_directory(["a", "b"], chosen) == Path("results/a+b-toy-rate=0.25+toy")
    assert len(default_directory(["a"] * 200, chosen).name) <= 100


@pytest.mark.parametrize(("declared", "words"), [
    ((), ""), (("compute",), "the rate of matrix products"), (("bandwidth",), "the bandwidth of a copy"),
    (None, "the rate of matrix products and the bandwidth of a copy"),
])
def test_limits_are_measured_for_suites_that_use_them(toy, tmp_path, declared, words):
    registry = load([toy])
    registry.suites["poke"] = replace(registry.suites["poke"], limits=declared)
    executor, notes = Pretend(), []
    perform(registry, Store(tmp_path), ["poke"], request(registry), executor, notes=notes)
    assert executor.asked == ["cpu"] * bool(words)
    assert [note for note in notes if "limits" in note] == [
        f"measuring the machine's limits for poke: {words}"] * bool(words)


def test_a_limit_that_there_is_not_is_told():
    with pytest.raises(PluginError, match="a limit is one of compute, bandwidth, not 'speed'"):
        Suite("x", "", lambda request: [], lambda cell, bench: None, limits=("speed",))


def test_a_suite_declares_the_limits_that_its_source_reads():
    for name, suite in load().suites.items():
        source = Path(inspect.getsourcefile(suite.measure)).read_text()
        assert suite.limits is not None, name
        assert ("gemm_" in source) == ("compute" in suite.limits), name
        assert ("copy_bytes_per_s" in source) == ("bandwidth" in suite.limits), name


@pytest.mark.parametrize(("suite", "load", "told"), [("throughput", 0.9, True), ("throughput", 0.1, False),
                                                     ("poke", 0.9, False)])
def test_a_busy_machine_is_told_of_where_times_are_taken(registry, tmp_path, monkeypatch, suite, load, told):
    facts = plan.environment()
    monkeypatch.setattr(plan, "environment", lambda: facts | {"now": facts["now"] | {"foreign_load": load}})
    notes = []
    perform(registry, Store(tmp_path), [suite], request(registry), Pretend(), notes=notes)
    assert any("other processes take 90% of this machine" in note for note in notes) is told


NEEDY = """
from harness import ModelSpec, TokenizerSpec, hookimpl

@hookimpl
def harness_models():
    return [ModelSpec("needy", "strange:M", "strange:C", "classical", "", "", requires=("pluggy", "nowhere_to_be_had"))]

@hookimpl
def harness_tokenizers():
    return [TokenizerSpec("shy", "strange:T", "", requires=("typer",))]
"""


def test_a_manifest_has_the_versions_of_what_any_plugin_needs_and_the_machine_stays_the_same(plugin, toy, tmp_path):
    places = []
    for name, files in (("with", [toy, plugin("needy.py", NEEDY)]), ("without", [toy])):
        registry = load(files)
        perform(registry, Store(tmp_path / name), ["poke"], request(registry), Pretend())
        (place, facts), = json.loads((tmp_path / name / "manifest.json").read_text())["environments"].items()
        assert {"pluggy", "typer"} & facts["packages"].keys() == ({"pluggy", "typer"} if name == "with" else set())
        places.append(place)
    assert places[0] == places[1] == plan.environment_id(plan.environment())


def test_a_timed_cell_keeps_the_load_it_was_measured_beside(registry, tmp_path, monkeypatch):
    facts = plan.environment()
    for share in (0.9, 0.1):
        monkeypatch.setattr(plan, "environment", lambda share=share: facts | {"now": {"foreign_load": share}})
        perform(registry, Store(tmp_path), ["throughput", "poke"], request(registry), Pretend())
    loads = {result.cell["suite"]: result.raw.get("foreign_load") for result in Store(tmp_path).results()}
    assert loads == {"throughput": 0.9, "poke": None}
