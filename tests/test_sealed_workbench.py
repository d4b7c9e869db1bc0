"""The sealed workbench: windows of any length score every token once, one ledger holds what the seal asks about, and
rows tell what a corpus has to say of itself."""

import math
from types import SimpleNamespace

import pytest
import torch

from harness import Cell
from harness.data.documents import Documents
from harness.data.faithful import Faithful
from harness.data.tokenizers import bytes_tokenizer
from harness.referee.ledger import Ledger
from harness.referee.workbench import Away, SealedWorkbench

TEXT = [b"abcdefghij" * 3, b"one and two"]


@pytest.fixture
def bench(monkeypatch):
    """Without rooms: the model is uniform, its calls are noted."""
    bench = object.__new__(SealedWorkbench)
    bench.cell, bench.ledger, bench.calls = Cell("perplexity", "toy", seq_len=4, batch_size=6), Ledger(), []
    bench.tokenizer = Faithful(bytes_tokenizer())

    def forward(model, tokens, state, how):
        bench.calls.append(tuple(tokens.shape))
        return torch.zeros(*tokens.shape, 257), None

    monkeypatch.setattr(bench, "_forward", forward, raising=False)
    bench.rooms = SimpleNamespace()
    return bench


@pytest.mark.parametrize(("window", "shape"), [(0, (6, 4)), (4, (6, 4)), (8, (3, 8)), (16, (1, 16)), (64, (1, 64))])
def test_every_token_is_scored_once_in_windows_of_any_length(bench, window, shape):
    score = bench.score(Away(1), TEXT, window)
    assert set(bench.calls) == {shape} and score.window == shape[1]
    assert score.tokens.tolist() == [30, 11] and score.bits_per_byte == pytest.approx(math.log2(257))
    assert score.position.max() == min(shape[1], 30) - 1


def test_further_scorings_of_a_model_are_sealed_with_the_first(bench):
    bench.score(Away(1), TEXT)
    bench.score(Away(1), TEXT, 16, further=True)
    assert bench.ledger.seen == 2 * 41
    assert {len(place.tokens) for place in bench.ledger.places} == {4, 16}
    bench.score(Away(1), TEXT)
    assert bench.ledger.seen == 41 and {len(place.tokens) for place in bench.ledger.places} == {4}


def test_every_row_tells_what_a_corpus_has_to_say_of_itself(bench, monkeypatch):
    bench.registry = SimpleNamespace(corpus=lambda text: (None, None))
    bench._facts, bench.checkpoint = {"reason": "an earlier note"}, None
    text = Documents("a", (b"some text",), (b"other words",), note="it lies there")
    monkeypatch.setattr("harness.bench.cell_data.load_documents", lambda spec, selector: text)
    assert bench.documents is text
    assert bench._facts["reason"] == "an earlier note; it lies there" and bench._facts["corpus_sha256"] == text.sha256
