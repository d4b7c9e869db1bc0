"""Models that hide what they cost: what a fresh process does not get is missed there, what it gets is counted."""

import re

import pytest
import torch
import zoo

from harness.build import build
from harness.errors import AuditFailed
from harness.model import state_bytes
from harness.registry import load

DIM = 68                                # of a model of 5k parameters
TABLE = 257 * 257                       # numbers of the bigram table that these models keep
MISSED = "sealed scoring: (in a fresh process, (Key|Runtime|Index)Error|held-out document|with the same state)"
CAUGHT = {
    "list-weights": zoo.SEALED,
    "class-weights": zoo.SEALED,
    "transient-buffer": zoo.SEALED,
    "small-on-meta": "parameters where it is built and .* on the meta device",
    "embedding-everything": r"embedding_parameters\(\) .* does not grow with the vocabulary",
    "several-steps": "a step of training at learning rate 0 moves",
    "state-in-attribute": MISSED,
    "state-by-address": MISSED,
    "state-in-a-view": "the state does not survive being written down",
    "state-on-a-tensor": "the state does not survive being written down",
    "state-in-an-integer": "can't serialize ints",
}
COUNTED = {                             # numbers that they have beside those of the twin
    "saved-buffer": TABLE,
    "counting-buffer": TABLE,
    "packed-buffer": TABLE // 4,
    "packed-doubles": TABLE // 4,
    "late-parameter": TABLE,
    "grows-in-training": 8 * DIM**2,
    "fewer-parameters": DIM**2,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return zoo.verdicts("costs", (*CAUGHT, *COUNTED), tmp_path_factory.mktemp("costs"))


@pytest.mark.parametrize(("name", "words"), CAUGHT.items())
def test_what_a_fresh_process_does_not_get_costs_the_score(found, name, words):
    assert found[name].status == "audit_failed"
    assert re.search(words, found[name].reason)


@pytest.mark.parametrize(("name", "more"), COUNTED.items())
def test_what_a_fresh_process_needs_is_counted(found, name, more):
    assert found[name].status == "ok"
    assert found[name].params >= found[zoo.TWIN].params + more


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The state of one text of 400 tokens, by the name of a model that counts them."""
    models = load([zoo.one_file("costs", tmp_path_factory.mktemp("states"))]).models
    tokens = torch.randint(256, (1, 400), generator=torch.Generator().manual_seed(0))
    return lambda name: build(models[name], {}, 257).model(tokens)[1]


@pytest.mark.parametrize("name", ["state-in-numbers", "state-in-its-shape", "state-in-empty-tensors"])
def test_counts_in_the_form_of_a_state_are_bytes_of_it(kept, name):
    assert state_bytes(kept(name)) > state_bytes(kept("cache")[0]) + 257


def test_counts_in_a_name_are_no_state(kept):
    with pytest.raises(AuditFailed, match="the state holds a str"):
        state_bytes(kept("state-in-keys"))
