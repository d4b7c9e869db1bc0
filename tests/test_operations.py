"""Counted operations against those of a known model, complex and fused ones too; every built-in declares what is."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness import LanguageModel
from harness.bench.limits import model_flops
from harness.bench.operations import counted, disagreement
from harness.build import build
from harness.registry import load

VOCAB, DIM, T = 13, 8, 24


class Known(LanguageModel):
    """2 D V operations a token for the head, and what `inner` adds."""

    def __init__(self):
        super().__init__(None, VOCAB)
        self.embed, self.head = nn.Embedding(VOCAB, DIM), nn.Linear(DIM, VOCAB, bias=False)
        self.square = nn.Parameter(torch.eye(DIM, dtype=torch.complex64))

    def inner(self, x):
        return x

    def forward(self, tokens, state=None):
        return self.head(self.inner(self.embed(tokens))), None


class Complex(Known):
    def inner(self, x):
        return (x.to(torch.complex64) @ self.square).real


class Fused(Known):
    def inner(self, x):
        return F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], is_causal=True)[:, 0]


@pytest.mark.parametrize(("model", "inner"), [
    (Known, 0), (Complex, 8 * T * DIM * DIM), (Fused, 4 * DIM * T * (T + 1) // 2)])
def test_what_is_counted_is_what_there_is(model, inner):
    assert counted(model().train(), torch.zeros(1, T, dtype=torch.int64)) == 2 * T * DIM * VOCAB + inner


@pytest.mark.parametrize(("declared", "phase", "told"), [
    (100, "prefill", ""), (199, "prefill", ""), (51, "prefill", ""), (300, "train", ""), (160, "train", ""),
    (210, "prefill", "2.1 times"), (49, "prefill", "0.49 times"), (100, "train", "0.33 times")])
def test_a_declaration_more_than_twice_off_is_told(declared, phase, told):
    note = disagreement(declared, 100, phase)
    assert (told in note) if told else not note


def test_nothing_is_said_where_nothing_can_be_counted():
    assert disagreement(100, 0, "train") == ""


@pytest.mark.parametrize("plugin", ["baseline", "ssm", "phasefield", "goldenratio", "wave", "phaserotator",
                                    "superposition", "brain"])
def test_what_comes_with_the_harness_declares_what_is_counted(plugin):
    for length in (128, 512):
        model = build(load([]).models[plugin], {}, 257, params=100_000, seq_len=length).model
        forward = counted(model, torch.zeros(1, length, dtype=torch.int64))
        for phase in ("train", "prefill"):
            assert disagreement(model_flops(model, 1, length, phase).value, forward, phase) == ""
