"""Listing: on a terminal of any width nothing is broken inside a word, and no word is lost."""

import pytest

from harness.commands.listing import Entry, listing_lines

ENTRIES = [
    Entry(("baseline", "classical", "a transformer of several words that go on and on"),
          ("unavailable: pip install x",)),
    Entry(("phasefield:banks=semantic+context", "phase", "short"), ("option=default  values", "dim=1           int")),
]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 1 << 20])
def test_words_stay_whole_at_every_width(width):
    lines = list(listing_lines(ENTRIES, width))
    given = [word for entry in ENTRIES for text in (*entry.columns, *entry.below) for word in text.split()]
    assert [word for line in lines for word in line.split()] == given
    for line in lines:
        assert len(line) <= width or len(line.split()) == 1


def test_columns_stand_below_each_other_where_they_fit():
    lines = list(listing_lines(ENTRIES, 100))
    assert [line.find(text) for line, text in zip(lines[::2], ("a transformer", "short"), strict=False)] == [46, 46]
    assert next(listing_lines(ENTRIES, 40)) == "baseline"


def test_in_a_pipe_every_entry_is_one_line(command):
    done = command("suites", COLUMNS="")
    assert all(len(line.split()) > 2 for line in done.stdout.splitlines())


@pytest.mark.parametrize("width", ["40", "80"])
@pytest.mark.parametrize("arguments", [
    ("plugins",), ("plugins", "--options"), ("suites",), ("corpora",), ("claims",), ("doctor",)], ids="-".join)
def test_listings_fit_narrow_terminals(command, arguments, width):
    done = command(*arguments, COLUMNS=width)
    wide = command(*arguments, COLUMNS="")
    assert done.returncode == 0
    assert all(len(line) <= int(width) or len(line.split()) <= 2 for line in done.stdout.splitlines())
    if arguments != ("doctor",):                                    # which measures the load of the machine
        assert done.stdout.split() == wide.stdout.split()


def test_options_have_headings(command):
    assert "option=default  values" in command("plugins", "--options").stdout
