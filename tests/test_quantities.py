"""Quantities: what people write is read to the unit, everything else is refused with the flag's name."""

import pytest

from harness.errors import UsageError
from harness.quantities import format_count, parse_count, parse_counts, split


@pytest.mark.parametrize(("text", "value"), [
    ("1", 1), ("65536", 65536), ("300k", 300_000), ("1.2MB", 1_200_000), ("64KiB", 65536), ("1e6", 1_000_000),
    (" 2 Mi ", 2 << 20), ("1.5k", 1500), ("1e+3", 1000), (".5k", 500), ("0.3005M", 300_500), ("7b", 7),
])
def test_counts_are_read_to_the_unit(text, value):
    assert parse_count(text, "--params") == value


@pytest.mark.parametrize("text", [
    "", "k", "-1", "0", "0.4", "1.5", "1e15", "1e400", "nan", "inf", "1,000", "12 apples", "1__0", "٣", "0x10", "1e-3",
])
def test_what_is_no_count_is_refused_by_flag_and_text(text):
    with pytest.raises(UsageError) as refused:
        parse_count(text, "--params")
    assert "--params" in str(refused.value)
    assert repr(text) in str(refused.value)
    assert refused.value.exit_code == 2


def test_lists_keep_order_and_drop_repetitions():
    assert parse_counts("1k, 64,1024,1000,", "--seq-len") == (1000, 64, 1024)
    assert parse_counts("", "--seq-len") == ()
    assert split(" a,, b ,") == ["a", "b"]


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (1234, "1.23k"), (1_234_567, "1.23M"), (2e9, "2G")])
def test_counts_are_written_short(value, text):
    assert format_count(value) == text
