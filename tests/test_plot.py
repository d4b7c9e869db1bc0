"""The plot puts points where they belong, on both kinds of axes, and says what it cannot show."""

from __future__ import annotations

from itertools import pairwise

import pytest

from harness.evidence.drawing.plot import plot


def marks(text: str, marker: str) -> list[tuple[int, int]]:
    """(line, column) of a marker on the canvas, from left to right."""
    lines = [line for line in text.splitlines() if "│" in line or "┤" in line]
    found = [(i, j) for i, line in enumerate(lines) for j, c in enumerate(line) if c == marker]
    return sorted(found, key=lambda at: at[1])


def test_a_power_law_is_a_straight_line_on_logarithmic_axes_only():
    points = [(2**i, 4.0**i) for i in range(5)]
    logarithmic = marks(plot({"a": points}, width=80, height=21, unicode=True), "●")
    steps = {(a[0] - b[0], b[1] - a[1]) for a, b in pairwise(logarithmic)}
    assert len(logarithmic) == 5
    assert max(dx for _, dx in steps) - min(dx for _, dx in steps) <= 1
    assert max(dy for dy, _ in steps) - min(dy for dy, _ in steps) <= 1
    linear = marks(plot({"a": points}, log=False, width=80, height=21, unicode=True), "●")
    assert linear[1][0] == linear[0][0]
    assert linear[4][0] < linear[3][0] - 10


def test_lines_join_the_markers():
    text = plot({"flat": [(1, 5.0), (100, 5.0)]}, width=60, height=11, unicode=True)
    (row, left), (same, right) = marks(text, "●")
    assert row == same
    joined = next(line for line in text.splitlines() if "●" in line)
    assert all(0x2800 < ord(c) < 0x2900 for c in joined[left + 1:right])


@pytest.mark.parametrize("unicode", [True, False])
def test_twelve_series_have_markers_of_their_own(unicode):
    text = plot({f"s{i:02}": [(1, i + 1.0), (9, i + 1.0)] for i in range(12)}, width=100, height=30, unicode=unicode)
    legend = " ".join(line for line in text.splitlines() if " s0" in line or " s1" in line).split()
    assert len({marker for marker, name in zip(legend[::2], legend[1::2], strict=True)}) == 12


def test_every_length_is_ticked_and_labelled():
    text = plot({"a": [(t, t) for t in (128, 256, 512, 1024)]}, width=80, unicode=True)
    axis, labels = next((line, below) for line, below in pairwise(text.splitlines()) if "└" in line)
    assert labels.split() == ["128", "256", "512", "1024"]
    assert axis.count("┬") == 4
    assert [at[1] for at in marks(text, "●")] == [i for i, c in enumerate(axis) if c == "┬"]


def test_labels_carry_units_and_never_overlap():
    text = plot({"a": [(t, t * 1e-5) for t in range(1000, 1012)]}, width=40, y_unit="s", unicode=True, log=False)
    assert "10 ms" in text
    labels = text.splitlines()[-2].split()
    assert all(label.isdigit() and len(label) == 4 for label in labels)


def test_each_series_has_its_marker_in_the_legend():
    text = plot({"one": [(1, 1), (2, 2)], "two": [(1, 3), (2, 1)]}, title="Title", x_label="tokens", y_label="time",
                unicode=True)
    assert "● one   ▲ two" in text
    assert all(words in text for words in ("Title", "tokens", "time"))
    assert "no value" not in text


def test_a_missing_value_is_marked_on_top_at_its_length():
    text = plot({"a": [(1, 1.0), (2, 2.0), (4, None)], "b": [(1, 2.0), (2, 2.5), (4, 3.0)]}, width=60, unicode=True)
    (row, column), = marks(text, "✗")
    assert row == 0
    assert column == marks(text, "▲")[-1][1]
    assert "✗ no value" in text


def test_values_that_are_not_positive_get_a_linear_axis():
    text = plot({"a": [(0, -1.0), (1, 0.0), (2, 1.0)]}, width=60, height=11, unicode=True)
    rows = [row for row, _ in marks(text, "●")]
    assert rows[0] - rows[1] == rows[1] - rows[2] > 0


@pytest.mark.parametrize("width", [30, 80, 100])
@pytest.mark.parametrize("values", [[(1, 1.0)], [(1, 3.0), (2, 3.0)], [(1, 1e-9), (1e6, 1e12)], [(5, 0.0), (6, 0.0)]])
def test_it_fits_its_width_whatever_the_range(values, width):
    for unicode in (True, False):
        text = plot({"a": values}, width=width, height=8, title="t", unicode=unicode)
        assert max(map(len, text.splitlines())) <= width
        assert unicode or text.isascii()


def test_colour_only_where_asked():
    series = {"a": [(1, 1.0), (2, 2.0)]}
    assert "\x1b" not in plot(series, unicode=True)                         # standard output is captured, no terminal
    coloured = plot(series, unicode=True, colour=True)
    assert "\x1b[36m●\x1b[0m" in coloured
    for code in ("\x1b[36m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == plot(series, unicode=True, colour=False)


def test_nothing_to_plot_is_said():
    with pytest.raises(ValueError, match="nothing to plot"):
        plot({"a": [(1, None)]})
