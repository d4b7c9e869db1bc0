"""The ladder: its plan, a run of two sizes and budgets, what an interruption leaves, and what is refused."""

import itertools
import signal
import time

import pytest
from conftest import PATIENCE_S, start
from harness.suites.ladder import COOLING

from harness import load_results
from harness.registry import load
from harness.run.cells import Request
from harness.run.choices import choose
from harness.store import Store

SMALL = ("--plugins", "toy", "--seq-len", "16", "--batch-size", "16", "--corpus", "markov", "--lr", "0.01")


def planned(toy, **fields):
    registry = load([toy])
    return list(registry.suite("ladder").plan(Request(
        choose(registry, ["toy", "toy:rate=0.9"]), corpora=(registry.corpus("markov"),), **fields)))


def test_a_search_for_every_size_and_a_rung_for_every_budget_and_seed(toy):
    cells = planned(toy, sizes=(20_000, 10_000), budgets=(300_000, 100_000, 200_000), seeds=(0, 1))
    searches = [cell for cell in cells if cell.get("role") == "search"]
    rungs = [cell for cell in cells if cell.get("role") == "rung"]
    assert [cell.params for cell in searches] == [10_000, 20_000] * 2
    assert len(rungs) == 2 * 2 * 3 * 2
    assert {cell.get("budget_bytes") for cell in searches} == {100_000}     # the smallest is more than a quarter
    for cell in rungs:
        assert cell.needs[0] in {search.id for search in searches if search.params == cell.params}


def test_rungs_of_one_seed_share_a_trunk_and_climb_it_in_order(toy):
    rungs = list(planned(toy, sizes=(9,), budgets=(100, 200), seeds=(0, 1), lr=0.1))
    trunks = [list(own) for _, own in itertools.groupby(rungs, lambda cell: cell.get("trunk"))]
    assert [[cell.get("budget_bytes") for cell in own] for own in trunks] == [[100, 200]] * 4
    assert all(later.needs == (first.id,) and not first.needs for first, later in trunks)
    longer = planned(toy, sizes=(9,), budgets=(100, 200, 300), seeds=(0, 1), lr=0.1)
    assert {cell.id for cell in rungs} < {cell.id for cell in longer}       # a further budget measures nothing again


@pytest.fixture(scope="module")
def run(command, toy, tmp_path_factory):
    out = tmp_path_factory.mktemp("ladder") / "run"
    done = command("run", "-p", toy, "--suite", "ladder", *SMALL, "--params", "2k,8k", "--budget", "4k,9k",
                   "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done.stdout, load_results(out)


def test_every_rung_has_a_sealed_score_and_what_it_took(run):
    _, printed, table = run
    assert set(table["status"]) == {"ok"}
    rungs = set(table["rung"])
    assert rungs == {f"N={n} D={d}" for n in ("2k", "8k") for d in ("4kB", "9kB")}
    for metric in ("bits_per_byte", "train_flops", "train_seconds", "state_bytes_per_sequence", "sealed_places"):
        assert set(table[table["metric"] == metric]["rung"]) == rungs, metric
    assert all(rung in printed for rung in rungs)
    seen = table[table["metric"] == "bits_per_byte"].set_index("rung")["bytes_seen"]
    assert 4_000 <= seen["N=2k D=4kB"] < 4_000 + 16 * 16


def test_every_rung_is_scored_in_longer_windows_too(run):
    _, _, table = run
    found = table[table["metric"] == "bits_per_byte_in_window"]
    assert {(rung, length) for rung, length in zip(found["rung"], found["seq_len"], strict=True)} == {
        (rung, length) for rung in set(table["rung"]) for length in (16, 32, 64, 128)}
    assert (found["ci_low"] < found["value"]).all()
    places = table[table["metric"].str.startswith("bits_per_byte@position") & (table["seq_len"] == 128)]
    assert "bits_per_byte@position_64-127" in set(places["metric"])


def test_a_branch_takes_what_a_run_of_its_budget_takes(run, command, toy, tmp_path):
    _, _, table = run
    alone = command("run", "-p", toy, "--suite", "ladder", *SMALL, "--params", "2k", "--budget", "9k",
                    "--out", tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    there = load_results(tmp_path / "alone")
    for metric in ("bits_per_byte", "train_flops", "params"):
        ours, theirs = (t[(t["metric"] == "bits_per_byte") & (t["rung"] == "N=2k D=9kB")] if metric == "params"
                        else t[(t["metric"] == metric) & (t["rung"] == "N=2k D=9kB")] for t in (table, there))
        column = "params" if metric == "params" else "value"
        assert ours[column].tolist() == theirs[column].tolist(), metric


def test_the_trunk_is_kept_and_what_a_finished_cell_left_is_not(run):
    out, _, _ = run
    names = [path.name for path in (out / "trunks").glob("*/*")]
    assert len(names) == 4
    for budget in (4_000, 9_000):
        assert sum(0 <= int(name.removeprefix("at-").partition(".")[0]) - (1 - COOLING) * budget < 256
                   for name in names) == 2


def test_a_killed_ladder_goes_on(toy, command, tmp_path):
    out = tmp_path / "killed"
    arguments = ("run", "-p", toy, "--suite", "ladder", *SMALL, "--params", "2k", "--budget", "4k,60k", "--out", out)
    process = start(*arguments)
    deadline = time.monotonic() + PATIENCE_S
    while not list(out.glob("trunks/*/at-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert {row.rung for result in Store(out).results() for row in result.rows} == {"N=2k D=4kB", "N=2k D=60kB"}


def test_several_sizes_are_refused_where_a_suite_measures_one(toy, invoke, tmp_path):
    for flags in (("--params", "2k,8k"), ("--budget", "4k,9k")):
        code, _, told = invoke("run", "-p", toy, "--suite", "perplexity", "--plugins", "toy", *flags,
                               "--out", tmp_path / "x")
        assert code == 2
        assert told.count("\n") == 1
        assert f"suite perplexity measures one size and one budget a run; {flags[0]} names 2" in told
    code, _, told = invoke("run", "-p", toy, "--suite", "ladder", *SMALL, "--params", ",", "--out", tmp_path / "x")
    assert (code, "--params must be a number" in told) == (2, True)


def test_scores_come_again_from_the_weights_that_were_kept(toy, run, command):
    out, _, _ = run
    done = command("rescore", out, "-p", toy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "comes again: 4 of 4 scores" in done.stdout
    assert all(f"{rung} " in done.stdout for rung in ("N=2k D=4kB", "N=8k D=9kB"))
