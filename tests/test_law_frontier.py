"""Frontiers and equal amounts against points whose order is seen at a glance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ladders import BUDGETS, SIZES, ladder, loss

from harness.evidence.laws.frontier import equal_amounts, frontier, reached_with
from harness.evidence.laws.point import Point


def point(params, data, bits, seed=0, plugin="base", flops=None):
    return Point(plugin, "text", seed, params, data, bits, flops, state_bytes=params // 10)


def test_no_rung_of_the_frontier_is_beaten_with_less():
    points = [point(10, 100, 3.0), point(10, 200, 2.5), point(20, 100, 2.8), point(20, 200, 2.6), point(40, 300, 2.0)]
    assert [(one.params, one.amount, one.bits.value) for one in frontier(points, "bytes")] == [
        (20, 100, pytest.approx(2.8)), (10, 200, pytest.approx(2.5)), (40, 300, pytest.approx(2.0))]
    assert [one.params for one in frontier(points, "params")] == [10, 40]
    assert [one.amount for one in frontier(points, "state_bytes")] == [1, 4]
    assert frontier(points, "energy_j") == []


def test_seeds_of_a_rung_are_one_point_with_their_interval():
    one, = frontier([point(10, 100, bits, seed) for seed, bits in enumerate((2.0, 2.2, 2.1))], "bytes")
    assert one.bits.value == pytest.approx((2.0 * 2.2 * 2.1) ** (1 / 3)) and one.bits.n == 3
    assert one.bits.low < 2.0 < 2.2 < one.bits.high
    single, = frontier([point(10, 100, 2.0)], "bytes")
    assert single.bits.low is None


def test_equal_amounts_are_interpolated_between_budgets_of_one_size_and_never_beyond():
    points = [point(10, 100, 3.0, flops=1e3), point(10, 200, 2.0, flops=4e3), point(40, 100, 2.6, flops=8e3)]
    found = reached_with(points, "flops", 2e3)
    assert (found.params, found.bits.value) == (10, pytest.approx(6**0.5))
    better = replace(points[-1], bits=1.9)
    assert [reached_with([*points[:2], better], "flops", amount).params for amount in (7e3, 8e3)] == [10, 40]
    assert reached_with(points, "flops", 5e3).bits.value == 2.0                 # what it reached with 4e3
    assert reached_with(points, "flops", 5e2) is None


def test_the_best_size_at_equal_compute_is_that_of_the_law():
    points = ladder()
    rows = equal_amounts(points, ["base", "new"], "flops")
    assert len(rows) == 4 and all({"base", "new"} == set(row) for row in rows)
    for row in rows:
        for plugin, reached in row.items():
            here = [(params, data) for params in SIZES for data in np.geomspace(BUDGETS[0], BUDGETS[-1], 2001)
                    if 6 * params**0.9 * data * (1.2 if plugin == "new" else 1) <= reached.amount * 1.0001]
            assert reached.bits.value == pytest.approx(min(loss(plugin, "text", *rung) for rung in here), rel=0.01)
        assert row["new"].bits.value < row["base"].bits.value


def test_all_seeds_of_a_size_count_where_each_reads_a_few_bytes_more():
    """The least amount of a table is one that the last of the seeds has reached."""
    points = ladder(np.random.default_rng(1), seeds=(3, 3, 3, 3))
    for row in equal_amounts(points, ["base", "new"], "bytes"):
        assert {one.bits.n for one in row.values()} == {3}
    assert {one.bits.n for one in frontier([one for one in points if one.plugin == "new"], "bytes")} == {3}


def test_ranges_that_do_not_meet_have_no_table():
    points = [point(10, 100, 3.0), point(10, 200, 2.0), point(10, 300, 3.0, plugin="new"),
              point(10, 400, 2.5, plugin="new")]
    assert equal_amounts(points, ["base", "new"], "bytes") == []
    assert equal_amounts(points, ["base", "other"], "bytes") == []
    meeting = [*points, replace(points[-1], bytes=150)]
    assert [row["new"].amount for row in equal_amounts(meeting, ["base", "new"], "bytes", 2)] == [
        pytest.approx(150), pytest.approx(200)]
