"""Executors: whatever a worker does, its cell ends with a reason and the others go on; lanes take turns."""

import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import PATIENCE_S, environment

from harness.executor import Events, Interrupted, Stop
from harness.registry import load
from harness.run import executors
from harness.run.cells import Request
from harness.run.choices import choose
from harness.run.executors import CONTROL, LocalExecutor
from harness.run.plan import make_plan
from harness.run.worker import Setup

ENDINGS = {                                 # fault -> (status, words of the reason)
    "none": ("ok", ""),
    "exit": ("error", "the worker exited with code 3 in the middle of the cell"),
    "exit0": ("error", "the worker exited with code 0 in the middle of the cell"),
    "rubbish": ("error", "the worker says what is no message: it announces more than one can hold"),
    "daemon": ("error", "the worker died of SIGSEGV"),
    "kill": ("oom", "the worker was killed (SIGKILL)"),
    "segfault": ("error", "the worker died of SIGSEGV"),
    "fork": ("error", "the worker exited with code 5"),
    "raise": ("error", "ValueError: a reason in two lines (toy.py:"),
}


def perform(toy, folder, suite, selectors, jobs=2, stop=None, timeout=PATIENCE_S, memory=0, **fields):
    """Results by the options of their plugin (or its name), and what the events told of progress."""
    registry = load([toy])
    request = Request(choose(registry, selectors), **fields)
    cells = make_plan(registry, [suite], request, None, False).cells
    executor = LocalExecutor(Setup((str(toy),), 1, memory, str(folder / "log")), jobs, timeout)
    results, told = {}, []

    def finished(result):
        name = ":".join(result.cell["options"].values()) or result.cell["plugin"]
        assert name not in results
        results[name] = result

    events = Events(finished=finished, progress=lambda cell, text: told.append(text))
    executor.run(cells, {c.spec.name: c.spec for c in request.models}, {}, events, stop or Stop())
    return results, told


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_has_its_threads_and_the_environment_of_now(toy, tmp_path, monkeypatch, threads):
    """Not those of the time at which the server of all workers was started."""
    monkeypatch.setenv("TOY_MARK", f"mark {threads}")
    monkeypatch.chdir(tmp_path)
    registry = load([toy])
    request = Request(choose(registry, ["toy:fault=tell"]))
    results = []
    LocalExecutor(Setup((str(toy),), threads, 0, str(tmp_path / "log")), 1, PATIENCE_S).run(
        make_plan(registry, ["poke"], request, None, False).cells, registry.models, {},
        Events(finished=results.append), Stop())
    assert results[0].raw["place"] == [threads, f"mark {threads}", str(tmp_path)]


@pytest.fixture(scope="module")
def endings(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("endings")
    results, told = perform(toy, folder, "poke", [*(f"toy:fault={fault}" for fault in ENDINGS), "absent"], jobs=3)
    return results, told, (folder / "log").read_text(errors="replace")


@pytest.mark.parametrize("fault", ENDINGS)
def test_every_ending_has_its_status_and_reason(endings, fault):
    """Also where a forked copy outlives its worker: were its end of the pipe open, that cell would end by timeout."""
    status, words = ENDINGS[fault]
    last = endings[0][fault].rows[-1]
    assert last.status == status
    assert words in last.reason
    assert "\n" not in last.reason
    assert (last.plugin, last.options, last.family, last.suite) == ("toy", f"fault={fault}", "classical", "poke")


@pytest.mark.parametrize("fault", ["hang", "half"])
def test_a_cell_that_hangs_is_ended(toy, tmp_path, fault):
    """Also one that stops within a message."""
    started = time.monotonic()
    results, _ = perform(toy, tmp_path, "poke", [f"toy:fault={fault}"], timeout=2.0)
    assert [(row.status, row.reason) for row in results[fault].rows] == [("timeout", "took longer than 2 s")]
    assert time.monotonic() - started < PATIENCE_S


@pytest.mark.skipif(sys.platform != "linux", reason="what processes hold together is told by Linux")
def test_a_cell_that_eats_memory_is_ended_whoever_eats_it(toy, tmp_path):
    """In shared mappings, in parts, in processes that it started; the next cell is measured."""
    results, _ = perform(toy, tmp_path, "poke", ["toy:fault=children", "toy"], memory=1 << 30)
    (row,) = results["children"].rows
    assert row.status == "oom"
    assert re.fullmatch(r"the worker and what it started held 1\d\d\d MiB, more than the 1024 MiB of --memory-limit",
                        row.reason)
    assert [row.status for row in results["toy"].rows] == ["ok"]


def test_a_flood_of_output_is_cut_in_the_middle(toy, tmp_path):
    results, _ = perform(toy, tmp_path, "poke", ["toy:fault=flood"])
    assert results["flood"].ok
    log = (tmp_path / "log").read_bytes()
    assert len(log) < 4 << 20
    assert log.startswith(b"much output") and re.search(rb"\n\.\.\. 1\d{8} bytes were cut out here \.\.\.\n", log)


def test_a_lane_whose_process_was_changed_tells_it_and_is_given_no_other_cell(toy, tmp_path, monkeypatch):
    started, results = [], []

    class Counted(executors.Worker):
        def __init__(self, setup):
            super().__init__(setup)
            started.append(self)

    monkeypatch.setattr(executors, "Worker", Counted)
    registry = load([toy])
    request = Request(choose(registry, ["toy", "toy:fault=state"]), seeds=(0, 1), rounds=5)
    LocalExecutor(Setup((str(toy),), 1, 0, str(tmp_path / "log")), 1, PATIENCE_S).run(
        make_plan(registry, ["rounds"], request, None, False).cells, registry.models, {},
        Events(finished=results.append), Stop())
    told = sorted((row.options, row.status, row.reason) for result in results for row in result.rows)
    note = ("it changed the working directory and variables of the environment and the file mode mask and the locale "
            "and signal handlers and the default dtype and the number of threads of its process, which no other cell "
            "is given")
    assert told == [("", "ok", "")] * 2 + [("fault=state", "ok", note)] * 2
    assert len(started) == 2 + 2                        # the lane of "toy" and its control, and twice that of the other


def test_rows_before_a_failure_are_kept(endings):
    assert [row.metric for row in endings[0]["raise"].rows] == ["pid", ""]
    assert endings[0]["none"].raw == {"marks": [1, 2]}


def test_a_missing_dependency_starts_no_worker(endings):
    absent = endings[0]["absent"]
    assert [row.status for row in absent.rows] == ["unavailable"]
    assert absent.rows[0].reason == "absent needs no_such_package: pip install no_such_package"


def test_workers_are_processes_of_their_own_and_all_gone(endings):
    pids = [int(row.value) for result in endings[0].values() for row in result.rows if row.metric == "pid"]
    assert len(set(pids)) == len(pids) == 2
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_what_a_plugin_forked_goes_with_its_worker(endings):
    forked = [int(pid) for pid in re.findall(r"^forked (\d+)$", endings[2], re.MULTILINE)]
    assert len(forked) == 3                             # one of them a daemon, whose worker died before it
    assert not any(map(alive, forked))


def test_what_a_plugin_prints_goes_to_the_log(endings):
    _, told, log = endings
    assert log.count("much output") >= 1000 * 2                     # what a killed worker had not flushed is lost
    assert "a reason" in log
    assert told.count("half way") == len(ENDINGS)


@pytest.fixture(scope="module")
def turns(toy, tmp_path_factory):
    selectors = ["toy", "toy:fault=exit", "toy:fault=hang", "toy:dim=3"]
    return perform(toy, tmp_path_factory.mktemp("turns"), "rounds", selectors, timeout=5.0, rounds=12)[0]


def test_a_lane_that_ends_does_not_block_the_others(turns):
    statuses = {name: [row.status for row in result.rows] for name, result in turns.items()}
    assert statuses == {"toy": ["ok"], "exit": ["error"], "hang": ["timeout"], "3": ["ok"]}
    assert {len(lane) for lane in lanes(turns).values()} == {12}
    assert "exited with code 3" in turns["exit"].rows[0].reason


def lanes(turns):
    """When each turn of the lanes that lived began and ended."""
    first, second = turns["toy"].raw, turns["3"].raw
    return {"first": first["turns"], "second": second["turns"], "control": first[CONTROL + "turns"]}


def test_the_control_is_a_second_worker_with_the_same_cell(turns):
    assert not set(map(tuple, lanes(turns)["control"])) & set(map(tuple, lanes(turns)["first"]))
    assert set(turns["toy"].raw) == {"turns", CONTROL + "turns"}
    assert set(turns["3"].raw) == {"turns"}


def test_no_two_lanes_ever_run_at_once(turns):
    every = sorted(turn for lane in lanes(turns).values() for turn in lane)
    assert len(every) == 36
    for (_, ended), (began, _) in pairwise(every):
        assert ended <= began


def test_rounds_are_interleaved_in_random_order(turns):
    """Every round has a turn of every lane, and the order differs between rounds."""
    rounds = list(zip(*lanes(turns).values(), strict=True))
    for earlier, later in pairwise(rounds):
        assert max(turn[1] for turn in earlier) <= min(turn[0] for turn in later)
    orders = {tuple(sorted(range(3), key=lambda lane: r[lane][0])) for r in rounds}
    assert len(orders) >= 3


def test_a_stop_before_the_start_runs_nothing(toy, tmp_path):
    for suite in ("poke", "rounds"):
        assert perform(toy, tmp_path, suite, ["toy"], stop=Stop(requested=True)) == ({}, [])


def test_interrupts_are_counted_and_held_back_by_the_shield():
    told = []
    stop = Stop(notify=lambda: told.append("notified"))
    before = signal.getsignal(signal.SIGINT)
    with stop.on_interrupt():
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        assert told == ["notified"]
        with pytest.raises(Interrupted), stop.shield():
            signal.raise_signal(signal.SIGINT)
            told.append("stored")
        assert told == ["notified", "stored"]
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


PARENT = """
import sys, time
from multiprocessing.connection import wait
from harness import Cell
from harness.run.process import Worker
from harness.run.worker import Setup

if __name__ == "__main__":
    workers = [Worker(Setup((sys.argv[1],))) for _ in range(2)]
    pids = [wait([worker.connection]) and worker.receive()[0] and worker.process.pid for worker in workers]
    hang = Cell("rounds", "toy", (("fault", "hang"),), tokenizer="bytes", protocol=(("rounds", 5),))
    workers[0].assign(hang, {"limits": {}, "needs": {}}, 60)
    print(*pids, flush=True)
    time.sleep(60)
"""


IN_ENDING_ONE = """
    import os, signal
    from harness.run import process
    process.end_below = lambda pid: os.kill(os.getpid(), signal.SIGKILL)
    workers[0].kill()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
@pytest.mark.parametrize("where", ["", IN_ENDING_ONE], ids=["anywhere", "in-ending-one"])
def test_workers_die_with_a_parent_that_is_killed(toy, tmp_path, where):
    """The idle one and the one in the middle of a cell."""
    (tmp_path / "parent.py").write_text(PARENT.replace("    time.sleep(60)", where + "    time.sleep(60)"))
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", toy], stdout=subprocess.PIPE, text=True, env=environment())
    try:
        pids = list(map(int, parent.stdout.readline().split()))
        assert len(pids) == 2
        assert where or all(map(alive, pids))
    finally:
        if not where:
            parent.kill()
        parent.wait(PATIENCE_S)
        parent.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="strays are found through /proc")
def test_a_worker_whose_server_has_died_is_no_stray(toy, tmp_path):
    """It goes on beside one that dies, whose strays are looked for."""
    (tmp_path / "parent.py").write_text(PARENT.partition("    hang =")[0] + """
    import os, signal
    from harness.run.process import LIVING, sources
    os.kill(sources()[0], signal.SIGKILL)
    os.kill(pids[0], signal.SIGSEGV)
    wait([workers[0].connection])
    assert workers[0].receive() == ("died",)
    workers[0].death()
    assert not wait([workers[1].connection], 1), workers[1].receive()
    for worker in workers:
        worker.kill()
    assert not LIVING
""")
    done = subprocess.run([sys.executable, tmp_path / "parent.py", toy], capture_output=True, text=True,
                          env=environment(), timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr


def alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
