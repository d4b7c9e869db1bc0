"""Files as corpora: cutting loses nothing, the split is a tenth, whatever is wrong with a file is one clear line."""

import bz2
import gzip
import json
import lzma
import os
from pathlib import Path

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.files import file, split_text
from harness.errors import FileError, UsageError

WIKITEXT = Path(__file__).parents[1] / "../shared/data/wikitext-2"


@given(st.lists(st.sampled_from([b"\n", b"\n\n", b"word ", b"\xff\x00", b" = A = \n", b" = = B = = \n"]), max_size=300))
def test_cutting_a_text_loses_and_adds_nothing(parts):
    text = b"".join(parts)
    documents = split_text(text)
    assert b"".join(documents) == text and all(documents)


def test_paragraphs_are_kept_whole_where_they_are_short():
    paragraph = b"some words\nand more of them\n\n"
    documents = split_text(paragraph * 8000)
    assert all(len(document) % len(paragraph) == 0 for document in documents)
    assert all(4096 <= len(document) < 2 * 4096 for document in documents)


@pytest.mark.parametrize("text", [b"x" * 100_000, b"short line\n" * 9000, b"line\r\n\r\n" * 9000])
def test_a_text_without_paragraphs_is_cut_into_documents_of_bounded_size(text):
    documents = split_text(text)
    assert len(documents) >= 5 and all(len(document) < 6 * 4096 for document in documents)


def test_a_short_text_still_gives_several_documents():
    assert len(split_text(b"a line of text\n" * 60)) >= 20


def test_articles_start_at_first_level_headings():
    articles = [b" = Title %d = \n\n text \n\n = = Section = = \n\n more \n\n" % i for i in range(12)]
    assert split_text(b" \n" + b"".join(articles)) == [b" \n" + articles[0], *articles[1:]]


def test_every_tenth_document_is_held_out(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"document {i}"}) + "\n" for i in range(25)))
    documents = file(str(path))
    assert documents.name == "texts"
    assert documents.heldout == (b"document 9", b"document 19")
    assert set(documents.train) == {f"document {i}".encode() for i in range(25)} - set(documents.heldout)


def test_the_last_of_a_few_documents_is_held_out(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text('{"text": "a"}\n\n{"text": "b"}\n')
    assert (file(str(path)).train, file(str(path)).heldout) == ((b"a",), (b"b",))


def test_heldout_names_another_file_and_name_names_the_corpus(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"to train on, \xff not UTF-8")
    (tmp_path / "b.txt").write_bytes(b"to score")
    documents = file(str(tmp_path / "a.txt"), heldout=str(tmp_path / "b.txt"), name="mine")
    assert b"".join(documents.train) == b"to train on, \xff not UTF-8"
    assert b"".join(documents.heldout) == b"to score" and documents.name == "mine"


@pytest.mark.parametrize(("present", "train", "scored"), [
    ("train valid test", "train", "test"), ("valid test", "valid", "test"), ("train valid", "train", "valid")])
def test_a_folder_is_read_by_its_splits(tmp_path, present, train, scored):
    for split in present.split():
        (tmp_path / f"{split}.txt").write_text(split)
    documents = file(str(tmp_path))
    assert (b"".join(documents.train), b"".join(documents.heldout)) == (train.encode(), scored.encode())
    assert documents.name == tmp_path.name


def test_a_record_field_is_chosen_by_name(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"story": "é", "text": "no"}\n{"story": "b", "text": "no"}\n')
    assert file(str(path), field="story").train == ("é".encode(),)


@pytest.mark.parametrize(("name", "content", "options", "error", "message"), [
    ("a.txt", None, {}, FileError, "there is no text file"),
    ("a.txt", b"", {}, FileError, r"no text \(0 bytes\)"),
    ("a.txt", b" \n\n", {}, FileError, r"no text \(3 bytes\)"),
    ("a.txt", b"x", {}, FileError, "one document of 1 bytes"),
    ("a.txt", b"words", {"field": "text"}, UsageError, "JSON lines"),
    ("a.jsonl", b'{"story": "s", "n": 1}\n', {}, FileError, "fields with text: story; choose with field="),
    ("a.jsonl", b'{"text": "s"}\n{"text"\n', {}, FileError, "line 2 is not JSON"),
    ("a.jsonl", b'["s"]\n', {}, FileError, "is a list, not a record"),
    ("a.jsonl", b'{"text": ""}\n', {}, FileError, "no text"),
    ("a.jsonl", b'\xff\n', {}, FileError, "line 1 is not JSON"),
])
def test_a_bad_file_is_one_clear_line(tmp_path, name, content, options, error, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        file(str(tmp_path / name), **options)
    assert "\n" not in str(caught.value)


RECORDS = "".join(json.dumps({"text": f"document {i}", "n": i}) + "\n" for i in range(12)).encode()


@pytest.mark.parametrize(("name", "packed"), [
    ("a.JSONL", RECORDS), ("a.jsonl", b"\xef\xbb\xbf" + RECORDS), ("a.jsonl.gz", gzip.compress(RECORDS)),
    ("a.jsonl.xz", lzma.compress(RECORDS)), ("a.NDJSON.bz2", bz2.compress(RECORDS)),
])
def test_records_are_read_however_they_are_kept(tmp_path, name, packed):
    (tmp_path / name).write_bytes(packed)
    documents = file(str(tmp_path / name))
    assert sorted([*documents.train, *documents.heldout]) == sorted(f"document {i}".encode() for i in range(12))


def test_a_column_of_a_parquet_table_is_read_whatever_the_file_is_called(tmp_path):
    pandas.DataFrame({"text": ["one", "", "two"], "title": ["a", "b", "c"], "n": [1, 2, 3]}).to_parquet(tmp_path / "a")
    assert file(str(tmp_path / "a")).train + file(str(tmp_path / "a")).heldout == (b"one", b"two")
    assert file(str(tmp_path / "a"), field="title").train == (b"a", b"b")
    with pytest.raises(FileError, match="no text column 'n'; columns with text: text, title; choose with field="):
        file(str(tmp_path / "a"), field="n")


@pytest.mark.parametrize(("content", "what"), [
    (b"PK\x03\x04 and more", "a zip archive, not text; unpack it first"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (gzip.compress(RECORDS)[:-9], "is corrupt"), (b"PAR1 and no table", "is corrupt"), (b"%PDF-1.7", "a PDF"),
])
def test_what_is_no_text_is_never_scored_as_one(tmp_path, content, what):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(FileError, match=what) as caught:
        file(str(tmp_path / "a.txt"))
    assert "\n" not in str(caught.value)


def test_only_a_regular_file_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(FileError, match="no regular file"):
            file(str(path))


def test_the_overlap_of_training_and_held_out_text_is_its_share_of_bytes(tmp_path):
    lines = [f"a line of text with the number {i:04}, long enough to count" for i in range(400)]
    (tmp_path / "a.txt").write_text("\n".join(lines[:300]))
    (tmp_path / "b.txt").write_text("\n".join(["short", *lines[225:325]]))
    path = str(tmp_path / "a.txt")
    assert file(path, heldout=str(tmp_path / "b.txt")).overlap == pytest.approx(0.75)
    assert file(path, heldout=path).overlap == 1
    assert file(path).overlap == 0


def test_a_bad_folder_says_what_it_needs(tmp_path):
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(FileError, match=r"needs train.txt .* it holds notes.md"):
        file(str(tmp_path))
    with pytest.raises(UsageError, match="splits say"):
        file(str(tmp_path), heldout="x")


def test_wikitext_is_cut_into_its_articles():
    if not WIKITEXT.is_dir():
        pytest.skip(f"no WikiText at {WIKITEXT}")
    documents = file(str(WIKITEXT), name="wikitext2-mini")
    assert b"".join(documents.train) == (WIKITEXT / "valid.txt").read_bytes()
    assert 58 <= len(documents.train) <= 64 and 58 <= len(documents.heldout) <= 64
    assert documents.train[1].startswith(b" = ") and documents.name == "wikitext2-mini"


def test_folds_hold_out_every_document_once_the_last_of_ten_by_default(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"document {i}"}) + "\n" for i in range(25)))
    folds = [file(str(path), fold=fold) for fold in range(10)]
    assert sorted(text for documents in folds for text in documents.heldout) == sorted(
        f"document {i}".encode() for i in range(25))
    assert folds[9].sha256 == file(str(path)).sha256 and folds[3].name == "texts:fold=3"


def test_a_fold_of_what_is_split_already_or_of_too_few_documents_is_refused(tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps({"text": f"document {i}"}) + "\n" for i in range(4)))
    with pytest.raises(UsageError, match="leave fold=1 out"):
        file(str(path), heldout=str(path), fold=1)
    with pytest.raises(UsageError, match="leave fold=1 out"):
        file(str(tmp_path), fold=1)
    with pytest.raises(UsageError, match="has folds 0 to 3; there is no fold=4"):
        file(str(path), fold=4)
