"""Disks that fill up, go away or may not be written, and clocks that jump: one line, and what is finished stays."""

import re
import resource
import shutil
import signal
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from conftest import ROOT

from harness.errors import FileError
from harness.executor import Events, Stop
from harness.registry import load
from harness.run import plan as planning
from harness.run.cells import Request
from harness.run.choices import choose
from harness.run.plan import execute, make_plan
from harness.store import CellResult, Row, Store

WALL_CLOCK = re.compile(r"\btime\.time\(|datetime\.now\(|datetime\.utcnow\(")
MEASURING = ("harness/audit", "harness/bench", "harness/referee", "harness/run", "suites")
STAMPS = {"harness/run/training_log.py"}


@contextmanager
def disk_of(size):
    """No file of this process may become larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def result_of(cell, notes=""):
    return CellResult(cell.record(), [Row(suite=cell.suite, plugin="toy", seed=cell.seed, metric="pid", value=1.0)],
                      {"notes": notes})


@pytest.fixture
def perform(toy):
    """Executes the cells of a run, calling `between` with the number of each before it is finished."""
    registry = load([toy])

    def run(directory, between):
        plan = make_plan(registry, ["poke"], Request(choose(registry, ["toy"]), seeds=(0, 1, 2)), Store(directory),
                         False)

        def run_all(cells, specs, done, events, stop):
            for number, cell in enumerate(cells):
                between(number)
                events.finished(result_of(cell))

        executor = SimpleNamespace(run=run_all, measure_limits=lambda device: {}, limits={})
        return execute(plan, registry, Store(directory), executor, Events(), Stop(), ["harness"])

    return run


def test_a_file_that_finds_no_room_leaves_the_others_and_nothing_of_itself(toy, tmp_path):
    registry, store = load([toy]), Store(tmp_path)
    first, second = make_plan(registry, ["poke"], Request(choose(registry, ["toy"]), seeds=(0, 1)), None, False).cells
    store.write(result_of(first))
    with disk_of(4096), pytest.raises(FileError, match=r"cannot write .*File too large"):
        store.write(result_of(second, "x" * 5000))
    with disk_of(4096), pytest.raises(FileError, match=r"cannot write .*File too large"):
        store.write(CellResult(second.record(), [], weights={"best.safetensors": b"x" * 5000}))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{first.id}.json"]
    assert store.read(first.id).rows[0].value == 1.0
    assert not list(store.weights.iterdir())


def test_a_folder_that_goes_away_in_the_middle_is_one_line(perform, tmp_path):
    def between(number):
        if number == 1:
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(FileError, match=r"cannot write .*No such file or directory") as told:
        perform(tmp_path / "run", between)
    assert "\n" not in str(told.value)


def test_a_place_that_may_only_be_read_is_one_line():
    with pytest.raises(FileError, match="cannot write results to /proc/results"):
        Store("/proc/results")


def test_a_clock_that_jumps_changes_the_stamps_alone(perform, tmp_path, monkeypatch):
    """Back by years before the second cell: the run goes on, its table is whole, and nothing is measured again."""
    times = ["2040-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"]
    monkeypatch.setattr(planning, "now", lambda: times[0])
    rows = perform(tmp_path, lambda number: monkeypatch.setattr(planning, "now", lambda: times[number]))
    assert [(row.seed, row.status, row.started_at) for row in rows] == [
        (seed, "ok", time) for seed, time in zip((0, 1, 2), times, strict=True)]
    assert len(Store(tmp_path).results()) == 3
    assert perform(tmp_path, pytest.fail) == rows


def test_no_duration_and_no_deadline_is_read_off_the_wall_clock():
    users = {str(path.relative_to(ROOT)) for folder in MEASURING for path in (ROOT / folder).rglob("*.py")
             if WALL_CLOCK.search(path.read_text())}
    assert users <= STAMPS
