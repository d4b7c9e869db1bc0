"""What is said of two ladders: multipliers, laws, held-out rungs, and why something is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ladders import SIZES, ladder
from ladders import multiplier as true_multiplier

from harness.evidence.laws.comparison import compare_ladders
from harness.evidence.laws.summary import comparison_lines, interval_text, ladder_lines
from harness.evidence.statistics.student import Estimate


@pytest.fixture(scope="module")
def compared():
    return compare_ladders(ladder(np.random.default_rng(0), corpora=("text", "code")), "base", "new", resamples=100)


def test_the_comparison_holds_every_part(compared):
    assert (compared.runs, compared.rungs, set(compared.estimates)) == (36, 108, {"text", "code"})
    answers = {(one.here.corpus, one.here.resource): one for one in compared.answers}
    assert set(answers) == {(corpus, what) for corpus in ("text", "code") for what in ("flops", "bytes", "seconds")}
    compute = answers["code", "flops"]
    assert compute.here.estimate.value == pytest.approx(true_multiplier(), rel=0.1)
    assert compute.further.cost == pytest.approx(10 * compute.here.cost) and compute.further.loss < compute.here.loss
    own, shared = (one.estimate.high / one.estimate.low for one in (compute.own_here, compute.here))
    assert own > shared
    assert compared.unanswered == ["energy_j of base was not measured at every rung"]
    assert {(rung.plugin, rung.corpus, rung.params) for rung in compared.held_out} == {
        (plugin, corpus, SIZES[-1]) for plugin in ("base", "new") for corpus in ("text", "code")}


def test_the_sentences_say_multiplier_interval_and_held_out_rung(compared):
    lines = comparison_lines(compared)
    here = compared.answers[0].here
    assert lines[0].startswith(f"text: new needs {interval_text(here.estimate)} times the compute of base at ")
    assert f"at 10x: {interval_text(compared.answers[0].further.estimate)}" in lines[0]
    assert lines[1].startswith("  with own exponents: ")
    assert sum(line.startswith("held out: ") for line in lines) == 4
    assert any(line.startswith("held out: new at 1M parameters and 10 MB of code: predicted ") for line in lines)
    assert any("share exponents and factors is not rejected (p = " in line for line in lines)
    assert any("the best size grows as compute^" in line for line in lines)


def test_where_sharing_is_rejected_the_own_exponents_count(compared):
    lines = comparison_lines(replace(compared, sharing=0.01))
    assert f"new needs {interval_text(compared.answers[0].own_here.estimate)} times the compute" in lines[0]
    assert lines[1].startswith("  with shared exponents: ") and any("is rejected" in line for line in lines)


def test_what_decides_no_law_is_one_line():
    assert ladder_lines(ladder(sizes=SIZES[:2]), "base", "new") == ["no law: a law needs 3 sizes; base has 2"]
    assert ladder_lines(ladder(), "base", "wave") == ["no law: base and wave have no rung on one and the same corpus"]


def test_the_answer_is_that_of_the_points_in_any_order():
    points = ladder(np.random.default_rng(5), corpora=("text", "code"), run_sd=0.02)
    shuffled = [points[place] for place in np.random.default_rng(0).permutation(len(points))]
    assert compare_ladders(points, "base", "new", 50) == compare_ladders(shuffled, "base", "new", 50)


def test_corpora_that_only_one_was_measured_on_take_no_part():
    points = [point for point in ladder(corpora=("text", "code")) if (point.plugin, point.corpus) != ("new", "code")]
    assert list(compare_ladders(points, "base", "new", resamples=20).estimates) == ["text"]


def test_open_ends_are_named():
    assert interval_text(Estimate(0.8, 0.7, None, 9)) == "0.80 [0.70, open]"
    assert interval_text(Estimate(1234.5, None, None, 9)) == "1.23e+03 [open, open]"
