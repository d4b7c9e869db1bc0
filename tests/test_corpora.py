"""Corpora: what is listed can be loaded by its selector, the digest covers the split, pydoc holds out unseen text."""

import subprocess
import sys
from pydoc_data.topics import topics

import pytest

from harness.data.builtin import harness_corpora, harness_tokenizers
from harness.data.corpora import load_documents, pydoc
from harness.data.documents import Documents
from harness.errors import FileError, PluginError, UsageError
from harness.selector import parse_selector
from harness.specs import CorpusSpec, resolve

SPECS = {spec.name: spec for spec in harness_corpora()}


def load(text):
    selector = parse_selector(text, argument=True)
    return load_documents(SPECS[selector.name], selector)


def test_listing_imports_nothing_heavy():
    heavy = "torch", "numpy", "datasets", "tiktoken", "pandas"
    code = ("import sys; from harness.data.builtin import *; harness_corpora(), harness_tokenizers(); "
            f"print([m for m in {heavy} if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_text_is_loaded_without_torch():
    code = ("import sys, harness.data.files, harness.data.hub, harness.data.sources, harness.data.tokenizers; "
            "print('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_listed_target_exists():
    for spec in [*harness_corpora(), *harness_tokenizers()]:
        assert callable(resolve(spec.target)), spec.name


def test_options_of_a_selector_reach_the_corpus():
    documents = load("markov:order=2:documents=3:seed=7")
    assert documents.oracle.order == 2 and len(documents.train) == 3
    assert documents.sha256 == load("markov:documents=3:order=2:seed=7").sha256 != load("markov:documents=3").sha256


@pytest.mark.parametrize(("selector", "message"), [
    ("markov:ordr=2", "did you mean 'order'"), ("markov:order=two", "must be an integer"),
    ("pydoc:x", "takes no argument"), ("file", "write file:PATH"), ("hf:wikitext", "did you mean 'wikitext2'"),
    ("pydoc:argument=x", "unknown option"),
])
def test_a_wrong_selector_names_the_mend(selector, message):
    if selector.startswith("hf:"):
        pytest.importorskip("datasets", reason="datasets is absent: no hf corpora")
    with pytest.raises(UsageError, match=message):
        load(selector)


def test_a_missing_dependency_names_the_extra():
    spec = CorpusSpec("far", "nowhere:at_all", "", requires=("no_such_module",), extra="hf")
    with pytest.raises(PluginError, match=r"qllm-harness\[hf\]"):
        load_documents(spec, parse_selector("far"))


@pytest.mark.parametrize("part", ["train", "heldout"])
def test_a_corpus_without_text_is_refused_with_its_size(part, monkeypatch):
    texts = {"train": (b"text",), "heldout": (b"text",)} | {part: (b"",)}
    monkeypatch.setattr("harness.data.corpora.pydoc", lambda argument="": Documents("empty", **texts))
    with pytest.raises(FileError, match="0 bytes"):
        load("pydoc")


def test_the_digest_covers_bytes_boundaries_and_split():
    variants = [
        Documents("a", (b"ab", b"c"), (b"d",)), Documents("a", (b"a", b"bc"), (b"d",)),
        Documents("a", (b"abc",), (b"d",)), Documents("a", (b"ab",), (b"c", b"d")),
        Documents("a", (b"ab", b"x"), (b"d",)),
    ]
    assert len({documents.sha256 for documents in variants}) == len(variants)
    assert Documents("b", (b"ab", b"c"), (b"d",)).sha256 == variants[0].sha256


def test_description_counts_and_names_the_floor():
    facts = load("markov:documents=2").describe()
    assert (facts["train_documents"], facts["train_bytes"], facts["heldout_documents"]) == (2, 2 * 4096, 48)
    assert facts["entropy_bits_per_byte"] == 2.71875 and pydoc().describe()["entropy_bits_per_byte"] is None


def test_pydoc_holds_out_about_a_tenth_in_at_least_nine_documents():
    documents = pydoc()
    held = sum(map(len, documents.heldout))
    share = held / (held + sum(map(len, documents.train)))
    assert 0.07 < share < 0.14 and len(documents.heldout) >= 9
    assert documents.sha256 == pydoc().sha256


def test_pydoc_trains_on_no_long_passage_that_is_scored():
    documents = pydoc()
    n = 120
    seen = {text[i:i + n] for text in (b" ".join(d.split()) for d in documents.train) for i in range(len(text) - n + 1)}
    passages = [
        text[i:i + n] for text in (b" ".join(d.split()) for d in documents.heldout)
        for i in range(0, len(text) - n + 1, n)]
    assert sum(passage in seen for passage in passages) <= 0.02 * len(passages)


def test_folds_of_pydoc_hold_out_every_topic_once_and_the_default_is_one_of_them():
    folds = [load(f"pydoc:fold={fold}") for fold in range(8)]
    assert sorted(text for documents in folds for text in documents.heldout) == sorted(
        text.encode() for text in topics.values())
    assert [documents.name for documents in folds] == [f"pydoc:fold={fold}" for fold in range(8)]
    assert sum(documents.sha256 == pydoc().sha256 for documents in folds) == 1
