"""Names of rungs, and their order."""

import pytest

from harness.rungs import rung_extent, rung_name


def test_a_name_tells_size_and_budget():
    assert rung_name(300_000, 1_000_000) == "N=300k D=1MB"
    assert rung_name(0, 50_000) == "D=50kB"
    assert rung_name(30_000) == "N=30k"
    assert rung_name(0) == ""


@pytest.mark.parametrize(("size", "budget"), [(300_000, 1_000_000), (0, 50_000), (7, 0)])
def test_an_extent_is_read_back(size, budget):
    assert rung_extent(rung_name(size, budget)) == (size or 1) * (budget or 1)


@pytest.mark.parametrize("name", ["", "a rung", "N= D=1MB"])
def test_what_is_no_rung_has_no_extent(name):
    assert rung_extent(name) == 0
