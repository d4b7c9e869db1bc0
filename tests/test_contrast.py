"""Contrasts cover the truth where documents, seeds or both vary, paired or not, and keep what is shared out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.evidence.statistics import contrast
from harness.evidence.statistics import intervals as stats
from harness.evidence.statistics.intervals import Estimate

DIFFICULTY, DISAGREEMENT, RESIDUAL = 0.3, 0.03, 0.02    # bits per byte: of documents; of A and B, of a seed, on one


PYDOC = np.array([20537, 7079, 6854, 6131, 4513, 915, 887, 828, 565, 405])      # bytes that a plugin was scored on


def scores(generator, seeds_a, seeds_b, documents, ratio=1.0, spread=0.01, shared=0.0):
    """Bits of A and B (S, N) and bytes (N,): seeds vary by `spread`, of which both sides share the part `shared`.

    `documents` is their number, or the size of each.
    """
    if isinstance(documents, int):
        sizes = np.exp(generator.normal(7, 0.6, documents)).round() + 1
    else:
        sizes, documents = documents, len(documents)
    difficulty, own = generator.normal(2, DIFFICULTY, documents), generator.normal(0, DISAGREEMENT, documents)
    common = generator.normal(0, spread, max(seeds_a, seeds_b))

    def side(seeds, factor, extra):
        effect = shared * common[:seeds] + math.sqrt(1 - shared**2) * generator.normal(0, spread, seeds)
        noise = generator.normal(0, RESIDUAL, (seeds, documents))
        return (difficulty + extra + effect[:, None] + noise) * sizes * factor

    return side(seeds_a, 1.0, 0.0), side(seeds_b, ratio, own), sizes


@pytest.mark.parametrize(("seeds_a", "seeds_b"), [(1, 1), (2, 2), (3, 3), (5, 5), (3, 5), (1, 3)])
@pytest.mark.parametrize("documents", [10, 40, PYDOC], ids=["10", "40", "pydoc"])
def test_documents_and_seeds_are_both_covered(seeds_a, seeds_b, documents):
    """With one seed a side only the documents are: those weights are the question then."""
    generator = np.random.default_rng(0)
    spread = 0.0 if seeds_a == seeds_b == 1 else 0.03
    hits = 0
    for _ in range(1000):
        found = contrast.by_document(*scores(generator, seeds_a, seeds_b, documents, 1.02, spread)).estimate()
        hits += found.low <= 1.02 <= found.high
    assert (0.93 if documents is PYDOC else 0.92) < hits / 1000 < (0.975 if documents is PYDOC else 0.985)


@pytest.mark.parametrize("seeds", [1, 3])
def test_small_documents_that_vary_more_byte_by_byte_are_covered(seeds):
    """As real ones do: what a model finds hard in 400 bytes does not average out."""
    generator, hits = np.random.default_rng(7), 0
    for _ in range(1000):
        a, b, sizes = scores(generator, seeds, seeds, PYDOC, 1.02, 0.0 if seeds == 1 else 0.02)
        b = b + sizes * generator.normal(0, 0.03 * np.sqrt(1000 / sizes))
        found = contrast.by_document(a, b, sizes).estimate()
        hits += found.low <= 1.02 <= found.high
    assert 0.93 < hits / 1000 < 0.97


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_shared_seeds_are_covered_and_found_sharper(seeds):
    """Two runs of one plugin start a seed from the same weights: what the seed does cancels."""
    generator = np.random.default_rng(1)
    hits, widths = 0, []
    for _ in range(400):
        a, b, sizes = scores(generator, seeds, seeds, 30, 1.02, 0.1, shared=0.999)
        paired, apart = (contrast.by_document(a, b, sizes, same_seeds=same).estimate() for same in (True, False))
        hits += paired.low <= 1.02 <= paired.high
        widths.append((paired.high - paired.low) / (apart.high - apart.low))
    assert 0.92 < hits / 400 < 0.99
    assert np.median(widths) < 0.5


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_texts_that_every_seed_draws_anew_are_nested(seeds):
    """Shares of right answers on 60 texts of each seed; nothing but the variance over seeds knows both."""
    generator = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        level = generator.normal(0, 0.0 if seeds == 1 else 0.04, (2, seeds, 1))
        hard = generator.normal(0, 0.2, (seeds, 60))
        a, b = (base + level[i] + hard + generator.normal(0, 0.1, (seeds, 60)) for i, base in enumerate((0.5, 0.6)))
        found = contrast.by_document(a, b, nested=True).estimate()
        hits += found.low <= 0.1 <= found.high
    assert 0.92 < hits / 400 < 0.98


def test_equal_systems_are_rarely_told_apart():
    generator = np.random.default_rng(3)
    small = [contrast.by_document(*scores(generator, 2, 2, 20)).student.p for _ in range(1000)]
    assert np.mean(np.array(small) < 0.05) < 0.07
    assert np.mean(np.array(small) < 0.001) < 0.005


def test_one_seed_is_the_paired_t_test_on_documents():
    """Shares: the difference of means, its variance over the differences."""
    a, b = np.array([[0.2, 0.5, 0.9, 0.4]]), np.array([[0.3, 0.5, 1.0, 0.7]])
    found, student = contrast.by_document(a, b), stats.student_mean((b - a)[0].tolist())
    assert not found.ratio
    assert found.student.value == pytest.approx(student.value)
    assert (found.student.variance, found.student.degrees) == (pytest.approx(student.variance), pytest.approx(3))


def test_the_ratio_is_that_of_the_totals_and_its_error_that_of_resampled_documents():
    a, b, sizes = scores(np.random.default_rng(4), 1, 1, 400, 1.05)
    found = contrast.by_document(a, b, sizes).estimate()
    chosen = np.random.default_rng(5).integers(400, size=(2000, 400))
    low, high = np.quantile(b[0, chosen].sum(1) / a[0, chosen].sum(1), [0.025, 0.975])
    assert found.value == pytest.approx(b.sum() / a.sum())
    assert math.log(found.high / found.low) == pytest.approx(math.log(high / low), rel=0.1)


def test_scores_that_may_be_zero_have_a_difference_per_unit():
    a, b, sizes = np.array([[0.0, 4.0, 2.0]]), np.array([[1.0, 6.0, 2.0]]), np.array([1.0, 4.0, 2.0])
    found = contrast.by_document(a, b, sizes)
    assert not found.ratio
    assert found.estimate().value == pytest.approx((9 - 6) / 7)


def test_one_document_of_one_seed_has_no_interval():
    found = contrast.by_document(np.array([[3.0]]), np.array([[4.0]]), np.array([2.0]))
    assert found.estimate() == Estimate(pytest.approx(4 / 3), None, None, 1)


def test_identical_scores_differ_by_nothing():
    a, _, sizes = scores(np.random.default_rng(5), 3, 3, 10)
    same = contrast.by_document(a, a, sizes, same_seeds=True)
    assert (same.estimate().low, same.estimate().high, same.student.p) == (1, 1, 1)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (2, 5), (1, 4)])
def test_values_of_seeds_are_covered(n, m):
    """A side of one seed is taken to vary as the other does."""
    generator = np.random.default_rng(6)
    hits = 0
    for _ in range(600):
        found = contrast.by_seed(generator.normal(2, 0.1, n), generator.normal(3, 0.15, m)).estimate()
        hits += found.low <= 1.5 <= found.high
    assert 0.93 < hits / 600 < 0.995


def test_paired_seeds_cancel_and_signs_ask_for_a_difference():
    a, b = [1.0, 2.0, 4.0], [1.1, 2.2, 4.4]
    assert contrast.by_seed(a, b, same_seeds=True).estimate() == Estimate(*[pytest.approx(1.1)] * 3, 3)
    assert contrast.by_seed(a, b).student.p > 0.5
    assert contrast.by_seed([-1.0, 0.0], [1.0, 2.0]).estimate().value == pytest.approx(2.0)
    assert not contrast.by_seed([0.0], [1.0]).ratio


def test_intervals_of_single_values_add_in_quadrature():
    found = contrast.of_intervals(Estimate(100.0, 98.0, 102.0, 1), Estimate(104.0, 101.0, 107.0, 1))
    assert found.estimate().value == pytest.approx(1.04)
    half = math.log(found.estimate().high / found.estimate().low) / 2
    assert half == pytest.approx(math.hypot(0.02, 3 / 104), rel=0.01)
    assert contrast.of_intervals(Estimate(1.0, None, None, 1), Estimate(2.0, 1.9, 2.1, 1)).estimate().low is None
    assert not contrast.of_intervals(Estimate(0.1, -0.1, 0.3, 1), Estimate(0.2, 0.1, 0.3, 1)).ratio
