"""Where a verdict turns, and what its design could have seen: against the verdicts themselves, and against SciPy."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from harness.evidence.claims.claim import Quantity, Rule
from harness.evidence.claims.judging import decide
from harness.evidence.claims.measured import Measurement
from harness.evidence.claims.sensitivity import power_of, sensitivity
from harness.evidence.statistics.detectable import (
    chi_square_quantile,
    confirmable_margin,
    detectable_effect,
    lower_gamma,
)
from harness.evidence.statistics.intervals import Estimate
from harness.evidence.statistics.student import student_mean

RULE = Rule("ratio", Quantity("perplexity", "bits_per_byte"), "ssm", "below", 1.0, "baseline")
RATIO = Measurement(Estimate(1.0, 0.98, 1.03, 3), Estimate(1.0, 0.985, 1.02, 3), True, repeats="seeds", degrees=4.0)


@pytest.mark.parametrize(("confirms", "words", "confirmed", "refuted"), [
    ("below", "confirmed for every threshold above 1.03, refuted for every threshold below 0.98", 1.031, 0.979),
    ("above", "confirmed for every threshold below 0.98, refuted for every threshold above 1.03", 0.979, 1.031)])
def test_the_verdict_turns_where_it_says(confirms, words, confirmed, refuted):
    rule = replace(RULE, confirms=confirms)
    assert sensitivity(rule, RATIO) == words
    assert [decide(replace(rule, threshold=at), RATIO) for at in (confirmed, 1.0, refuted)] == [
        "confirmed", "inconclusive", "refuted"]


@pytest.mark.parametrize(("at", "words", "margins"), [
    (1.0, "confirmed for every margin above 0.02, refuted for none", (0.0201, 0.0199, 1e-9)),
    (0.9, "confirmed for every margin above 0.1333, refuted for every margin below 0.08889", (0.1334, 0.1, 0.0888))])
def test_a_margin_turns_where_it_says(at, words, margins):
    rule = replace(RULE, kind="equality", confirms="equals", threshold=at)
    assert sensitivity(rule, RATIO) == words
    found = [decide(replace(rule, margin=margin), RATIO) for margin in margins]
    assert found == ["confirmed", "inconclusive", "inconclusive" if "none" in words else "refuted"]


def test_what_has_no_interval_turns_nowhere():
    once = replace(RATIO, estimate=Estimate(1.0, None, None, 1))
    assert (sensitivity(RULE, once), power_of(RULE, once)) == ("", "no interval: it was measured once")
    infinite = replace(RATIO, estimate=Estimate(math.inf, 1.0, math.inf, 1))
    assert sensitivity(RULE, infinite) == "refuted for every threshold below 1"


def test_the_power_of_a_design_has_an_interval_of_its_own():
    words = power_of(RULE, RATIO)
    assert words.startswith("in 80 % of runs 3 seeds see a distance from the threshold of 3")
    seen, low, high = map(float, re.findall(r"([\d.]+) %", words)[1:])
    assert low < seen < high
    same = power_of(replace(RULE, kind="equality", confirms="equals", margin=0.02), RATIO)
    assert "3 seeds tell what is the same to be so within" in same


@pytest.mark.parametrize("degrees", [2.0, 4.0, 17.5, 200.0])
def test_the_detectable_effect_is_that_of_the_noncentral_t(degrees):
    stats = pytest.importorskip("scipy.stats")
    found = detectable_effect(0.5, degrees)
    limit = stats.t.ppf(0.975, degrees)
    assert stats.nct.sf(limit, degrees, found.value / 0.5) == pytest.approx(0.8, abs=0.02)
    ends = [found.value * math.sqrt(degrees / stats.chi2.ppf(q, degrees)) for q in (0.975, 0.025)]
    assert [found.low, found.high] == pytest.approx(ends)


@pytest.mark.parametrize("degrees", [0.8, 2.0, 9.5, 400.0])
def test_chi_square_against_scipy(degrees):
    stats, special = pytest.importorskip("scipy.stats"), pytest.importorskip("scipy.special")
    for q in (0.025, 0.5, 0.975):
        assert chi_square_quantile(q, degrees) == pytest.approx(stats.chi2.ppf(q, degrees), rel=1e-9)
    for x in (0.1, degrees, 3 * degrees):
        assert lower_gamma(degrees / 2, x) == pytest.approx(special.gammainc(degrees / 2, x), abs=1e-12)


def test_a_known_error_needs_no_t():
    found = detectable_effect(2.0, math.inf)
    assert (found.value, found.low) == (pytest.approx(2 * 2.8016, rel=1e-4), None)
    assert confirmable_margin(2.0, math.inf).value == pytest.approx(2 * 2.9264, rel=1e-4)


def test_two_equals_are_told_the_same_in_four_runs_of_five():
    """Of means of ten with a known spread, within the margin that is told."""
    generator = np.random.default_rng(0)
    margin, told = confirmable_margin(1 / math.sqrt(10), 9).value, 0
    for _ in range(1000):
        tight = student_mean(generator.normal(0, 1, 10).tolist()).interval(0.9)
        told += -margin < tight.low and tight.high < margin
    assert told / 1000 == pytest.approx(0.8, abs=0.06)


def test_the_interval_of_the_power_covers_it():
    """From five repetitions the least effect is told with an interval that holds the true one in 95 % of cases."""
    generator, held = np.random.default_rng(1), 0
    true = detectable_effect(1.0, 4).value
    for _ in range(400):
        error = math.sqrt(np.var(generator.normal(0, 1, 5), ddof=1))
        held += error * true * math.sqrt(4 / chi_square_quantile(0.975, 4)) <= true <= error * true * math.sqrt(
            4 / chi_square_quantile(0.025, 4))
    assert 0.93 <= held / 400 <= 0.975
