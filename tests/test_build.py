"""Build: a size that was solved for is the size that is built, whatever a model says of itself."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from harness import LanguageModel, ModelSpec
from harness.build import build, hold_to_count
from harness.errors import AuditFailed

V = 257


@dataclass(frozen=True)
class Config:
    dim: int = 8


class Honest(LanguageModel):
    """A table, two squares and a head; its own list of what grows with the vocabulary is right."""

    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.table = nn.Parameter(torch.randn(2 * vocab_size * config.dim))
        self.square = nn.Parameter(torch.randn(config.dim, config.dim))
        self.second = nn.Parameter(torch.randn(config.dim, config.dim))
        self.head = nn.Linear(config.dim, vocab_size)

    def embedding_parameters(self):
        yield self.table
        yield from self.head.parameters()


class CountsNothing(Honest):
    def embedding_parameters(self):
        yield from super().embedding_parameters()
        yield self.square


class SmallOnMeta(Honest):
    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        if self.head.weight.device.type != "meta":
            self.hidden = nn.Parameter(torch.randn(100, config.dim))


class OneVocabulary(Honest):
    def __init__(self, config, vocab_size):
        if vocab_size != V:
            raise ValueError("257 tokens, no others")
        super().__init__(config, vocab_size)


def built(name, **asked):
    spec = ModelSpec("made", f"{__name__}:{name}", f"{__name__}:Config", "classical", "made", "a test")
    found = build(spec, {}, V, **asked)
    hold_to_count(spec, found)
    return found


@pytest.mark.parametrize("name", ["Honest", "OneVocabulary"])
def test_an_honest_model_is_built_at_the_size_that_was_solved_for(name):
    found = built(name, params=800)
    assert (found.config.dim, found.count.non_embedding) == (20, 800)


@pytest.mark.parametrize(("name", "words"), [
    ("CountsNothing", "yields square, which does not grow with the vocabulary"),
    ("SmallOnMeta", "parameters where it is built and"),
])
def test_parameters_that_the_count_did_not_see_are_told(name, words):
    with pytest.raises(AuditFailed, match=words):
        built(name, params=800)
