"""Rows find their places, seeds become means, and only what is distinguishable is best."""

from __future__ import annotations

import pytest

from harness.evidence.tables.formatter import Formatter
from harness.evidence.tables.pivot import Pivot, as_rows
from harness.store import Row, to_frame


def row(plugin: str, value: float | None, metric: str = "loss", half: float | None = 0.1, **fields) -> Row:
    interval = {} if value is None or half is None else {"ci_low": value - half, "ci_high": value + half}
    common = {"plugin": plugin, "metric": metric, "value": value, "better": "lower", "seq_len": 64}
    return Row(**(common | interval | fields))


def best(rows, length=None) -> set[str]:
    return {key[0] for key in Pivot(rows, ("loss",)).best(length, ("loss", ""))}


def test_best_needs_an_interval_apart_from_every_other():
    assert best([row("a", 1.0), row("b", 1.3), row("c", 2.0)]) == {"a"}
    assert best([row("a", 1.0), row("b", 1.15), row("c", 2.0)]) == set()
    assert best([row("a", 1.0, better="higher"), row("b", 1.3, better="higher")]) == {"b"}
    assert best([row("a", 1.0, better="higher"), row("b", 1.15, better="higher")]) == set()


def test_best_is_not_said_without_intervals_rivals_or_direction():
    assert best([row("a", 1.0, half=None), row("b", 2.0)]) == set()
    assert best([row("a", 1.0), row("b", 2.0, half=None)]) == set()
    assert best([row("a", 1.0), row("b", 2.0), row("c", 3.0, half=None)]) == set()
    assert best([row("a", 1.0)]) == set()
    assert best([row("a", 1.0, better=""), row("b", 2.0, better="")]) == set()
    assert best([row("a", 1.0, unit="x baseline"), row("b", 2.0, unit="x baseline")]) == set()


def test_a_failed_row_is_never_best_even_with_a_value():
    leak = row("leaky", 0.1, status="audit_failed", reason="position 3")
    assert best([leak, row("a", 1.0), row("b", 2.0)]) == {"a"}
    assert best([leak, row("a", 1.0)]) == set()


def test_best_is_found_within_a_length_a_corpus_and_a_case():
    rows = [row("a", 1.0), row("b", 2.0), row("a", 2.0, seq_len=128), row("b", 1.0, seq_len=128)]
    assert (best(rows, 64), best(rows, 128)) == ({"a"}, {"b"})
    assert best([row("a", 1.0, corpus="x"), row("b", 2.0, corpus="y")]) == set()
    assert best([row("a", 1.0, "loss:floor"), row("a", 2.0, "loss:loop")]) == set()


def test_seeds_become_their_mean_with_a_t_interval():
    rows = [row("a", value, seed=seed) for seed, value in enumerate((1.0, 2.0, 3.0))]
    pivot = Pivot(rows, ("loss",))
    estimate = pivot.at(pivot.keys[0], 64, ("loss", "")).estimate
    assert (estimate.value, estimate.n) == (2.0, 3)
    assert estimate.high - estimate.value == pytest.approx(4.30265 / 3**0.5, rel=1e-4)


def test_of_a_seed_that_was_measured_again_the_newest_counts():
    """A timing group that got a new member measures the baseline anew: two values of one seed are no two seeds."""
    rows = [row("a", 1.0, cell_id="c1", seed=0, started_at="2030-01-01"),
            row("a", 3.0, cell_id="c2", seed=0, started_at="2030-01-02"), row("a", 5.0, cell_id="c3", seed=1)]
    pivot = Pivot(rows[:2], ("loss",))
    place = pivot.at(pivot.keys[0], 64, ("loss", ""))
    assert (place.estimate.value, place.estimate.low, place.repeated) == (3.0, 2.9, True)
    assert Formatter(pivot).parts(place, False)[0].text == "3.00 ± 0.10"
    seeds = Pivot(rows, ("loss",))
    assert seeds.at(seeds.keys[0], 64, ("loss", "")).estimate.value == 4.0
    derived = [row("a", value, cell_id=cell) for value, cell in ((1.0, "c1"), (3.0, "c2"))]
    assert Pivot(derived, ("loss",)).at(("a", ""), 64, ("loss", "")).estimate.value == 3.0


def test_a_cell_that_failed_as_a_whole_stands_wherever_a_number_is_missing():
    rows = [row("a", 1.0), row("a", None, "", seq_len=128, status="oom"), row("a", 5.0, "bytes", seq_len=128)]
    pivot = Pivot(rows, ("loss", "bytes"))
    key, = pivot.keys
    assert [r.status for r in pivot.at(key, 128, ("loss", "")).rows] == ["oom"]
    assert [r.status for r in pivot.at(key, 128, ("bytes", "")).rows] == ["ok"]
    assert [r.status for r in pivot.at(key, 64, ("loss", "")).rows] == ["ok"]


def test_failures_of_other_metrics_are_shown_and_the_rest_is_not():
    rows = [row("a", 1.0), row("a", 9.9, "detail"), row("a", None, "split law", status="audit_failed")]
    assert Pivot(rows, ("loss",)).columns == [("loss", ""), ("split law", "")]


def test_columns_keep_the_declared_order_and_know_which_are_swept():
    rows = [row("a", 1.0, metric, seq_len=length, phase=phase)
            for length in (64, 128) for metric in ("memory", "loss") for phase in ("train", "decode")]
    rows.append(row("a", 2.0, "exponent", seq_len=128))
    rows.append(row("b", 2.0, "exponent", seq_len=64))
    pivot = Pivot(rows, ("loss", "exponent", "memory"))
    assert [name for name, _ in pivot.columns] == ["loss", "loss", "exponent", "memory", "memory"]
    assert pivot.swept == set(pivot.columns) - {("exponent", "")}
    assert pivot.lengths == [64, 128]


def test_context_is_in_the_title_where_constant_and_in_the_key_where_not():
    pivot = Pivot([row("a", 1.0, corpus="x", device="cpu"), row("a", 2.0, corpus="y", device="cpu")], ("loss",))
    assert pivot.title == ["T=64", "cpu"]
    assert [key[2:] for key in pivot.keys] == [("x",), ("y",)]


def test_rows_survive_the_table_and_back():
    rows = [row("a", 1.0, params=300_000), row("b", None, status="oom", reason="too big", half=None)]
    assert as_rows(to_frame(rows)) == rows
