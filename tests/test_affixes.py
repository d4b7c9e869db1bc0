"""Words split into prefix, root and suffix, and come together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.affixes import PREFIXES, ROOT, SUFFIXES, split_word


@pytest.mark.parametrize(("word", "parts"), [
    ("unhappiness", ("un", "happi", "ness")), ("Rewriting", ("Re", "writ", "ing")), ("walked", ("", "walk", "ed")),
    ("interactions", ("inter", "act", "ions")), ("cat", ("", "cat", "")), ("bed", ("", "bed", "")),
    ("string", ("", "string", "")), ("WALKS", ("", "WALK", "S")),
])
def test_known_words(word, parts):
    assert split_word(word) == parts


@given(st.text("abcdeilnrstuyABE", min_size=1, max_size=16))
def test_the_parts_are_the_word_and_affixes_are_of_the_inventory(word):
    prefix, root, suffix = split_word(word)
    assert prefix + root + suffix == word
    assert prefix.lower() in {"", *PREFIXES}
    assert suffix.lower() in {"", *SUFFIXES}
    assert len(root) >= ROOT or (prefix, suffix) == ("", "")


def test_the_inventory_has_no_repetition():
    assert len(set(PREFIXES)) == len(PREFIXES)
    assert len(set(SUFFIXES)) == len(SUFFIXES)
