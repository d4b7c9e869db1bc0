"""Models that get at the text by another way than their argument: the wall is in the way, or the fresh process is
not told."""

import re

import pytest
import zoo

TAMED = (                       # they find nothing behind the wall
    "corpus-file", "parent-memory", "caller-frames", "scored-objects", "file-beside")
CAUGHT = (                      # they read what they are scored on, and cannot tell the fresh processes
    "keeps-what-it-reads", "learns-while-scored", "relay-by-file", "relay-by-socket",
    "relay-by-descriptor", "relay-by-locks", "relay-by-attribute", "relay-by-notices")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    verdicts = zoo.verdicts("texts", ("pydoc", *TAMED, *CAUGHT), tmp_path_factory.mktemp("texts"))
    if "not enforced here" in verdicts[zoo.TWIN].reason:
        pytest.skip(verdicts[zoo.TWIN].reason)
    return verdicts


@pytest.mark.parametrize("name", TAMED)
def test_a_text_that_is_out_of_reach_helps_nobody(found, name):
    assert found[name].status == "ok"
    assert found[name].bits > found[zoo.TWIN].bits - 0.01


@pytest.mark.parametrize("name", CAUGHT)
def test_what_was_read_while_it_was_scored_is_unknown_to_a_fresh_process(found, name):
    assert found[name].status == "audit_failed"
    assert re.search(zoo.SEALED, found[name].reason)


def test_the_module_that_is_the_corpus_cannot_be_imported(found):
    assert found["pydoc"].status == "error" and "Permission denied" in found["pydoc"].reason
