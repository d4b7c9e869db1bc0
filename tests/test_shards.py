"""Shards: every cell is in exactly one, what belongs together stays together, and machines need not agree on more."""

from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.registry import load
from harness.run.plan import make_plan
from harness.run.request import RunOptions, make_request
from harness.run.shards import Shard, parse_shard, sharded, units

LARGE = RunOptions(
    suite="ladder,scaling,recall", plugins="baseline,ssm,wave,brain", params="30k", seq_len="64,128,256,512", seeds=2)


def planned(**flags):
    registry, options = load(), replace(LARGE, dtype="float32", **flags)
    return make_plan(registry, options.suite.split(","), make_request(registry, options), None, False)


def parts(plan, of):
    return [[cell.id for cell in sharded(plan, Shard(number, of)).cells] for number in range(1, of + 1)]


@pytest.mark.parametrize("of", [1, 2, 7, 40])
def test_every_cell_is_in_exactly_one_shard(of):
    plan = planned()
    found = parts(plan, of)
    assert sorted(name for part in found for name in part) == sorted(cell.id for cell in plan.cells)
    assert of == 1 or sum(map(bool, found)) > 1


def test_neither_a_timing_group_nor_a_search_is_divided():
    plan = planned()
    where = {name: number for number, part in enumerate(parts(plan, 7)) for name in part}
    timed = {}
    for cell in plan.cells:
        assert all(where[need] == where[cell.id] for need in cell.needs)
        if cell.group:
            timed.setdefault(cell.group, set()).add(where[cell.id])
    assert len(timed) > 3
    assert all(len(places) == 1 for places in timed.values())


def test_units_are_connected_and_no_larger():
    """By hand: a chain of needs, two lanes of one group, one alone."""
    cells = planned().cells
    a, b, c, d, e, f = (replace(cell, needs=(), group="") for cell in cells[:6])
    b = replace(b, needs=(a.id,))
    c = replace(c, needs=(b.id,))
    d, e = replace(d, group="g"), replace(e, group="g")
    assert [{cell.id for cell in unit} for unit in units([c, a, d, f, b, e])] == [
        {a.id, b.id, c.id}, {d.id, e.id}, {f.id}]


def test_machines_of_another_precision_take_the_same_parts():
    """Ids differ there, what was asked for does not."""
    def asked(plan):
        return [[(c.suite, c.label, c.seq_len, c.seed) for c in sharded(plan, Shard(i, 5)).cells] for i in range(1, 6)]

    registry, options = load(), replace(LARGE, dtype="bfloat16")
    narrow = make_plan(registry, options.suite.split(","), make_request(registry, options), None, False)
    assert {cell.id for cell in narrow.cells}.isdisjoint(cell.id for cell in planned().cells)
    assert asked(narrow) == asked(planned())


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "a/b", "1/", "-1/2", "1/2/3", "1/10000000"])
def test_a_wrong_shard_names_the_mend(text):
    with pytest.raises(UsageError, match="such as 2/8"):
        parse_shard(text)
    assert parse_shard("2/8") == Shard(2, 8)
