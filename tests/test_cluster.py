"""Ray: every cell is measured exactly once though a node dies, timing groups have a node, machines keep their names."""

import os
import time
from collections import Counter
from dataclasses import replace

import pytest
from conftest import ROOT

from harness.errors import PluginError, UsageError
from harness.executor import Events, Stop
from harness.registry import load
from harness.run.cluster import RayExecutor, measured_here
from harness.run.flags import flags_as_written
from harness.run.plan import execute, make_plan, only
from harness.run.request import RunOptions, make_request, pick_executor
from harness.store import CellResult, Row, Store, cell_text


@pytest.fixture(scope="module")
def registry(toy):
    return load([toy])


def options_of(toy, **fields):
    return RunOptions(**{"suite": "poke", "plugins": "toy", "plugin_file": (str(toy),), "device": "cpu",
                         "dtype": "float32", **fields})


def planned(registry, options, store=None):
    return make_plan(registry, options.suite.split(","), make_request(registry, options), store, False)


def test_without_ray_one_line_names_the_extra(registry, toy, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(PluginError, match=r"pip install 'qllm-harness\[cluster\]'"):
        pick_executor(registry, options_of(toy, executor="ray"), "cpu", None)
    with pytest.raises(UsageError, match="--address is of a Ray cluster"):
        pick_executor(registry, options_of(toy, address="10.0.0.1:6379"), "cpu", None)


def test_a_run_takes_the_cells_that_are_named(registry, toy):
    plan = planned(registry, options_of(toy, suite="poke,rounds", seeds=3))
    poke, timed = plan.cells[1], plan.cells[-1]
    assert only(plan, [poke.id]).cells == [poke]
    assert only(plan, [timed.id, poke.id]).cells == [poke, timed]
    with pytest.raises(UsageError, match="--cells names c1, which this run has not"):
        only(plan, ["c1"])
    needy = replace(poke, needs=(plan.cells[0].id,))
    assert only(replace(plan, cells=[plan.cells[0], needy]), [needy.id]).cells == [plan.cells[0], needy]


def test_a_node_gives_back_the_files_of_its_cells(registry, toy, monkeypatch):
    """Without Ray: what a task does. The cell that is given is not measured again."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    plan = planned(registry, options_of(toy, seeds=2))
    first, second = plan.cells
    given = CellResult(first.record(), [Row(suite="poke", plugin="toy", metric="pid", value=1.0)])
    flags = flags_as_written(options_of(toy, seeds=2))
    said = list(measured_here(flags, [second.id], {first.id: cell_text(given).encode()}, "/no/such/folder"))
    assert [one[0] for one in said] == ["machine", "cell", "end"]
    assert said[1][1] == second.id and second.id.encode() in said[1][2]


def test_a_cell_that_is_another_on_a_node_is_told(toy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    said = list(measured_here(flags_as_written(options_of(toy)), ["c123"], {}, "/"))
    assert [one[0] for one in said] == ["end"]
    assert "which this run has not: another source, text or flag" in said[0][1]


@pytest.fixture(scope="module")
def nodes():
    """A head that computes nothing, and two nodes of one CPU each."""
    ray = pytest.importorskip("ray", reason="ray is not installed (pip install -e '.[cluster]')")
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before]))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster, workers
    ray.shutdown()
    cluster.shutdown()
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


def test_every_cell_is_finished_once_though_a_node_is_killed(registry, toy, nodes, tmp_path):
    cluster, (victim, _) = nodes
    options = options_of(toy, suite="poke,rounds", plugins="toy,toy:dim=4,toy:fault=exit", seeds=2, budget="1000")
    plan, counted, store = planned(registry, options), Counter(), Store(tmp_path)

    def finished(result):
        counted[result.id] += 1
        if len(counted) == 1:
            cluster.remove_node(victim, allow_graceful=False)

    began = time.time()
    rows = execute(plan, registry, store, RayExecutor(options, "cpu"), Events(finished=finished), Stop(), ["harness"])
    assert counted == Counter(cell.id for cell in plan.cells)
    assert {result.id for result in store.results()} == set(counted)
    statuses = {(row.options, row.status) for row in rows}
    assert statuses == {("", "ok"), ("dim=4", "ok"), ("fault=exit", "error")}
    manifest = store.manifest()
    assert {result.environment for result in store.results()} <= set(manifest["environments"])
    turns = [turn for result in store.results() if result.cell["group"] for turn in result.raw.get("turns", ())]
    assert turns and time.time() - began < 400
    again = planned(registry, options, store)
    assert again.missing == []
