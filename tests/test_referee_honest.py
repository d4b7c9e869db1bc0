"""Honest models that are easily accused have a score, and no note but what is so."""

import pytest
import zoo

MOVED = "buffers that training moved count as parameters: {} numbers"      # which is so
NOTES = {
    "gated-unit": "",
    "hidden-dropout": "",
    "stochastic-depth": "",
    "spectral-norm": MOVED.format(2 * 68),
    "running-moments": MOVED.format(1),
    "position": "",
    "cache-in-place": "",
    "tied-weights": "",
    "drawn-buffer": "",
    "masked-vocabulary": "",
    "complex": "",
    "integers": "",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return zoo.verdicts("honest", NOTES, tmp_path_factory.mktemp("honest"))


@pytest.mark.parametrize(("name", "note"), NOTES.items())
def test_an_honest_model_is_not_accused(found, name, note):
    assert found[name].status == "ok"
    assert found[name].reason.removeprefix(found[zoo.TWIN].reason).strip("; ") == note
    assert abs(found[name].bits - found[zoo.TWIN].bits) < 0.5
