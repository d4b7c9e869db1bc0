"""The check of `advance`: a state written in place passes, and what goes on elsewhere is told by its call."""

import pytest
import torch
from caches import Buffered
from torch import nn

from harness import LanguageModel, copied_state
from harness.conformance.advance_checks import check_advance
from harness.conformance.result import CheckFailed

VOCAB = 11


class Plain(LanguageModel):
    """`advance` is inherited, and is not called."""

    def forward(self, tokens, state=None):
        raise AssertionError


class Stale(Buffered):
    """What it returns serves no next call."""

    def advance(self, tokens, state):
        before = copied_state(state)
        return self.read(tokens, state)[0], before


class OneRow(Buffered):
    def advance(self, tokens, state):
        state["seen"][1:] = state["seen"][:1]
        return self.read(tokens, state)


class LastToken(Buffered):
    def advance(self, tokens, state):
        logits, after = self.read(tokens, state)
        return logits[:, -1:], after


class Breaks(Buffered):
    """Of several tokens at once it makes no numbers."""

    def advance(self, tokens, state):
        logits, after = self.read(tokens, state)
        return logits / (tokens.shape[1] == 1), after


class Gated(Buffered):
    """Another function behind a gate that is zero before training."""

    def __init__(self, vocab_size):
        super().__init__(vocab_size)
        self.gate = nn.Parameter(torch.zeros(vocab_size))

    def advance(self, tokens, state):
        logits, after = self.read(tokens, state)
        return logits + self.gate, after


def test_a_state_that_is_written_in_place_goes_on_as_copies_do():
    model = Buffered(VOCAB).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert check_advance(model, 0.02) == "as forward from a copy of the state"
    assert check_advance(model, 0.02, "bfloat16").startswith("as forward from a copy")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_model_without_one_of_its_own_is_not_called():
    assert check_advance(Plain(None, VOCAB), 0.02) == "is forward itself"


@pytest.mark.parametrize(("model", "words"), [
    (Stale, r"^call 2 after 9 tokens, of 1 x 1 tokens, gives logits that are \d.* std from those of forward$"),
    (OneRow, "^call 1 after 9 tokens, of 2 x 1 tokens, gives logits"),
    (LastToken, r"^call 3 after 9 tokens, of 1 x 4 tokens, returns logits of shape \(1, 1, 11\), not \(1, 4, 11\)$"),
    (Breaks, "^call 3 after 9 tokens, of 1 x 4 tokens, gives logits that are (nan|inf) std"),
    (Gated, "^call 1 after 9 tokens, of 1 x 1 tokens, gives logits"),
])
def test_what_goes_on_elsewhere_is_told_by_its_call(model, words):
    with pytest.raises(CheckFailed, match=words):
        check_advance(model(VOCAB).eval(), 0.02)
