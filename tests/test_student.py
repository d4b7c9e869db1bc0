"""Student's t against printed tables and integrals; variances that add keep the degrees of freedom they have."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.evidence.statistics import intervals as stats
from harness.evidence.statistics import student
from harness.evidence.statistics.student import Student


@pytest.mark.parametrize(("confidence", "degrees", "expected"), [
    (0.95, 1, 12.7062), (0.95, 2, 4.3027), (0.95, 3, 3.1824), (0.95, 5, 2.5706), (0.95, 10, 2.2281), (0.95, 30, 2.0423),
    (0.9, 4, 2.1318), (0.99, 9, 3.2498), (0.99, 120, 2.6174)])
def test_student_t_matches_the_printed_tables(confidence, degrees, expected):
    assert stats.student_t(confidence, degrees) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize("degrees", [4, 7, 24])
def test_student_t_matches_an_integral_of_the_density(degrees):
    t = np.linspace(-stats.student_t(0.95, degrees), stats.student_t(0.95, degrees), 20_001)
    scale = math.gamma((degrees + 1) / 2) / (math.sqrt(degrees * math.pi) * math.gamma(degrees / 2))
    inside = np.trapezoid(scale * (1 + t**2 / degrees) ** (-(degrees + 1) / 2), t)
    assert inside == pytest.approx(0.95, abs=1e-7)


@pytest.mark.parametrize("degrees", [1, 2, 5, 30])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_p_values_invert_the_quantiles(degrees, confidence):
    t = student.student_t(confidence, degrees)
    assert student.t_p_value(t, degrees) == pytest.approx(1 - confidence, rel=1e-6)
    assert student.t_p_value(-t, degrees) == student.t_p_value(t, degrees)


def test_the_normal_is_the_limit_of_many_degrees():
    known, many = Student(1.0, 0.3, math.inf, 1), Student(1.0, 0.3, 2000, 1)
    assert known.p == pytest.approx(many.p, rel=0.01)
    assert known.interval().low == pytest.approx(many.interval().low, rel=0.01)


def test_nothing_repeated_has_no_interval_and_no_p_value():
    once = Student(3.0, None, 0, 1)
    assert (once.interval().low, once.p) == (None, 1)
    assert (Student(3.0, 0.0, 2, 3).p, Student(0.0, 0.0, 2, 3).p) == (0, 1)


def test_satterthwaite_lies_between_the_poorest_part_and_all_together():
    assert student.satterthwaite([(1.0, 4)]) == (1.0, 4)
    assert student.satterthwaite([(1.0, 4), (1.0, 4)]) == (2.0, 8)
    assert student.satterthwaite([(1.0, 2), (1e-6, 60)]) == (pytest.approx(1.0), 2)
    assert student.satterthwaite([(0.0, 2), (0.0, 5)]) == (0.0, 7)


@pytest.mark.parametrize(("m", "n"), [(2, 2), (3, 5), (5, 12)])
def test_welch_covers_with_unequal_variances(m, n):
    """And too widely where degrees of freedom are rounded down to one."""
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(1500):
        a, b = generator.normal(1, 0.1, m).tolist(), generator.normal(0, 0.5, n).tolist()
        found = student.student_difference(a, b).interval()
        hits += found.low <= 1 <= found.high
    assert 0.93 < hits / 1500 < 0.995
