"""The hub's corpora: pinned, limited in bytes, kept for later, and one clear line where there is no network."""

import re
from itertools import count

import pytest

from harness.data import hub
from harness.data.hub import HUB, hf
from harness.errors import FileError, UsageError


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """An endless hub that notes what it was asked for."""
    asked = []

    def rows(text, split, revision):
        asked.append((text.repository, split, revision))
        return (row for i in count() for row in ("", f"{split} story {i}, é.\n"))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(hub, "_rows", rows)
    return asked


def test_every_data_set_is_pinned_to_a_commit():
    assert all(re.fullmatch(r"[0-9a-f]{40}", text.revision) for text in HUB.values())


def test_size_is_reached_with_whole_documents_and_a_tenth_to_score(fake):
    documents = hf("tinystories", size=1000)
    for texts, size in ((documents.train, 1000), (documents.heldout, 100)):
        assert size <= sum(map(len, texts)) < size + len(texts[-1])
        assert all(text.endswith(", é.\n".encode()) for text in texts)
    assert {split for _, split, _ in fake} == {"train", "validation"}


def test_a_data_set_without_a_split_to_score_holds_a_tenth_out(fake):
    documents = hf("fineweb", size=5000)
    assert not set(documents.train) & set(documents.heldout)
    assert 0.08 < len(documents.heldout) / len(documents.train) < 0.14
    assert len(fake) == 1


def test_lines_of_one_text_are_joined_and_cut_again(fake, monkeypatch):
    lines = [line for i in range(12) for line in (f" = Title {i} = \n", "", f" words {i} \n")]
    monkeypatch.setattr(hub, "_rows", lambda text, split, revision: iter(lines))
    assert hf("wikitext2").train == tuple(f" = Title {i} = \n words {i} \n".encode() for i in range(12))


def test_what_was_streamed_is_read_again_without_the_network(fake):
    first = hf("c4", size=500)
    asked = len(fake)
    assert hf("c4", size=500).sha256 == first.sha256 and len(fake) == asked
    assert hf("c4", size=600).sha256 != first.sha256 and len(fake) > asked


@pytest.mark.parametrize("line", [b"", b"{}", b"\xff", b'"cut o', b"[" * 100_000, b'"\\ud800"'])
def test_what_was_kept_and_spoilt_is_one_line_that_names_the_file(fake, tmp_path, line):
    hf("c4", size=500)
    kept = next(tmp_path.rglob("*-train-*.jsonl"))
    kept.write_bytes(kept.read_bytes() + line + b"\n")
    with pytest.raises(FileError, match=r"is corrupt: .* delete it") as caught:
        hf("c4", size=500)
    assert str(kept) in str(caught.value) and "\n" not in str(caught.value)


def test_another_revision_is_asked_for_and_kept_apart(fake):
    hf("c4", size=500)
    hf("c4", size=500, revision="abc")
    assert [revision for *_, revision in fake] == [HUB["c4"].revision] * 2 + ["abc"] * 2


def test_without_a_network_it_says_what_to_do_and_keeps_nothing(fake, monkeypatch, tmp_path):
    def rows(text, split, revision):
        yield "begun"
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub, "_rows", rows)
    with pytest.raises(FileError, match="run once with a network, or use --corpus pydoc") as caught:
        hf("c4")
    assert "\n" not in str(caught.value) and not list(tmp_path.rglob("*.jsonl"))


def test_a_cache_that_cannot_be_written_is_one_clear_line(fake, monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    with pytest.raises(FileError, match="XDG_CACHE_HOME"):
        hf("c4", size=10)


def test_an_empty_split_and_impossible_options_are_refused(fake, monkeypatch):
    with pytest.raises(UsageError, match="did you mean 'tinystories'"):
        hf("tinystorys")
    with pytest.raises(UsageError, match="at least 1 byte"):
        hf("c4", size=0)
    monkeypatch.setattr(hub, "_rows", lambda text, split, revision: iter([""]))
    with pytest.raises(FileError, match="has no text in its split 'train'"):
        hf("c4")
