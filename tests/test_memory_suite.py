"""The memory suite's largest length, on a device that is simulated: its allocator gives out at a length we know."""

import pytest
from harness.suites import memory
from parents import Parent

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
    dim: int = 8


def __getattr__(name):
    if name != "Model":
        raise AttributeError(name)
    import torch
    from torch import nn

    from harness import LanguageModel

    class Model(LanguageModel):
        """Logits of each token alone; a step of more than `room` tokens finds no memory."""

        def __init__(self, config, vocab_size):
            super().__init__(config, vocab_size)
            self.embed, self.head = nn.Embedding(vocab_size, config.dim), nn.Linear(config.dim, vocab_size)

        def forward(self, tokens, state=None):
            if tokens.shape[1] > self.config.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return self.head(self.embed(tokens).tanh()), None

    globals()["Model"] = Model
    return Model


@hookimpl
def harness_models():
    return [ModelSpec(name="roomy", target=f"{__name__}:Model", config=f"{__name__}:Config", family="classical",
                      summary="as much memory as it is told", source="the tests")]
'''


@pytest.fixture
def measured(plugin):
    file = plugin("roomy.py", ROOM)

    def run(room):
        cell = Cell("memory", "roomy", (("room", str(room)),), tokenizer="bytes", seq_len=256, batch_size=1,
                    protocol=(("role", "largest"),))
        (row,) = run_cell(Parent(), Setup((str(file),)), cell, {"limits": {}, "needs": {}})[0]
        return row

    return run


@pytest.mark.parametrize("room", [100, 700])
def test_the_largest_length_lies_between_what_fits_and_what_does_not(measured, room):
    """Below the cell's own length, and above it."""
    row = measured(room)
    assert (row.metric, row.unit, row.better, row.phase, row.audited) == (
        "largest_length", "tokens", "higher", "train", "yes")
    assert row.value == row.ci_low <= room < row.ci_high <= row.value + max(memory.STEP, row.value / 32)
    assert row.value % memory.STEP == 0 and row.reason == ""


def test_where_everything_fits_the_row_says_that_nothing_longer_was_tried(measured, monkeypatch):
    monkeypatch.setattr(memory, "LONGEST", 1024)
    row = measured(1 << 40)
    assert (row.value, row.ci_high, row.reason) == (1024, None, "nothing longer was tried")


def test_a_gpu_alone_is_asked_for_it():
    def roles(device):
        request = Request(choose(load(), ("ssm", "baseline")), device=device, seq_lens=(64, 128), seeds=(0, 1))
        return [(cell.plugin, cell.seed, cell.seq_len) for cell in memory.plan(request) if cell.get("role")]

    assert roles("cpu") == []
    assert roles("cuda") == [(name, seed, 128) for name in ("ssm", "baseline") for seed in (0, 1)]
