"""Held-out text that also stands in training text is found however either is cut."""

import random

import pytest

from harness.data.files import file
from harness.data.overlap import LEAST_LINE, STRETCH, overlap

WORDS = [b"zeta", b"eta", b"theta", b"iota", b"kappa", b"lambda", b"mu", b"nu", b"xi", b"pi", b"rho", b"tau"]


def words(seed: int, count: int, end: bytes = b" ") -> bytes:
    draw = random.Random(seed)
    return end.join(draw.choice(WORDS) for _ in range(count))


def by_substring(train: bytes, heldout: bytes) -> float:
    """The share of a text's stretches that another has, by Python's own search."""
    stretches = [heldout[i:i + STRETCH] for i in range(0, len(heldout) - STRETCH + 1, STRETCH)]
    return sum(stretch in train for stretch in stretches) / len(stretches)


@pytest.mark.parametrize("end", [b"\n", b" "])
def test_a_text_beside_itself_is_all_of_it_with_short_lines_or_none(tmp_path, end):
    path = tmp_path / "b.txt"
    path.write_bytes(words(1, 4000, end))
    assert file(str(path), heldout=str(path)).overlap == 1
    assert file(str(path)).overlap == 0


def test_stretches_are_those_that_a_search_finds():
    text, other = words(1, 30_000), words(2, 3000)
    assert len(text) > 2**17                                # more than one slice
    for heldout in (other, text[-7777:-1111], other[:3000] + text[70_001:73_000] + other[3000:], text[:STRETCH + 9]):
        assert overlap([text], [heldout]) == pytest.approx(by_substring(text, heldout), abs=1e-12)
    assert 0.3 < overlap([text], [other[:3000] + text[70_001:73_000]]) < 0.6


def test_line_ends_and_indentation_hide_nothing():
    text = words(1, 2000, b"\n")
    assert overlap([text.replace(b"\n", b"\r\n  ")], [text]) == 1
    assert overlap([text[:len(text) // 2], text[len(text) // 2:]], [text]) > 0.95


def test_shuffled_lines_and_repeated_short_records_are_found():
    lines = [words(seed, 9) for seed in range(200)]
    assert min(map(len, lines)) >= LEAST_LINE
    assert overlap([b"\n".join(lines)], [b"\n".join(reversed(lines[:100]))]) == 1
    assert overlap([b"yes", b"no", b"no"], [b"no", b"maybe", b"no"]) == pytest.approx(4 / 9)
    assert overlap([b"no is in here"], [b"no"]) == 0
    assert overlap([b"x"], [b" "]) == overlap([], [b"x"]) == 0
