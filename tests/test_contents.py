"""One name stands for one thing: texts are told by their bytes, plugins by their source, and both are told of."""

from dataclasses import replace

from harness import Cell
from harness.evidence.contents import Contents, Named
from harness.evidence.tables.formatter import Formatter
from harness.evidence.tables.pivot import Pivot
from harness.store import Row

BOOK = Row(suite="speed", plugin="a", metric="loss", value=1.0, better="lower", seq_len=64, corpus="book",
           corpus_sha256="1" * 64, code="v1", started_at="2030-01-01", cell_id="c1")


def keys(*rows):
    return [key[2:] for key in Pivot(rows, ("loss",)).keys]


def test_what_both_sides_know_the_content_of_is_told_by_it():
    assert Named("a", "1") == Named("b", "1")
    assert Named("a", "1") != Named("a", "2")
    assert Named("a", "1") == Named("a")
    assert Named("a", "1") != Named("b")
    assert Named("a", "1", "read") == Named("b", "", "read")


def test_one_text_under_two_names_is_one_place():
    copy = replace(BOOK, plugin="b", corpus="copy", cell_id="c2")
    assert keys(BOOK, copy) == [(), ()]
    assert Pivot([BOOK, copy], ("loss",)).title == ["T=64", "book"]


def test_two_texts_under_one_name_stand_apart_and_are_told_of():
    edited = replace(BOOK, value=3.0, corpus_sha256="2" * 64, cell_id="c2")
    early = replace(BOOK, corpus_sha256="", cell_id="c2", metric="", status="oom")        # of the same cell
    assert keys(BOOK, edited, early) == [("book (text 11111111)",), ("book (text 22222222)",)]
    pivot = Pivot([BOOK, edited], ("loss",))
    assert [place.estimate.value for place in pivot.places.values()] == [1.0, 3.0]
    assert Formatter(pivot).below() == ["book: several texts of this name were measured; each stands apart"]


def test_an_edited_plugin_stands_apart_from_what_it_was():
    edited = replace(BOOK, value=3.0, code="v2", started_at="2030-01-02", cell_id="c2")
    derived = replace(BOOK, metric="slope", started_at="")
    pivot = Pivot([edited, BOOK, derived], ("loss", "slope"))
    assert [key[2:] for key in pivot.keys] == [(), ("older code v1",)]
    assert Formatter(pivot).below() == ["a: its code was edited between measurements; older code stands apart"]


def test_plugins_suites_and_tokenizers_have_source_of_their_own():
    others = [replace(BOOK, code="v2", **{name: "other"}) for name in ("plugin", "options", "suite", "tokenizer")]
    contents = Contents([BOOK, *others])
    assert [contents.edition(row) for row in (BOOK, *others)] == [""] * 5


def test_rows_of_before_the_column_are_one_edition():
    old = [replace(BOOK, code="", started_at=day) for day in ("2029-01-01", "2029-01-02")]
    assert keys(*old) == [()]
    assert keys(*old, BOOK) == [("older code",), ()]


def test_every_source_and_the_weights_make_an_edition_that_is_no_number():
    plain = Cell("speed", "a")
    edited = [replace(plain, **{name: "1"}) for name in ("code", "suite_code", "tokenizer_code", "weights")]
    editions = [cell.edition for cell in (plain, *edited, replace(plain, engine=10**6))]
    assert len(set(editions)) == 6
    assert all(edition[0] == "v" and len(edition) == 16 for edition in editions)
    assert replace(plain, seed=3, text="other").edition == plain.edition
