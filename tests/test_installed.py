"""The corpora out of installed source: recorded digests, enough held-out documents, no text on both sides, folds."""

import importlib.util
import platform
from importlib.metadata import version

import pytest

from harness.data import installed
from harness.data.builtin import harness_corpora
from harness.data.corpora import load_documents
from harness.data.documents import Documents
from harness.data.duplicates import BLANK_LINES, SHINGLE
from harness.data.installed import LICENCE, PACKAGES, WAYS, docstrings, stdlib
from harness.data.words import words
from harness.errors import FileError, PluginError, UsageError
from harness.selector import parse_selector

DOCSTRINGS = {                          # versions of PACKAGES -> SHA-256
    "networkx 3.6.1, numpy 2.4.6, pandas 3.1.1, sympy 1.14.0, torch 2.13.0":
        "c52eded8419bda95f9b2e93ed010d7ad257910895f6a17794190db9a90f6c76c",
}
STDLIB = {                              # version of Python -> SHA-256
    "3.11.7": "3b9847e042dc48ce2bfbe69ead99022d976fec60f237fa773c54bf5fb3d84101",
}
SPECS = {spec.name: spec for spec in harness_corpora()}


@pytest.fixture(scope="module", params=["docstrings", "stdlib"])
def corpus(request):
    return {"docstrings": docstrings, "stdlib": stdlib}[request.param]()


def test_the_text_is_the_recorded_one(corpus):
    if corpus.name == "stdlib":
        key, table = platform.python_version(), STDLIB
    else:
        key, table = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in PACKAGES), DOCSTRINGS
    if key not in table:
        pytest.skip(f"no digest of {corpus.name} is recorded for {key}")
    assert corpus.sha256 == table[key]


def test_200_documents_are_held_out_and_megabytes_are_left_to_train_on(corpus):
    train, heldout = (sum(map(len, part)) for part in (corpus.train, corpus.heldout))
    least = 200 if platform.python_version().startswith("3.11.") or corpus.name == "docstrings" else 150
    assert len(corpus.heldout) >= least and train > 5_000_000
    assert heldout / (train + heldout) == pytest.approx(1 / WAYS[corpus.name], abs=0.04)
    assert 0 < corpus.facts["near_duplicate_share"] < 0.02
    assert 0.01 < corpus.facts["repeated_share"] < 0.1


def test_no_heldout_paragraph_is_trained_on_and_no_licence_is_left(corpus):
    scored = {hashed for text in corpus.heldout[::3] for hashed in paragraphs(text)}
    assert len(scored) > 2000
    assert not scored.intersection(hashed for text in corpus.train[::25] for hashed in paragraphs(text))
    assert not any(phrase in text.lower() for text in corpus.heldout for phrase in LICENCE)


def paragraphs(text):
    found = (words(part).hashes.tobytes() for part in BLANK_LINES.split(text))
    return (one for one in found if len(one) >= 8 * SHINGLE)


def made(found, fold=0):
    return installed._corpus("stdlib", found, fold)


def texts(count):
    return {f"module{n}": b"\n".join(b"line %s of %s" % (name.encode(), b"x" * n) for name in "abcdefgh" * 9)
            for n in range(count)}


def test_folds_part_the_documents_and_a_name_alone_decides():
    found = texts(40)
    folds = [made(found, fold) for fold in range(3)]
    assert [corpus.name for corpus in folds] == ["stdlib", "stdlib:fold=1", "stdlib:fold=2"]
    assert sorted(text for corpus in folds for text in corpus.heldout) == sorted(found.values())
    assert all(not {*corpus.heldout} & {*corpus.train} for corpus in folds)
    fewer = made({name: text for name, text in found.items() if name != "module7"})
    assert {*fewer.heldout} == {*folds[0].heldout} - {found["module7"]}
    assert made(dict(reversed(found.items()))).sha256 == folds[0].sha256


def test_tables_and_scraps_are_left_out():
    table = b"\n".join(b"value(%d, 0x%x)" % (n * n, n * n * n) for n in range(200))
    found = texts(20)
    assert made(found | {"table": table, "scrap": b"a few words"}).sha256 == made(found).sha256


@pytest.mark.parametrize("selector", ["docstrings:fold=10", "stdlib:fold=-1", "pydoc:fold=8"])
def test_a_fold_that_there_is_not_names_those_that_there_are(selector):
    parsed = parse_selector(selector, argument=True)
    with pytest.raises(UsageError, match=f"corpus {parsed.name} has folds 0 to "):
        load_documents(SPECS[parsed.name], parsed)


def test_a_missing_package_is_named_with_the_mend(monkeypatch):
    found = importlib.util.find_spec
    for place in ("harness.specs.find_spec", "harness.data.modules.find_spec"):
        monkeypatch.setattr(place, lambda name: None if name == "pandas" else found(name))
    monkeypatch.setattr(installed, "PACKAGES", ("pandas",))
    with pytest.raises(PluginError, match="docstrings needs pandas: pip install pandas"):
        load_documents(SPECS["docstrings"], parse_selector("docstrings"))
    with pytest.raises(FileError, match="no package pandas here; pip install pandas"):
        docstrings()


def test_a_python_without_its_source_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(installed.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(FileError, match="no source of the standard library"):
        stdlib()


def test_facts_take_no_part_in_the_digest():
    assert Documents("a", (b"x",), (b"y",), facts={"share": 0.5}).sha256 == Documents("a", (b"x",), (b"y",)).sha256
