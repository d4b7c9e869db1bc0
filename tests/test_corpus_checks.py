"""A corpus that another process does not load alike, or whose scored text is trained on, fails in its line."""

import random
from pathlib import Path

import pytest

from harness.conformance.corpus_checks import check_corpus
from harness.data.documents import Documents
from harness.registry import load
from harness.specs import CorpusSpec

REGISTRY = load()
STATEMENT = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_corpus_checks"


def texts(first, last):
    return tuple(f"Document {i} is of no other number, but {i * i} words.\n".encode() for i in range(first, last))


def good(argument=""):
    return Documents("good", texts(0, 30), texts(30, 35))


def empty(argument=""):
    return Documents("empty", texts(0, 30), ())


def text(argument=""):
    return Documents("text", ("not bytes",), texts(30, 35))


def drawn(argument=""):
    return Documents("drawn", (str(random.random()).encode(), *texts(0, 30)), texts(30, 35))


def hashed(argument=""):
    return Documents("hashed", tuple(set(texts(0, 30))), texts(30, 35))


def placed(argument=""):
    return Documents("placed", (str(Path.cwd()).encode(), *texts(0, 30)), texts(30, 35))


def leaking(argument=""):
    return Documents("leaking", (*texts(0, 30), b"Before. " + b"".join(texts(30, 31)) + b"After."), texts(30, 35))


def mixed(argument=""):
    return Documents("mixed", (b"".join(texts(0, 33)),), (b"".join(texts(30, 35)),))


def twice(argument=""):
    return Documents("twice", texts(0, 30) * 2, texts(30, 35))


def scored_twice(argument=""):
    return Documents("scored_twice", texts(0, 30), texts(30, 35) + texts(30, 31))


def seldom(argument=""):
    return Documents("seldom", texts(0, 30) + texts(0, 1), texts(30, 35))


def reading(argument=""):
    return Documents("reading", (Path("/etc/hostname").read_bytes(), *texts(0, 30)), texts(30, 35))


def lines(target, **fields):
    spec = CorpusSpec("mine", f"{__name__}:{target}", "of a test", **fields)
    return {line.check: line for line in check_corpus(REGISTRY, spec, STATEMENT)}


@pytest.mark.parametrize("name", ["pydoc", "markov", "copy", "file"])
def test_what_is_built_in_passes(name):
    found = list(check_corpus(REGISTRY, REGISTRY.corpora[name], "import harness.data.builtin"))
    assert len(found) == 5 and all(line.ok for line in found)


def test_a_good_one_passes_and_is_rightly_called_fixed():
    assert {line.status for line in lines("good", fixed=True).values()} == {"ok"}


def test_one_that_needs_a_name_is_not_loaded():
    assert lines("good", argument="NAME")["corpus"].status == "note"


@pytest.mark.parametrize(("target", "line", "words"), [
    ("empty", "corpus", "has no held-out text"),
    ("text", "corpus", "tuples of bytes"),
    ("drawn", "same text", "loading it again gives another text"),
    ("hashed", "same text", "another process, in another folder, loads another text"),
    ("placed", "same text", "loads another text"),
    ("leaking", "held-out text", "1 of 5 held-out documents stand in training text, the first begins b'Document 30"),
    ("mixed", "held-out text", "of the held-out bytes are lines of training text"),
    ("twice", "repeated documents", "30 of 60 training"),
    ("scored_twice", "repeated documents", "1 of 6 held-out"),
    ("reading", "fixed", "loading it reads /etc/hostname"),
])
def test_a_fault_fails_in_its_line_alone(target, line, words):
    found = lines(target, fixed=True)
    assert [name for name, one in found.items() if one.status == "fail"] == [line]
    assert words in found[line].detail and found[line].mend


def test_a_document_that_stands_there_twice_among_many_is_noted():
    assert lines("seldom")["repeated documents"].status == "note"
