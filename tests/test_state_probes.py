"""Probes of a state against memories whose contents are known in closed form."""

import math

import pytest
import torch
from torch import Tensor

from harness.bench.state_probes import Probes, effective_rank, flatten, information
from harness.data.abilities import mixture
from harness.data.abilities.mixture import LETTERS

VOCAB, KEYS, VALUES = 257, mixture.KEYS, mixture.VALUES
FIRST_KEY, FIRST_VALUE = ord("A"), ord("a")


class OuterProduct:
    """S <- decay S + value key^T after every pair KEY value; a query reads S key. Keys of `dim` orthogonal directions:
    key i has direction i mod dim, so those beyond the first `dim` collide."""

    def __init__(self, dim=KEYS, decay=1.0, delta=False):
        self.keys = torch.eye(dim).repeat(-(-KEYS // dim), 1)[:KEYS]
        self.decay, self.delta = decay, delta

    def __call__(self, tokens, state=None):
        rows = len(tokens)
        memory, last = state or (torch.zeros(rows, VALUES, self.keys.shape[1]), torch.zeros(rows, self.keys.shape[1]))
        logits = torch.zeros(rows, tokens.shape[1], VOCAB)
        for t, token in enumerate(tokens.unbind(1)):
            is_value = ((token >= FIRST_VALUE) & (token < FIRST_VALUE + VALUES)).float()[:, None]
            is_key = ((token >= FIRST_KEY) & (token < FIRST_KEY + KEYS)).float()[:, None]
            value = torch.eye(VALUES)[(token - FIRST_VALUE) % VALUES] * is_value
            known = torch.einsum("rvk,rk->rv", memory, last) if self.delta else 0
            memory = self.decay * memory + (value - known * is_value)[:, :, None] * last[:, None]
            last = self.keys[(token - FIRST_KEY) % KEYS] * is_key
            logits[:, t, FIRST_VALUE:FIRST_VALUE + VALUES] = torch.einsum("rvk,rk->rv", memory, last)
        return logits, (memory, last)


class Oracle:
    """Remembers every token and answers with what followed the last time."""

    def __call__(self, tokens, state=None):
        history = tokens if state is None else torch.cat([state, tokens], 1)
        logits = torch.zeros(*tokens.shape, VOCAB)
        for row, text in enumerate(history.tolist()):
            for t in range(tokens.shape[1]):
                at = len(text) - tokens.shape[1] + t
                before = [i for i in range(at) if text[i] == text[at]]
                if before:
                    logits[row, t, text[before[-1] + 1]] = 1
        return logits, history


def test_orthogonal_keys_are_recalled_without_error():
    """Orthogonal keys: capacity is every bit that was written, 16 of 17 values each."""
    bits, accuracy = Probes(OuterProduct()).capacity([4, 16])
    assert accuracy == {4: 1.0, 16: 1.0}
    assert bits == 16 * math.log2(VALUES)


@pytest.mark.parametrize(("seq_len", "kept"), [(16, 1.0), (25, 0.0)])
def test_questions_come_after_filler_up_to_the_length(seq_len, kept):
    """Four pairs and a memory that lasts 8 tokens beyond them: 16 tokens leave no filler, 25 leave 9."""
    assert (Probes(Forgetful()).capacity([4], seq_len)[1][4] > 0.5) == bool(kept)


def test_keys_that_share_a_direction_recall_the_sum():
    """16 keys in 8 directions: each read is a tie of its own value and that of the key it collides with, which `argmax`
    gives to the smaller one. Right with probability 1/2 + 1/2 P(equal)."""
    probes = Probes(OuterProduct(dim=8), rows=512)
    _, accuracy = probes.capacity([16])
    assert accuracy[16] == pytest.approx(0.5 + 0.5 / VALUES, abs=0.03)


def test_the_oracle_recalls_everything_at_any_distance():
    probes = Probes(Oracle(), rows=8)
    assert probes.capacity([4, 8])[0] == 8 * math.log2(VALUES)
    assert probes.persistence([1, 8, 16]) == (16, {1: 1.0, 8: 1.0, 16: 1.0})
    assert probes.interference() == 0
    assert probes.rank(4) == (0.0, 0)                               # tokens are no real numbers


class Forgetful(OuterProduct):
    """Loses everything `span` tokens after it was written."""

    span = 8

    def __call__(self, tokens, state=None):
        logits = torch.zeros(*tokens.shape, VOCAB)
        memory, age = state or (None, 0)
        for t in range(tokens.shape[1]):
            step, memory = super().__call__(tokens[:, t:t + 1], memory)
            bound = ((tokens[:, t] >= FIRST_VALUE) & (tokens[:, t] < FIRST_VALUE + VALUES)).any()
            age = 0 if bound else age + 1
            logits[:, t] = step[:, 0] * (age <= self.span)
        return logits, (memory, age)


def test_persistence_ends_where_the_memory_does():
    """The query is the token `distance` after the value, so distance 8 is the last that a span of 8 holds."""
    kept, accuracy = Probes(Forgetful()).persistence([1, 4, 8, 9, 16])
    assert kept == 8
    assert [accuracy[d] for d in (1, 4, 8)] == [1, 1, 1]
    assert max(accuracy[9], accuracy[16]) < 0.5


def test_interference_is_what_further_pairs_cost_over_filler():
    """Orthogonal keys: nothing. One direction for all keys: the first of two values is read where it is not larger."""
    assert Probes(OuterProduct()).interference() == 0
    lost = Probes(OuterProduct(dim=1), rows=512).interference(disturbers=1)
    assert lost == pytest.approx(0.5 - 0.5 / VALUES, abs=0.08)


def test_a_delta_rule_lets_the_last_pair_win():
    """One direction for all keys, and each write erases what the direction held: only the last value is read."""
    probes = Probes(OuterProduct(dim=1, delta=True), rows=512)
    _, accuracy = probes.capacity([2])
    assert accuracy[2] == pytest.approx(0.5 + 0.5 / VALUES, abs=0.04)


@pytest.mark.parametrize(("matrix", "rank"), [
    (torch.eye(7), 7.0), (torch.outer(torch.arange(1.0, 6), torch.arange(1.0, 4)), 1.0), (torch.zeros(3, 4), 0.0),
    (torch.zeros(3, 0), 0.0), (torch.diag(torch.tensor([3.0, 1.0])), 4 / 3 ** 0.75),
], ids=["identity", "rank one", "zeros", "empty", "three to one"])
def test_effective_rank_of_known_matrices(matrix, rank):
    """Singular values 3 and 1: shares 3/4 and 1/4, entropy log 4 - 3/4 log 3."""
    assert effective_rank(matrix) == pytest.approx(rank, abs=1e-6)


def test_rank_counts_the_directions_that_states_vary_in():
    """The sum of values written to orthogonal keys varies in every direction; a constant state in none."""
    rank, possible = Probes(OuterProduct(), rows=64).rank(16)
    assert possible == 63
    assert 40 < rank <= 63
    constant = torch.ones(64, 5)
    assert Probes(lambda tokens, state=None: (torch.zeros(*tokens.shape, VOCAB), constant)).rank(4) == (0.0, 5)


def test_flatten_takes_real_numbers_by_row():
    state = {"a": torch.ones(3, 2, 2), "b": (torch.ones(3, dtype=torch.complex64), torch.arange(3)), "c": torch.ones(7)}
    assert flatten(state, 3).shape == (3, 4 + 2)


@pytest.mark.parametrize(("accuracy", "symbols", "bits"), [
    (1.0, 16, 4.0), (1 / 16, 16, 0.0), (0.0, 16, 0.0), (0.5, 2, 0.0),
    (0.5, 4, 2 - 1 - 0.5 * math.log2(3)),
])
def test_information_of_an_accuracy(accuracy, symbols, bits):
    assert information(accuracy, symbols) == pytest.approx(bits, abs=1e-12)


def test_questions_do_not_disturb_the_state():
    """Asking twice, or in another order, gives the same answers: the state is read, not continued."""
    asked = []

    class Counting(OuterProduct):
        def __call__(self, tokens, state=None):
            asked.append((tokens.shape[1], id(state)))
            return super().__call__(tokens, state)

    Probes(Counting()).capacity([4])
    writing, *reading = asked
    assert writing[0] == 8
    assert [length for length, _ in reading] == [1] * 4
    assert len({state for _, state in reading}) == 1


def test_probe_texts_are_made_of_the_task_alphabets():
    seen: list[Tensor] = []

    def forward(tokens, state=None):
        seen.append(tokens)
        return torch.zeros(*tokens.shape, VOCAB), torch.zeros(len(tokens), 1)

    Probes(forward).persistence([1, 8])
    text = torch.cat([tokens.flatten() for tokens in seen])
    assert set(text.tolist()) <= set(LETTERS.tolist())
