"""The throughput suite's row of decoding: the bytes of a state are those of the memory that decoding keeps alive."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from caches import Buffered
from harness.suites import throughput
from torch.nn import functional as F

from harness.bench.continuation import beginning, held_bytes
from harness.model import state_bytes

VOCAB, DIM, ROOM, LENGTH = 11, 8, 64, 16


class Spare(Buffered):
    """`forward` tells what was read; `advance` keeps it in an object, in a buffer with spare room."""

    def forward(self, tokens, state=None):
        logits, after = super().forward(tokens, state and self.roomy(state))
        return logits, after | {"seen": after["seen"][:, :after["length"]].clone()}

    def advance(self, tokens, state):
        cache = SimpleNamespace(held=self.roomy(state)) if isinstance(state, dict) else state
        logits, cache.held = self.read(tokens, cache.held)
        return logits, cache

    def roomy(self, state):
        return state | {"seen": F.pad(state["seen"], (0, 0, 0, self.room - state["length"]))}


class Bench:
    """Each call is made once."""

    limits = {"copy_bytes_per_s": 1e9}  # noqa: RUF012

    def __init__(self):
        self.rows, self.raw = {}, {}

    def tokens(self, batch, length, seed=0):
        return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))

    def time(self, call, inputs, check):
        call(inputs(0))
        return [0.01] * 6

    def inference(self, model):
        return model

    def continuation(self, model, state):
        return model.advance, lambda: beginning(model, state)

    def inference_check(self, model, prefix=None):
        return None

    def turn(self):
        return nullcontext()

    def synchronize(self):
        pass

    def tensor_bytes(self, tensors):
        return sum(t.numel() * t.element_size() for t in tensors)

    def row(self, metric, value, unit, better, **fields):
        self.rows[metric] = fields

    state_bytes, held_bytes = staticmethod(state_bytes), staticmethod(held_bytes)


@pytest.mark.parametrize(("model", "held"), [
    (Spare, 4 * ROOM * DIM),                                # a buffer in an object
    (Buffered, 4 * ROOM * DIM + 8),                         # a buffer that is shown whole, and its length
])
def test_the_state_is_as_large_as_what_decoding_keeps_alive(model, held):
    bench, built = Bench(), model(VOCAB, DIM, ROOM)
    with torch.inference_mode():
        throughput.decode(SimpleNamespace(seq_len=LENGTH, dtype="float32"), bench, built)
        shown = state_bytes(built(bench.tokens(1, LENGTH))[1])
    row = bench.rows["tokens_per_s"]
    assert row["state_bytes"] == held >= shown
    read = bench.tensor_bytes(built.parameters()) + shown                   # spare room is held and not read
    assert row["limit"] == pytest.approx(1e9 / read)
