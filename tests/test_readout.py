"""Hidden states: what the head of a model reads, in a room as well, and whole texts told from the last of them."""

import math

import pytest
import torch
from harness.plugins.baseline.config import TransformerConfig
from harness.plugins.baseline.model import Transformer
from torch import nn

from harness import LanguageModel, Unsupported
from harness.bench.readout import Readout, autoencoder, sinusoids
from harness.referee.resident import Lease, Resident


class Sum(LanguageModel):
    """Its hidden state is the sum of what was read; its head is called so many times."""

    def __init__(self, vocab_size=5, times=1):
        super().__init__(None, vocab_size)
        self.embed, self.times = nn.Embedding(vocab_size, 6), times
        self.head = nn.Linear(6, vocab_size)

    def forward(self, tokens, state=None):
        hidden = self.embed(tokens).cumsum(1) + (0 if state is None else state[:, None])
        logits = [self.head(hidden) for _ in range(self.times)] or [nn.functional.linear(hidden, self.head.weight)]
        return sum(logits), hidden[:, -1]


class Headless(Sum):
    def __init__(self):
        super().__init__()
        self.out, self.head = self.head, None

    def forward(self, tokens, state=None):
        return self.out(self.embed(tokens)), None


def test_the_head_reads_the_hidden_states_wherever_a_text_is_cut():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(dim=16, layers=1), 7).eval()
    tokens = torch.randint(7, (2, 9))
    with torch.no_grad():
        hidden, _ = model.hidden_states(tokens)
        logits = model(tokens)[0]
        assert torch.allclose(model.head(hidden), logits, atol=1e-5)
        first, state = model.hidden_states(tokens[:, :4])
        rest, _ = model.hidden_states(tokens[:, 4:], state)
    assert torch.allclose(torch.cat([first, rest], 1), hidden, atol=1e-5)
    assert not model.head._forward_pre_hooks


@pytest.mark.parametrize(("model", "words"), [
    (Headless(), "Headless has no modules called head"), (Sum(times=2), "not called once"),
    (Sum(times=0), "not called once")])
def test_a_model_without_hidden_states_says_so(model, words):
    with pytest.raises(Unsupported, match=words):
        model.hidden_states(torch.zeros(1, 3, dtype=torch.int64))


def test_complex_states_are_read_as_their_two_parts():
    class Turning(Sum):
        def forward(self, tokens, state=None):
            return self.head(torch.complex(self.embed(tokens), -self.embed(tokens))).real, None

    model = Turning()
    model.head = nn.Identity()
    hidden, _ = model.hidden_states(torch.arange(4)[None])
    assert hidden.shape == (1, 4, 12) and not hidden.is_complex()


def test_places_are_told_apart_by_sine_and_cosine():
    places = sinusoids(5, 6)
    assert places.shape == (5, 6)
    angles = [2 / 10_000 ** (pair / 3) for pair in range(3)]
    assert places[2].tolist() == pytest.approx([f(angle) for angle in angles for f in (math.sin, math.cos)])


def test_every_token_is_told_from_the_last_state_and_gradients_reach_the_model():
    torch.manual_seed(0)
    model = Sum(vocab_size=4)
    whole = autoencoder(model, 3, 0, "cpu")
    tokens = torch.randint(4, (8, 3))
    optimizer = torch.optim.Adam(whole.parameters(), lr=0.03)
    for _ in range(150):
        logits, _ = whole(tokens)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.sort(1)[0].flatten())   # sums know no order
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    assert model.embed.weight.grad.abs().sum() > 0
    again = Readout(6, 3, 4)
    again.load_state_dict(whole.readout.state_dict())
    with torch.no_grad():
        assert torch.equal(again(model.hidden_states(tokens)[0][:, -1]), whole(tokens)[0])


def test_a_room_gives_hidden_states_in_both_precisions():
    room = object.__new__(Resident)
    room.models, room.exact, room.lease = [Sum()], {}, Lease("", "", [], {}, [], "", dtype="float32")
    tokens = torch.randint(5, (2, 4))
    hidden, state = room.forward(0, tokens, None, "hidden")
    exact, _ = room.forward(0, tokens, None, "exact hidden")
    assert exact.dtype == torch.float64 and torch.allclose(hidden.double(), exact, atol=1e-6)
    assert torch.allclose(hidden[:, -1], state) and hidden.shape == (2, 4, 6)
