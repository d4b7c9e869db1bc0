"""What was taken from a room: numbers that a model needs are counted, however they are packed."""

import torch

from harness.referee.taken import Weights

HELD = {
    "real": torch.zeros(6), "double": torch.zeros(6, dtype=torch.float64),
    "complex": torch.zeros(6, dtype=torch.cfloat),
    "packed": torch.zeros(6, dtype=torch.int64), "bytes": torch.zeros(6, dtype=torch.uint8),
}


def test_parameters_are_real_degrees_of_freedom_and_eight_packed_bytes_are_two():
    weights = Weights(HELD, list(HELD), [])
    assert [weights.count([name]) for name in HELD] == [6, 6, 12, 12, 6]


def test_what_is_no_parameter_counts_its_bytes():
    assert [Weights(HELD, [], []).count([name]) for name in HELD] == [6, 12, 12, 12, 6]


def test_what_has_moved_is_named_and_what_is_new():
    before, after = Weights({"a": torch.zeros(2), "b": torch.zeros(2)}, [], []), {"a": torch.zeros(2)}
    assert Weights({**after, "b": torch.ones(2), "c": torch.zeros(1)}, [], []).moved(before) == ["b", "c"]
