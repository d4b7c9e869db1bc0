"""Seconds of a ladder from steps timed side by side: what a machine did meanwhile to one run no longer counts."""

from dataclasses import replace

import ladders
import numpy as np
import pytest
from synthetic import finished, row

from harness import Cell
from harness.evidence.laws.pace import paced
from harness.evidence.laws.rungs import rung_points

RATES = {"baseline": 1e4, "ssm": 2e4}


def timing(plugin, params, environment="here", **fields):
    shape = {"tokenizer": "bytes", "seq_len": 256, "batch_size": 4, "params": params, "group": "g"} | fields
    cell = Cell("timings", plugin, **shape)
    return finished(cell, [row(cell, "tokens_per_s", RATES[plugin] * 30_000 / params, better="higher", phase="train"),
                           row(cell, "tokens_per_s", 1.0, better="higher", phase="decode")], environment=environment)


@pytest.fixture(scope="module")
def rungs():
    return [ladders.cell_of(replace(point, seconds=(point.seconds or 1) * (3 if point.seed else 1)))
            for point in ladders.ladder(np.random.default_rng(0))]


@pytest.fixture(scope="module")
def timings(rungs):
    return [timing(plugin, params) for plugin, params in {(one.cell["plugin"], one.cell["params"]) for one in rungs}]


def test_seconds_are_bytes_over_the_rate_of_steps(rungs, timings):
    found = paced(rung_points(rungs), [*rungs, *timings])
    assert {point.seed for point in found} > {0}
    for point, before in zip(found, rung_points(rungs), strict=True):
        assert point.seconds == pytest.approx(point.bytes * point.params / 30_000 / RATES[point.plugin])
        assert replace(point, seconds=before.seconds, paced=False) == before
        assert point.paced and not before.paced


@pytest.mark.parametrize("spoil", [
    lambda timings: timings[1:], lambda timings: [],
    lambda timings: [*timings[1:], replace(timings[0], environment="elsewhere")],
    lambda timings: [*timings[1:], replace(timings[0], cell={**timings[0].cell, "batch_size": 8})],
    lambda timings: [*timings[1:], replace(timings[0], cell={**timings[0].cell, "options": {"tied": "false"}})],
    lambda timings: [*timings[1:], replace(timings[0], cell={**timings[0].cell, "group": ""})],
], ids=["one is missing", "none", "another machine", "another batch", "other options", "not in rounds"])
def test_where_one_has_no_rate_the_clocks_of_the_runs_count_for_all(rungs, timings, spoil):
    points = rung_points(rungs)
    assert paced(points, [*rungs, *spoil(timings)]) == points


def test_the_options_that_the_search_chose_are_those_that_must_be_timed(rungs, timings):
    searches, tuned = [], []
    for one in rungs:
        cell = Cell("ladder", one.cell["plugin"], params=one.cell["params"], protocol=(("role", "search"),))
        searches.append(finished(cell, []))
        searches[-1].raw["choice"] = "tied=false"
        tuned.append(replace(one, cell={**one.cell, "needs": [cell.id, "c0"]}))
    everything = [*tuned, *searches]
    assert paced(rung_points(tuned), [*everything, *timings]) == rung_points(tuned)
    chosen = [timing(one.cell["plugin"], one.cell["params"], options=(("tied", "false"),)) for one in timings]
    assert all(point.paced for point in paced(rung_points(tuned), [*everything, *chosen]))
