"""A trunk and its branches: the rate in closed form, a branch equal to a run of its own, an interruption that shows
in no bit."""

import math
import os

import pytest
import torch
from torch import nn

from harness import LanguageModel
from harness.bench.trainee import Trainee
from harness.bench.trunk import At, Cooling, Trunk, train_branch
from harness.bench.weights import model_tensors, read_metadata, save
from harness.data.batches import TrainStream
from harness.data.tokenizers import bytes_tokenizer
from harness.errors import FileError

COOLING = Cooling(warmup=400, share=0.25)
TEXT = [bytes(range(32, 120)) * 8, b"one and two and three " * 40, b"a line of text\n" * 50]
RATE = 0.01


class Droops(LanguageModel):
    """With dropout, so that the random state has a part in every step."""

    def __init__(self, seed=0):
        super().__init__(None, 257)
        torch.manual_seed(seed)
        self.embed, self.drop, self.head = nn.Embedding(257, 6), nn.Dropout(0.3), nn.Linear(6, 257)

    def forward(self, tokens, state=None):
        return self.head(self.drop(self.embed(tokens))), None


class Cut(Exception):
    """The power fails."""


def stream():
    return TrainStream(TEXT, bytes_tokenizer(), 16, 2, seed=3)


def grown(budget, folder=None, cell="c1", lr=RATE, cut=math.inf, seed=0):
    """Weights after a branch, and its result; `cut` ends it after so many points of the curve."""
    model, points = Droops(seed), []

    def progress(seen, bits):
        points.append(seen)
        if len(points) >= cut:
            raise Cut

    result = train_branch(Trainee(model, "float32"), stream(), Trunk(folder, cell, lr), COOLING, budget, progress)
    return {name: tensor.clone() for name, tensor in model_tensors(model).items()}, result, points


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_rate_rises_stays_and_falls_as_one_minus_a_root():
    assert [COOLING.scale(0, after, 0) for after in (100, 400, 10_000)] == [0.25, 1, 1]
    assert COOLING.branch(4000) == 3000
    assert [COOLING.scale(before, before + 1, 4000) for before in (2000, 3000, 3250, 4000)] == [1, 1, 0.5, 0]


def test_a_branch_off_a_trunk_is_a_run_of_that_budget_alone(tmp_path):
    grown(2000, tmp_path, "small")
    onward, result, points = grown(6000, tmp_path, "large")
    alone, expected, every = grown(6000)
    assert same(onward, alone)
    assert (result.steps, result.bytes_seen, result.tokens_seen) == (expected.steps, expected.bytes_seen,
                                                                     expected.tokens_seen)
    assert len(points) < len(every), "the trunk was not used"
    assert result.bytes_seen >= 6000 > result.bytes_seen - 2 * 16
    assert result.curve[-1] == expected.curve[-1]


@pytest.mark.parametrize("cut", [3, 45])                    # on the trunk, and while it cools down
def test_a_run_that_was_cut_goes_on_to_the_last_bit(tmp_path, cut, monkeypatch):
    monkeypatch.setattr("harness.bench.trunk.SAVE_S", -1.0)
    with pytest.raises(Cut):
        grown(6000, tmp_path, cut=cut)
    torch.manual_seed(99)
    onward, result, points = grown(6000, tmp_path, seed=5)
    alone, expected, every = grown(6000)
    assert same(onward, alone)
    assert len(points) <= len(every) - cut + 1
    assert result.steps == expected.steps


def test_what_is_of_another_rate_or_cannot_be_read_counts_for_nothing(tmp_path):
    grown(2000, tmp_path, "small", lr=0.1)
    for path in tmp_path.iterdir():
        path.with_name("at-1.safetensors").write_bytes(b"no such file")
    os.mkfifo(tmp_path / "at-2.safetensors")                # whose reader waits for a writer
    onward, _, points = grown(6000, tmp_path, "large")
    alone, _, every = grown(6000)
    assert same(onward, alone)
    assert len(points) == len(every)


def test_a_later_state_than_the_branch_is_none_to_go_on_from(tmp_path):
    grown(6000, tmp_path, "large")
    onward, _, _ = grown(2000, tmp_path, "small")
    assert same(onward, grown(2000)[0])


def test_a_diverged_run_says_so(tmp_path):
    model = Droops()
    with torch.no_grad():
        model.head.bias[0] = math.nan
    result = train_branch(Trainee(model, "float32"), stream(), Trunk(tmp_path, "c", RATE), COOLING, 2000)
    assert result.diverged
    assert not list(tmp_path.iterdir())


def test_a_state_of_another_model_is_refused():
    kept = Trainee(Droops(), "float32").kept()
    kept["model.embed.weight"] = torch.zeros(3, 3)
    with pytest.raises(FileError, match="does not fit"):
        Trainee(Droops(), "float32").restore(kept)
    with pytest.raises(FileError, match="does not fit"):
        Trainee(Droops(), "float32").restore(model_tensors(Droops()))


def test_what_a_file_says_of_itself(tmp_path):
    save(tmp_path / "x.safetensors", {"a": torch.zeros(1)}, {"at": "{}"})
    assert read_metadata(tmp_path / "x.safetensors") == {"at": "{}"}
    with pytest.raises(FileError, match="corrupt"):
        read_metadata(tmp_path / "y.safetensors")
    assert At(0.1).bytes == 0


def test_energy_is_that_of_the_training_alone(tmp_path):
    spent = iter(range(0, 10_000, 7))
    model = Trainee(Droops(), "float32")
    first = train_branch(model, stream(), Trunk(tmp_path, "a", RATE), COOLING, 2000, meter=lambda: float(next(spent)))
    onward = train_branch(Trainee(Droops(), "float32"), stream(), Trunk(tmp_path, "b", RATE), COOLING, 6000,
                          meter=lambda: float(next(spent)))
    assert first.joules == 7.0 * len(first.curve)           # a meter is read before and after each part
    assert onward.joules == 7.0 * len(onward.curve)
    assert grown(6000, tmp_path, "c")[1].joules is None     # what went on without one is not known
