"""What is printed: the number with its interval, unit and limit, every failure, plain text off a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.evidence.tables.summary import format_value, summary_table
from harness.store import Row, to_frame


def row(plugin: str, metric: str, value: float | None, unit: str = "", **fields) -> Row:
    common = {"plugin": plugin, "metric": metric, "value": value, "unit": unit, "better": "lower", "seq_len": 64}
    return Row(**(common | fields))


def printed(rows, primary, width: int = 100, **options) -> str:
    stream = io.StringIO()
    options.setdefault("unicode", True)
    Console(file=stream, width=width).print(summary_table(rows, primary, **options))
    return stream.getvalue()


def line(text: str, start: str) -> str:
    return next(found for found in text.splitlines() if found.strip().startswith(start))


@pytest.mark.parametrize(("arguments", "expected"), [
    ((0.0123, "s"), "12.3 ms"), ((4.1e-6, "s"), "4.10 µs"), ((5000.0, "s"), "5000 s"), ((0.0, "s"), "0 s"),
    ((4_100_000, "B"), "4.10 MB"), ((49_152, "B"), "49.2 kB"), ((512, "B"), "512 B"), ((3e9, "B"), "3 GB"),
    ((12_345.0, "tokens/s"), "12.3 k"), ((800.4, "tokens/s"), "800"), ((1890.0, "tokens"), "1890"),
    ((301_234,), "301 k"),
    ((0.8512, "x baseline"), "0.851×"), ((0.006,), "0.006"), ((3e-5,), "3e-05"), ((0.00012345,), "0.000123"),
    ((1.6931, "bits/byte", 1.6811, 1.7051), "1.693 ± 0.012"), ((1.6931, "", 1.6431, 1.7431), "1.69 ± 0.05"),
    ((0.01235, "s", 0.01215, 0.01255), "12.35 ± 0.20 ms"), ((12_345.0, "tokens/s", 11_945.0, 12_745.0), "12.3 ± 0.4 k"),
    ((1.0, "x", 0.5, 1.5), "1.0 ± 0.5×"), ((5.0, "", 2.0, None), "5"), ((5.0, "", 5.0, 5.0), "5"),
    ((float("inf"),), "inf"),
    ((-2.5, "", -2.6, -2.4), "-2.50 ± 0.10"), ((1.0, "", 0.99999, 1.00001), "1.0000 ± 1e-05"),
    ((1e100, "bits/byte"), "1e+85 P"), ((1e30, "s", 9e29, 1.1e30), "1e+30 ± 1e+29 s"), ((1e-30, ""), "1e-30"),
    ((3e-14, "", 2e-14, 4e-14), "3e-14 ± 1e-14"),
    ((0.91, "", 0.57, 0.98), "0.91 +0.07 -0.34"), ((2.82, "x", 2.15, 3.15), "2.8 +0.3 -0.7×"),
    ((0.012, "s", 0.011, 0.0126), "12.0 +0.6 -1.0 ms"), ((2.0, "", 2.1, 2.4), "2.00 +0.40 +0.10"),
    ((1e30, "s", 1e29, 1.1e30), "1e+30 +1e+29 -9e+29 s"), ((1.0, "", 0.985, 1 - 2**-53), "1.000 +0 -0.015"),
])
def test_numbers_carry_their_unit_and_no_more_digits_than_they_deserve(arguments, expected):
    assert format_value(*arguments) == expected


def test_a_table_shows_value_interval_limit_and_the_best():
    common = {"limit": 1.402, "limit_kind": "entropy", "params": 300_000, "corpus": "markov"}
    rows = [row(name, "bits_per_byte", value, "bits/byte", ci_low=value - 0.01, ci_high=value + 0.01, **common)
            for name, value in (("ours", 1.8), ("theirs", 1.9))]
    text = printed(rows, ("bits_per_byte",), title="perplexity")
    assert "perplexity  T=64 · markov" in text
    assert line(text, "plugin").split() == ["plugin", "params", "bits/byte"]
    assert line(text, "ours").split() == ["ours", "300", "k", "1.800", "±", "0.010*"]
    assert line(text, "theirs").split() == ["theirs", "300", "k", "1.900", "±", "0.010"]
    assert text.count("≥ 1.40") == 2
    assert "≥ entropy limit: bits/byte" in text


def test_every_failure_is_in_its_place_with_its_reason_below():
    rows = [row("a", "loss", 1.0), row("b", "", None, status="oom", reason="needed more than 2 GB"),
            row("c", "loss", 0.2, status="audit_failed", reason="leak at position 12"),
            row("d", "loss", 1.1, seed=0),
            row("d", "loss", None, seed=1, status="timeout", reason="took longer than 9 s")]
    text = printed(rows, ("loss",))
    assert line(text, "b").split() == ["b", "oom", "[1]"]
    assert line(text, "c").split() == ["c", "audit_failed", "(0.200)", "[2]"]
    assert line(text, "d").split() == ["d", "1.10", "timeout", "1", "of", "2", "[3]"]
    for number, reason in enumerate(("b: oom: needed more than 2 GB", "c: audit_failed: leak at position 12",
                                     "d: timeout: took longer than 9 s"), 1):
        assert f"[{number}] {reason}" in text


def test_a_run_in_which_everything_failed_still_says_so():
    text = printed([row("a", "", None, status="error", reason="it raised")], ("loss",))
    assert line(text, "a").split() == ["a", "error", "[1]"]
    assert "a: error: it raised" in text
    assert printed([], ("loss",)).strip()


def test_lengths_become_columns_and_the_rest_a_table_of_its_own():
    rows = [row(name, "step_time_s", t * 1e-5, "s", seq_len=t) for name in "ab" for t in (64, 128, 256)]
    rows += [row(name, "exponent", 1.0, seq_len=256) for name in "ab"]
    rows[5] = row("b", "", None, seq_len=256, status="oom")
    text = printed(rows, ("step_time_s", "exponent"))
    assert line(text, "64").split() == ["64", "128", "256"]
    assert "step time\n" in "\n".join(found.rstrip() for found in text.splitlines())
    a, b = (line(text[text.index("step time"):], name).split() for name in ("a ", "b "))
    assert a == ["a", "640", "µs", "1.28", "ms", "2.56", "ms"]
    assert b == ["b", "640", "µs", "1.28", "ms", "oom"]
    assert line(text, "plugin").split() == ["plugin", "params", "exponent"]


def test_phases_are_named_only_where_they_differ():
    rows = [row("a", "tokens_per_s", 1e4, "tokens/s", phase=phase) for phase in ("train", "decode")]
    text = printed([*rows, row("a", "latency_s", 0.1, "s", phase="decode")], ("tokens_per_s", "latency_s"))
    assert line(text, "plugin").split() == ["plugin", "params", "tokens/s", "train", "tokens/s", "decode", "latency"]


def test_cases_and_options_get_rows_of_their_own():
    rows = [row("a", "time_s:loop", 0.5, "s"), row("a", "time_s:fused", 0.25, "s"),
            row("a", "overhead", 1.0, "x", options="k=1")]
    words = [found.split() for found in printed(rows, ("time_s", "overhead")).splitlines()]
    assert ["a", "500", "ms", "–"] in words
    assert ["loop"] in words
    assert ["fused"] in words
    assert ["a:k=1", "–", "1×"] in words


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_exceeds_the_terminal_and_no_value_is_cut(width):
    names = [f"metric_number_{i}" for i in range(6)]
    rows = [row(plugin, name, 1.5, ci_low=1.4, ci_high=1.6) for plugin in ("alpha", "beta") for name in names]
    text = printed(rows, names, width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("1.50 ± 0.10") == 12


def test_a_reason_beside_a_value_is_a_footnote_said_once():
    rows = [row("a", "time_ratio", 1.01, "x base", seq_len=t, limit=1.02, reason="within the noise") for t in (64, 128)]
    text = printed(rows, ("time_ratio",))
    assert text.count("within the noise") == 1
    assert text.count("[1]") == 3
    assert text.count("limit 1.02×") == 2


def test_off_a_terminal_the_text_is_plain_and_ascii_where_asked():
    rows = [row(name, "time_s", value, "s", ci_low=value * 0.99, ci_high=value * 1.01, limit=1e-6, limit_kind="compute")
            for name, value in (("a", 4e-6), ("b", 5e-6))]
    assert "\x1b" not in printed(rows, ("time_s",))
    plain = printed([*rows, row("c", "loss", 1.0)], ("time_s", "loss"), unicode=False)
    assert plain.isascii()
    assert "4.00 +- 0.04 us*" in plain
    assert ">= 1 us" in plain


def test_a_table_of_pandas_prints_the_same():
    rows = [row("a", "loss", 1.0, ci_low=0.9, ci_high=1.1, params=10_000),
            row("b", "loss", None, status="oom", reason="r")]
    assert printed(to_frame(rows), ("loss",)) == printed(rows, ("loss",))


ARCHITECTURES = ("llama", "mamba2")


def of_transformers(metrics, options="arch={}", **fields):
    return [row("transformers", name, 1.0 + at, options=options.format(arch), **fields)
            for at, arch in enumerate(ARCHITECTURES) for name in metrics]


def test_a_label_is_whole_beside_its_numbers_where_there_is_room():
    text = printed(of_transformers(["loss"]), ("loss",), 80)
    assert [line(text, f"transformers:arch={arch}").split()[1:] for arch in ARCHITECTURES] == [["1"], ["2"]]


@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("width", [80, 120, 200])
def test_what_tells_variants_apart_is_never_cut_off_from_their_numbers(count, width):
    """As wide as a table becomes, until only records are left: the line of the numbers, or the last before them."""
    metrics = [f"metric_number_{number}" for number in range(count)]
    text = printed(of_transformers(metrics), metrics, width)
    for arch, number in zip(ARCHITECTURES, ("1", "2"), strict=True):
        lines = [found.strip() for found in text.splitlines()]
        at = next(i for i, found in enumerate(lines) if f"arch={arch}" in found)
        beside = lines[at].split()[1:] or lines[at + 1].split()[-1:]
        across = "plugin" not in text and ":" not in lines[at + 1]         # plugins as headings of the columns
        assert across or set(beside) == {number}
    assert max(map(len, text.splitlines())) <= width


def test_in_a_narrow_table_variants_are_first_called_by_what_they_do_not_share():
    rows = of_transformers(["first_metric", "other_metric"], "arch={}:tied=false")
    rows += [row("gru", name, 3.0) for name in ("first_metric", "other_metric")]
    text = printed(rows, ("first_metric", "other_metric"), 60)
    lines = [found.split() for found in text.splitlines()]
    for arch, number in zip(ARCHITECTURES, ("1", "2"), strict=True):
        at = lines.index([f"arch={arch}", number, number])
        assert lines[at + 1:at + 3] == [["of", "transformers"], ["tied=false"]]
    assert ["gru", "3", "3"] in lines


def test_over_lengths_variants_are_told_apart_beside_their_numbers():
    rows = [one for length in (64, 128, 256, 512) for one in of_transformers(["time_s"], seq_len=length, unit="s")]
    for width in (80, 50):
        text = printed(rows, ("time_s",), width)
        assert all(len(found.split()) > 3 for found in text.splitlines() if "arch=" in found)
