"""Scores over documents of unequal size are covered at the nominal rate, whatever their sizes are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.evidence.statistics.documents import bits_per_byte_interval, effective_number, paired_bits_difference
from harness.evidence.statistics.intervals import Estimate

PYDOC = np.array([20537, 7079, 6854, 6131, 4513, 915, 887, 828, 565, 405])      # bytes that a plugin was scored on


def test_equal_documents_count_as_themselves_and_unequal_ones_as_fewer():
    generator = np.random.default_rng(0)
    sizes = generator.lognormal(9, 1.5, 40)
    means = [np.average(generator.normal(0, 1, 40), weights=sizes) for _ in range(20_000)]
    assert effective_number([7.0] * 12) == pytest.approx(12)
    assert effective_number(sizes.tolist()) == pytest.approx(1 / np.var(means), rel=0.05)


def documents(generator, n: int):
    """Bytes and bits of `n` documents of unequal size and difficulty, about 2 bits per byte."""
    size = np.exp(generator.normal(7, 0.6, n)).round() + 1
    return generator.normal(2, 0.3, n) * size, size


def test_bits_per_byte_is_the_ratio_of_totals():
    estimate = bits_per_byte_interval([10, 900], [10, 300])
    assert estimate.value == pytest.approx(910 / 310)
    assert estimate == bits_per_byte_interval([10, 900], [10, 300])
    assert bits_per_byte_interval([10], [5]) == Estimate(2.0, None, None, 1)


def test_bits_per_byte_of_many_documents_agrees_with_the_linearised_standard_error():
    bits, size = documents(np.random.default_rng(7), 2500)
    one = bits_per_byte_interval(bits, size)
    half = 1.96 * np.std(bits - one.value * size) * math.sqrt(2500) / size.sum()
    assert (one.high - one.low) / 2 == pytest.approx(half, rel=0.1)
    assert one.low < one.value < one.high


@pytest.mark.parametrize("alike", [True, False], ids=["", "small vary more"])
@pytest.mark.parametrize("sizes", [np.full(10, 1000), PYDOC, np.full(236, 1110)], ids=["10", "pydoc", "docstrings"])
def test_bits_per_byte_covers_when_documents_vary(sizes, alike):
    """Of the corpora's own sizes; where documents of 400 bytes vary more byte by byte, as real ones do, too."""
    generator, hits = np.random.default_rng(8), 0
    spread = 0.3 if alike else 0.1 + 0.3 * np.sqrt(1000 / sizes)
    for _ in range(4000):
        found = bits_per_byte_interval(generator.normal(2, spread, len(sizes)) * sizes, sizes)
        hits += found.low <= 2 <= found.high
    assert 0.93 < hits / 4000 < 0.97


def test_pairing_by_document_finds_a_gap_that_unpaired_intervals_hide():
    generator = np.random.default_rng(9)
    paired = unpaired = covered = 0
    for _ in range(100):
        bits_a, size = documents(generator, 60)
        bits_b = bits_a - size * generator.normal(0.02, 0.04, 60)
        gap = paired_bits_difference(bits_a, bits_b, size)
        a, b = (bits_per_byte_interval(bits, size) for bits in (bits_a, bits_b))
        paired += gap.low > 0
        unpaired += b.high < a.low
        covered += gap.low <= 0.02 <= gap.high
    assert paired > 85
    assert unpaired < 5
    assert covered >= 89
