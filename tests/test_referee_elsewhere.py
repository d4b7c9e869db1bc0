"""Models that see the future where no audit looks: the referee asks about the very places that it scored."""

import re

import pytest
import zoo

CAUGHT = {
    "large-batches": zoo.SEALED,
    "between-cuts": zoo.SEALED,
    "after-calls": zoo.SEALED,
    "after-the-audit": zoo.SEALED,
    "once-trained": zoo.SEALED,
    "without-bos": zoo.SEALED,
    "one-place-in-thirty": zoo.SEALED,
    "hook-on-head": zoo.SEALED,
    "overlapping-rows": zoo.SEALED,
    "where-it-trained": zoo.SEALED,
    "little-and-noisy": "sealed scoring: ",         # either of two: a place too far off, or better than rounding is
    "starves-when-asked": "sealed scoring: ",
    "wide-spread": "suffix perturbation|sealed scoring: ",
}
TAMED = ("under-inference-mode", "under-autocast")  # the referee scores in neither, and answers to both alike


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return zoo.verdicts("elsewhere", (*CAUGHT, *TAMED), tmp_path_factory.mktemp("elsewhere"))


@pytest.mark.parametrize(("name", "words"), CAUGHT.items())
def test_a_leak_that_hides_from_the_audit_costs_the_score(found, name, words):
    assert found[name].status == "audit_failed"
    assert re.search(words, found[name].reason)


@pytest.mark.parametrize("name", TAMED)
def test_a_leak_in_a_mode_that_no_score_is_taken_in_gains_nothing(found, name):
    assert found[name].status == "ok"
    assert found[name].bits > found[zoo.TWIN].bits - 0.01
