"""Ladders side by side: points from cells, equal amounts, the multiplier of a known law, and where they are told."""

import json
import math

import ladders
import numpy as np
import pytest
from synthetic import finished, row, run, store

from harness import Cell
from harness.evidence.comparison.ladders import ladder_notes
from harness.evidence.laws.rungs import rung_points
from harness.evidence.laws.summary import amount_text
from harness.evidence.report.compose import build
from harness.evidence.report.document import Figure
from harness.evidence.report.markdown import render_alone
from harness.reading import protocol_of
from harness.registry import load


@pytest.fixture(scope="module")
def results():
    return [ladders.cell_of(point) for point in ladders.ladder(np.random.default_rng(3))]


def test_a_point_is_what_its_cell_says(results):
    points = ladders.ladder(np.random.default_rng(3))
    for one, point in zip(rung_points(results), points, strict=True):
        assert (one.plugin, one.params, one.bytes, one.bits) == (
            ladders.NAMES[point.plugin], point.params, point.bytes, point.bits)
        assert (one.flops, one.seconds, one.state_bytes, one.energy_j) == (
            point.flops, point.seconds, point.state_bytes, None)
        assert math.fsum(one.document_bits) == pytest.approx(point.bits * 2000)


def test_rungs_of_several_seeds_and_plugins_were_measured_alike():
    cells = [Cell("ladder", plugin, seed=seed, needs=(f"s{seed}",),
                  protocol=(("budget_bytes", 9), ("trunk", f"{seed}")))
             for plugin in ("ssm", "baseline") for seed in (0, 1)]
    assert len({protocol_of(finished(cell, [])) for cell in cells}) == 1


def test_cells_without_a_rung_or_a_score_give_no_point(results):
    cell = Cell("ladder", "ssm", protocol=(("role", "search"), ("rung", "N=1k")))
    search = finished(cell, [row(cell, "learning_rate", 0.01, rung="N=1k")])
    other = Cell("perplexity", "ssm")
    assert rung_points([search, finished(other, [row(other, "bits_per_byte", 2.0)])]) == []


def test_the_multiplier_of_a_known_law_is_told(results):
    notes = ladder_notes(run(*results), run(*results), ("baseline", "ssm"))
    (line,) = [note for note in notes if "times the compute of baseline" in note]
    low, high = map(float, line.partition("[")[2].partition("]")[0].split(", "))
    assert low <= ladders.multiplier() <= high
    assert sum(note.startswith("held out: ") for note in notes) == 2
    assert sum(note.startswith("equal compute on text") for note in notes) == 4
    assert all("baseline" in note and "ssm" in note for note in notes if note.startswith("equal"))


def test_two_runs_of_one_plugin_are_told_apart(results):
    own = [result for result in results if result.label == "ssm"]
    notes = ladder_notes(run(*own, name="a"), run(*own, name="b"), ("ssm", "ssm"))
    assert any("ssm (B) needs 1.00 [" in note and "of ssm at" in note for note in notes)


def test_without_rungs_on_both_sides_nothing_is_said(results):
    assert ladder_notes(run(*results), run(*results), ("baseline", "wave")) == []


@pytest.mark.parametrize(("amount", "resource", "text"), [
    (1.234e12, "flops", "1.23 TFLOP"), (3e6, "bytes", "3 MB"), (410.0, "seconds", "410 s"),
    (15071.0, "seconds", "15100 s"), (5000, "energy_j", "5 kJ"),
    (12.0, "bytes", "12 B")])
def test_amounts_carry_their_unit(amount, resource, text):
    assert amount_text(amount, resource) == text


@pytest.fixture(scope="module")
def directory(results, tmp_path_factory):
    return store(tmp_path_factory.mktemp("ladders") / "run", results)


def test_compare_tells_the_ladders(directory, invoke):
    code, printed, _ = invoke("compare", directory, "--plugins", "baseline,ssm", "--json")
    told = [one["text"] for one in map(json.loads, printed.splitlines()) if one["kind"] == "rungs"]
    assert code == 0
    assert any("times the compute of baseline" in text for text in told)


def test_a_report_has_equal_amounts_and_laws(directory):
    text = render_alone(build([directory], load()))
    for words in ("## Ladders", "bits/byte at equal compute on text", "bits/byte at equal time on text",
                  "times the compute of baseline", "held out: ssm"):
        assert words in text


def test_a_report_draws_the_frontier_of_each_resource(directory):
    """Lines join what one plugin reached with ever more, never the budgets of several sizes."""
    document = build([directory], load())
    section = next(section for section in document.sections if section.name == "ladders")
    figures = [block for block in section.blocks if isinstance(block, Figure)]
    assert [figure.name for figure in figures] == [
        f"frontier of {what} on text" for what in ("compute", "data", "time", "parameters", "state")]
    assert "energy" not in " ".join(figure.name for figure in figures)


def test_the_text_of_a_report_names_its_largest_rung(directory):
    text = render_alone(build([directory], load()))
    assert "N=1M D=10MB" in text
