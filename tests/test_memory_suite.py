"""The memory suite: its largest length, on a device that is simulated, whose allocator gives out at a length we know,
and the peak of decoding, without a copy of the state that is ours."""

import math
from types import SimpleNamespace

import pytest
from harness.suites import memory
from parents import Parent

from harness import ByValue
from harness.bench.largest import Largest
from harness.registry import load
from harness.run.cells import Cell, Request
from harness.run.choices import choose
from harness.run.worker import Setup, run_cell

ROOM = '''
from dataclasses import dataclass

from harness import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    room: int = 700
    lazy: int = 1 << 40
    mebibytes: int = 1
    dim: int = 8


def __getattr__(name):
    if name != "Model":
        raise AttributeError(name)
    import torch
    from torch import nn

    from harness import LanguageModel, copied_state

    class Model(LanguageModel):
        """Logits of each token alone; a step of more than `room` tokens finds no memory, and in one of `lazy` tokens
        and more some make no difference. Its state is so large a block, a text, in which it counts its tokens."""

        def __init__(self, config, vocab_size):
            super().__init__(config, vocab_size)
            self.embed, self.head = nn.Embedding(vocab_size, config.dim), nn.Linear(config.dim, vocab_size)

        def forward(self, tokens, state=None):
            if tokens.shape[1] > self.config.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            if self.training and tokens.shape[1] >= self.config.lazy:
                tokens = tokens.clone()
                tokens[:, ::2] = 0
            if state is None:
                state = torch.zeros(len(tokens), self.config.mebibytes << 18)
            return self.advance(tokens, copied_state(state))

        def advance(self, tokens, state):
            return self.head(self.embed(tokens).tanh()), state.add_(tokens.shape[1])

    globals()["Model"] = Model
    return Model


@hookimpl
def harness_models():
    return [ModelSpec(name="roomy", target=f"{__name__}:Model", config=f"{__name__}:Config", family="classical",
                      summary="as much memory as it is told", source="the tests")]
'''


@pytest.fixture
def measured(plugin, monkeypatch):
    """Rows of a cell, for whose tries there is all the time they take on a busy machine."""
    monkeypatch.setattr(memory, "SECONDS", math.inf)
    file = plugin("roomy.py", ROOM)

    def run(role="largest", **options):
        options = tuple((name, str(value)) for name, value in options.items())
        cell = Cell("memory", "roomy", options, tokenizer="bytes", seq_len=256, batch_size=1,
                    protocol=(("role", role),) if role else ())
        return run_cell(Parent(), Setup((str(file),)), cell, {"limits": {}, "needs": {}})[0]

    return run


@pytest.mark.parametrize("room", [100, 700])
def test_the_largest_length_lies_between_what_fits_and_what_does_not(measured, room):
    """Below the cell's own length, and above it."""
    (row,) = measured(room=room)
    assert (row.metric, row.unit, row.better, row.phase, row.audited) == (
        "largest_length", "tokens", "higher", "train", "yes")
    assert row.value == row.ci_low <= room < row.ci_high <= row.value + max(memory.STEP, row.value / 32)
    assert row.value % memory.STEP == 0 and row.reason == ""


def test_where_everything_fits_the_row_says_that_nothing_longer_was_tried(measured, monkeypatch):
    monkeypatch.setattr(memory, "LONGEST", 1024)
    (row,) = measured(room=1 << 40)
    assert (row.value, row.ci_high, row.reason) == (1024, None, "nothing longer was tried")


def test_a_length_stands_for_a_step_of_the_scored_function(measured):
    """1/8 of the largest length is checked, 88 tokens of 704: below, less work is nobody's business here."""
    (row,) = measured(room=720, lazy=89)
    assert (row.status, row.value, row.audited) == ("ok", 704, "yes")
    (row,) = measured(room=720, lazy=88)
    assert (row.status, row.value) == ("audit_failed", None)
    assert "a step on 1 x 88 tokens" in row.reason


@pytest.mark.parametrize(("found", "reason"), [
    (Largest(512, 576, 5), ""), (Largest(1 << 24, None, 5), "nothing longer was tried"),
    (Largest(512, 1024, 5, out_of_time=True), "a lower bound: after 20 s no further length was tried"),
    (Largest(512, None, 5, out_of_time=True), "a lower bound: after 20 s no further length was tried"),
])
def test_a_bound_is_told(found, reason):
    assert memory.bound(found) == reason


def test_a_bound_is_compared_with_nothing():
    def row(**fields):
        return SimpleNamespace(**{"metric": "largest_length", "ci_low": 512.0, "ci_high": None} | fields)

    assert memory.compared(row()) is None
    assert memory.compared(row(ci_high=576.0)) == ByValue()
    assert memory.compared(row(metric="peak_bytes")) == ByValue()


def test_decoding_pays_for_no_copy_of_the_state_that_is_ours(measured):
    """A state of 64 MiB, which a step writes into."""
    found = {(row.metric, row.phase): row.value for row in measured("", room=1 << 40, mebibytes=64)}
    assert found["state_bytes", "decode"] == 64 << 20
    added = found["peak_bytes", "decode"] - found["weights_bytes", ""] - found["state_bytes", "decode"]
    assert 0 <= added < 16 << 20


def test_a_gpu_alone_is_asked_for_it():
    def roles(device):
        request = Request(choose(load(), ("ssm", "baseline")), device=device, seq_lens=(64, 128), seeds=(0, 1))
        return [(cell.plugin, cell.seed, cell.seq_len) for cell in memory.plan(request) if cell.get("role")]

    assert roles("cpu") == []
    assert roles("cuda") == [(name, seed, 128) for name in ("ssm", "baseline") for seed in (0, 1)]
