"""Prices of runs: totals are covered, an unmeasured plugin is told with its doubt, what is unknown has none."""

import json
import math

import numpy as np
import pytest
from synthetic import finished, row, store

from harness import Cell
from harness.evidence.pricing import MEMORY, disk, memory_of, prices, seconds_of

SPEED = {"ssm": 1.0, "baseline": 1.6, "brain": 3.0, "wave": 1.2}


def cell_of(plugin, budget, params, role="score", suite="perplexity", seed=0):
    return Cell(suite, plugin, params=params, seq_len=256, batch_size=4, seed=seed,
                protocol=(("budget_bytes", int(budget)), ("role", role)))


def took(cell, generator, noise=0.2):
    """A law of its own slopes, which the prior does not know: seconds."""
    budget = cell.get("budget_bytes")
    return SPEED[cell.plugin] * 20 * (budget / 1e6)**0.8 * (cell.params / 1e5)**0.7 * math.exp(
        float(generator.normal(0, noise)))


def recorded(generator, plugins=("ssm", "baseline", "brain")):
    cells = [cell_of(plugin, budget, params, seed=seed) for plugin in plugins for budget in (3e5, 1e6)
             for params in (30_000, 100_000) for seed in (0, 1)]
    return [finished(cell, [row(cell, "m", 1.0, wall_s=took(cell, generator))]) for cell in cells]


def ahead(plugins=("ssm", "baseline", "brain")):
    return [cell_of(plugin, 3e6, 300_000, seed=seed) for plugin in plugins for seed in (0, 1, 2)]


def test_the_total_of_what_is_ahead_is_covered():
    """At three times the text and the parameters of what is recorded."""
    hits, widths = 0, []
    for trial in range(100):
        generator = np.random.default_rng(trial)
        price = prices(recorded(generator), [cell.record() for cell in ahead()])["perplexity/score"]
        truth = sum(took(cell, generator) for cell in ahead())
        hits += price.low <= truth <= price.high
        widths.append(price.high / price.low)
    assert 88 <= hits <= 100
    assert np.median(widths) < 3
    assert price.n == 24


def test_a_plugin_that_was_never_measured_costs_what_others_do_with_more_doubt():
    history = recorded(np.random.default_rng(0))
    own, new = (prices(history, [cell.record() for cell in ahead([plugin])])["perplexity/score"]
                for plugin in ("ssm", "wave"))
    assert new.high / new.low > 1.5 * own.high / own.low
    assert own.low < new.value < 10 * own.high


def test_what_is_not_recorded_has_no_price():
    history = recorded(np.random.default_rng(0))
    wanted = [*ahead(["ssm"]), cell_of("ssm", 1e6, 100_000, role="search"), cell_of("ssm", 1, 1, suite="memory")]
    found = prices(history, [cell.record() for cell in wanted])
    assert set(found) == {"perplexity/score", "perplexity/search", "memory/score"}
    assert found["perplexity/search"] is found["memory/score"] is None
    assert prices([], [cell.record() for cell in wanted]) == dict.fromkeys(found)
    assert prices(history, []) == {}


def test_a_cell_that_failed_tells_no_price():
    cell = cell_of("ssm", 1e6, 100_000)
    assert seconds_of(finished(cell, [row(cell, "m", 1.0, wall_s=2.0), row(cell, "n", 1.0, wall_s=5.0)])) == 5
    assert seconds_of(finished(cell, [row(cell, "m", None, wall_s=2.0, status="timeout")])) == 0
    assert seconds_of(finished(cell, [row(cell, "m", 1.0)])) == 0


def test_memory_is_that_of_the_largest_cell_and_disk_that_of_all():
    """Laws of their own slopes: of a batch's tokens and parameters, and of parameters and text."""
    generator, hits = np.random.default_rng(1), {"memory": 0, "disk": 0}

    def memory(cell):
        return 1e6 * (cell.params / 1e5)**0.5 * math.exp(float(generator.normal(0, 0.1)))

    def size(cell):
        return 4 * cell.params + 1000 * math.exp(float(generator.normal(0, 0.1)))

    for _ in range(40):
        history = [finished(cell_of(plugin, 1e6, params), [row(cell_of(plugin, 1e6, params), "peak_bytes", 1.0)])
                   for plugin in ("ssm", "baseline", "brain") for params in (10_000, 30_000, 100_000)]
        for result in history:
            result.rows[0].unit, result.rows[0].value = "B", memory(cell_of("ssm", 1, result.cell["params"]))
        sizes = {result.id: size(cell_of("ssm", 1, result.cell["params"])) for result in history}
        cells = [cell_of("ssm", 1e6, 300_000, seed=seed) for seed in range(8)]
        held = prices(history, [cell.record() for cell in cells], MEMORY)["perplexity/score"]
        written = prices(history, [cell.record() for cell in cells], disk(sizes))["perplexity/score"]
        hits["memory"] += held.low <= max(map(memory, cells)) <= held.high
        hits["disk"] += written.low <= sum(map(size, cells)) <= written.high
        assert held.high < 6e6 and 4e6 < written.value < 2e7
    assert min(hits.values()) >= 35


def test_the_highest_peak_of_a_cell_counts():
    cell = cell_of("ssm", 1e6, 100_000)
    assert memory_of(finished(cell, [row(cell, "peak_bytes", 5.0, unit="B"), row(cell, "peak_reserved_bytes", 9.0,
                                     unit="B"), row(cell, "weights_bytes", 99.0, unit="B")])) == 9
    assert memory_of(finished(cell, [row(cell, "peak_bytes", 5.0, unit="B", status="oom")])) == 0


def test_the_command_prices_what_is_missing(command, tmp_path):
    store(tmp_path / "before", recorded(np.random.default_rng(0)))
    run = ("plan", "--suite", "perplexity,counts", "--plugins", "ssm,baseline", "--seeds", "3", "--budget", "1M",
           "--params", "100k", "--out", tmp_path / "next")
    done = command(*run)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (score,) = [line for line in lines if line.startswith("perplexity/score")]
    assert "6 of 6 cells" in score and "from 24 recorded cells" in score
    (search,) = [line for line in lines if line.startswith("perplexity/search")]
    assert "nothing like it is recorded" in search
    assert "10 cells, 10 to measure: about " in lines[-2] and "4 cells without a price" in lines[-2]
    assert " core hours; disk " in score and " core hours; disk about " in lines[-1]
    told = [json.loads(line) for line in command(*run, "--json").stdout.splitlines()]
    assert {one["cells_of"] for one in told} == {"perplexity/score", "perplexity/search", "counts"}
    (known,) = [one for one in told if one["recorded"]]
    assert known["device"] == "cpu" and known["device_hours"] == pytest.approx(known["seconds"] / 3600)
    assert known["disk_low"] < known["disk_bytes"] < known["disk_high"] and known["memory_bytes"] is None
    assert not (tmp_path / "next").exists()


def test_a_spoiled_record_prices_nothing_and_stops_nothing(command, tmp_path):
    (tmp_path / "spoiled").mkdir()
    (tmp_path / "spoiled/manifest.json").write_text("[")
    done = command("plan", "--suite", "counts", "--plugins", "ssm", "--out", tmp_path / "next")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing like it is recorded" in done.stdout


@pytest.mark.parametrize("arguments", [("--plugins", "ssm"), ("--suite", "counts"), ("--suite", "none")])
def test_a_wrong_plan_is_one_line(command, arguments):
    done = command("plan", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
