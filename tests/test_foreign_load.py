"""A busy machine is told to whoever reads times that were taken on it, and to nobody else."""

import json
from pathlib import Path

import pytest
from synthetic import HERE, failed, store, timed, weighed

from harness.foreign_load import BUSY, busy_line, is_timed, keep_load
from harness.reading import read_run
from harness.registry import load

ROOT = Path(__file__).parents[1]
QUIET, LOUD = ({"here": HERE | {"now": {"foreign_load": share}}} for share in (BUSY, 0.5))
TOLD = "timed beside a foreign load of 50% of the processors: 2 cells; their intervals may be too narrow"


def cells():
    return [timed("baseline", [1.0, 1.1], [1.0, 1.1]), timed("ssm", [1.0, 1.2]), weighed("baseline", "peak_bytes", 1.0),
            weighed("ssm", "peak_bytes", 2.0)]


def test_timed_cells_alone_count_and_only_beyond_the_load_of_which_a_run_warns():
    assert busy_line(cells(), LOUD) == TOLD
    assert busy_line(cells(), QUIET) == busy_line(cells()[2:], LOUD) == ""
    assert "1 cell;" in busy_line([cells()[0], failed(cells()[1])], LOUD)           # what failed has no interval


@pytest.mark.parametrize("environments", [
    {}, {"here": {}}, {"here": {"now": None}}, {"here": {"now": {"foreign_load": None}}},
    {"here": {"now": {"foreign_load": "much"}}}])
def test_a_load_that_nobody_knows_is_none(environments):
    assert busy_line(cells(), environments) == ""


def test_what_a_cell_keeps_counts_whatever_a_later_run_saw():
    found = cells()
    for result, share in zip(found, (0.4, 0.9, 0.9, 0.9), strict=True):
        keep_load(result, share)
        keep_load(result, 0.0)
    assert ["foreign_load" in result.raw for result in found] == [True, True, False, False]
    assert "of 40% to 90% of the processors: 2 cells" in busy_line(found, QUIET)
    unknown = cells()[0]
    keep_load(unknown, None)
    assert "foreign_load" not in unknown.raw


def test_show_report_and_compare_tell_it_once_and_of_a_quiet_machine_nothing(command, tmp_path):
    for name, environments, count in (("loud", LOUD, 1), ("quiet", QUIET, 0)):
        run, page = store(tmp_path / name, cells(), environments=environments), tmp_path / f"{name}.md"
        assert command("show", run, COLUMNS="200").stdout.count(TOLD) == count
        pair = ("compare", run, "--plugins", "baseline,ssm")
        assert command(*pair, COLUMNS="200").stdout.count(TOLD) == count
        records = [json.loads(line) for line in command(*pair, "--json").stdout.splitlines()]
        assert [one["text"] for one in records if one["kind"] == "load"] == [TOLD] * count
        assert TOLD not in command(*pair, "--suite", "memory", COLUMNS="200").stdout
        command("report", run, "-o", page)
        assert page.read_text().count(TOLD) == count


def test_of_two_runs_the_busy_one_is_named(command, tmp_path):
    loud, quiet = (store(tmp_path / name, cells(), environments=environments)
                   for name, environments in (("loud", LOUD), ("quiet", QUIET)))
    assert f"B: {TOLD}" in command("compare", quiet, loud, COLUMNS="200").stdout
    assert f"loud: {TOLD}" in command("report", quiet, loud, "-o", "-", "--markdown").stdout


@pytest.mark.parametrize("name", ["cpu", "ladder", "peers"])
def test_the_times_of_the_documentation_were_taken_on_a_quiet_machine(name):
    run = read_run(ROOT / "results/reference" / name, load())
    assert any(map(is_timed, (result.cell for result in run.results)))
    assert busy_line(run.results, run.environments) == ""
