"""Scores in longer windows than the trained one: which text, and what stands where there is no score."""

from types import SimpleNamespace

import numpy as np
import pytest
from harness.suites.scoring import LONG_DOCUMENTS, at_lengths, report_lengths

from harness.bench.score import Score
from harness.errors import HarnessError


def bench(heldout, score=None):
    """A workbench that notes what it is asked to score, and the rows it is left."""
    asked, rows = [], []

    def scored(model, texts, window, further):
        asked.append((list(texts), window, further))
        if score is None:
            raise HarnessError("too long")
        return score

    def row(metric, value, unit, better, **fields):
        rows.append({"metric": metric, "value": value, **fields})

    def fail(metric, reason, **fields):
        rows.append({"metric": metric, "value": None, "reason": reason, **fields})

    return SimpleNamespace(documents=SimpleNamespace(heldout=heldout), score=scored, row=row, fail=fail, asked=asked,
                           rows=rows, breakdown=lambda score, texts: [])


def some_score():
    return Score(np.full(8, 3.0), np.ones(8), np.arange(8) % 4, np.repeat([0, 1], 4), 4)


def test_every_window_reads_the_same_documents_cut_to_one_length():
    texts = [b"x" * size for size in (5, 16, 40, 15, 17)] + [b"y" * 99] * LONG_DOCUMENTS
    one = bench(texts, some_score())
    assert [window for window, _ in at_lengths(one, None, (4, 8, 16))] == [4, 8, 16]
    assert {len(text) for given, _, _ in one.asked for text in given} == {16}
    assert [len(given) for given, _, _ in one.asked] == [LONG_DOCUMENTS] * 3
    assert all(further for _, _, further in one.asked)      # sealed together with the score


@pytest.mark.parametrize(("heldout", "reason"), [
    ([b"x" * 99] * 3, "too long"), ([b"x" * 99, b"short"], "fewer than 2 held-out documents have 16 bytes")])
def test_what_fails_is_a_row_and_stops_nothing(heldout, reason):
    one = bench(heldout)
    report_lengths(one, list(at_lengths(one, None, (4, 16))), {"bytes_seen": 7})
    assert [(row["seq_len"], row["status"], row["reason"]) for row in one.rows] == [
        (4, "unsupported", reason), (16, "unsupported", reason)]


def test_a_row_for_every_window():
    one = bench([b"x" * 99] * 3, some_score())
    report_lengths(one, list(at_lengths(one, None, (4, 16))), {"bytes_seen": 7})
    assert [(row["seq_len"], row["value"], row["bytes_seen"]) for row in one.rows] == [(4, 3.0, 7), (16, 3.0, 7)]


def test_without_windows_nothing_is_scored():
    one = bench([b"x" * 99])
    report_lengths(one, list(at_lengths(one, None, ())), {})
    assert not one.rows and not one.asked
