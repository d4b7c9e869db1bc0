"""Scores against a loop over targets in float64, on windows of every kind."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from harness import LanguageModel
from harness.bench.score import score
from harness.data.batches import ScoreBatch, score_batches

VOCAB, BOS = 11, 10
TOKEN_BYTES = np.array([1, 1, 2, 3, 1, 4, 1, 1, 2, 1, 0])       # BOS stands for no text


class Recurrent(LanguageModel):
    """Logits depend on the whole window so far, and differ in training."""

    def __init__(self):
        super().__init__(None, VOCAB)
        self.embed, self.dropout = nn.Embedding(VOCAB, 8), nn.Dropout(0.5)
        self.rnn, self.head = nn.GRU(8, 8, batch_first=True), nn.Linear(8, VOCAB)

    def forward(self, tokens, state=None):
        hidden, state = self.rnn(self.dropout(self.embed(tokens)), state)
        return self.head(hidden), state


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Recurrent()


@pytest.fixture
def documents():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 10, size=n) for n in (5, 16, 23, 1, 40)]


def naive(model, documents, window):
    """(bits, bytes, tokens, late bits, late bytes) of each document, one target at a time in float64."""
    double, sums = Recurrent().double(), np.zeros((len(documents), 5))
    double.load_state_dict(model.state_dict())
    double.eval()
    for row, tokens in zip(sums, documents, strict=True):
        text = [BOS, *tokens]
        for i, target in enumerate(tokens):
            position = i % window
            logits = double(torch.tensor([text[i - position:i + 1]]))[0][0, -1]
            bits = -torch.log_softmax(logits, -1)[target].item() / math.log(2)
            row[:3] += bits, TOKEN_BYTES[target], 1
            if position >= window // 2:
                row[3:] += bits, TOKEN_BYTES[target]
    return sums


@pytest.mark.parametrize(("window", "batch"), [(8, 3), (16, 4), (64, 2), (7, 1)])
def test_score_equals_the_loop_over_targets(model, documents, window, batch):
    batches = score_batches(documents, BOS, window, batch_size=batch)
    result = score(model, batches, token_bytes=TOKEN_BYTES)
    expected = naive(model, documents, window)
    late = [result.by_document(values, result.late) for values in (result.target_bits, result.target_bytes)]
    for got, want in zip((result.bits, result.bytes, result.tokens, *late), expected.T, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    total = expected.sum(0)
    assert result.bits_per_byte == pytest.approx(total[0] / total[1], rel=1e-6)
    assert result.perplexity_per_byte == pytest.approx(2 ** (total[0] / total[1]), rel=1e-6)
    assert result.perplexity_per_token == pytest.approx(2 ** (total[0] / total[2]), rel=1e-6)
    if window < 64:
        assert result.late_bits_per_byte == pytest.approx(total[3] / total[4], rel=1e-6)


def test_targets_are_told_one_by_one_in_the_order_of_the_text(model, documents):
    result = score(model, score_batches(documents, BOS, 8, batch_size=3), token_bytes=TOKEN_BYTES)
    assert (result.target_bytes == TOKEN_BYTES[np.concatenate(documents)]).all() and result.window == 8
    assert result.position.tolist() == [i % 8 for document in documents for i in range(len(document))]
    assert result.document.tolist() == [i for i, document in enumerate(documents) for _ in document]
    apart = [score(model, score_batches([document], BOS, 8), token_bytes=TOKEN_BYTES) for document in documents]
    np.testing.assert_allclose(result.target_bits, np.concatenate([one.target_bits for one in apart]), rtol=1e-5)


def test_stride_scores_the_same_targets_with_more_context(model, documents):
    whole = score(model, score_batches(documents, BOS, 16), token_bytes=TOKEN_BYTES)
    strided = score(model, score_batches(documents, BOS, 16, stride=4), token_bytes=TOKEN_BYTES)
    assert (strided.tokens == whole.tokens).all() and (strided.bytes == whole.bytes).all()
    assert not np.allclose(strided.bits, whole.bits)


def test_a_uniform_model_needs_log2_of_the_vocabulary(documents):
    class Uniform(LanguageModel):
        def forward(self, tokens, state=None):
            return torch.zeros(*tokens.shape, VOCAB), None

    result = score(Uniform(None, VOCAB), score_batches(documents, BOS, 8), token_bytes=np.ones(VOCAB))
    np.testing.assert_allclose(result.bits, [len(d) * math.log2(VOCAB) for d in documents], rtol=1e-6)
    assert result.perplexity_per_token == pytest.approx(VOCAB, rel=1e-6)


def test_masked_targets_do_not_count_even_where_infinite():
    """A pad with probability 0 costs infinitely many bits; times 0 that is NaN, so it has to be left out."""
    class Certain(LanguageModel):
        def forward(self, tokens, state=None):
            logits = torch.zeros(*tokens.shape, VOCAB)
            logits[..., BOS] = -math.inf
            return logits, None

    batch = ScoreBatch(torch.zeros(1, 4, dtype=torch.int64), torch.tensor([[1, 2, BOS, BOS]]),
                       torch.tensor([[True, True, False, False]]), torch.tensor([0]))
    result = score(Certain(None, VOCAB), [batch], token_bytes=TOKEN_BYTES)
    assert result.bits[0] == pytest.approx(2 * math.log2(10), rel=1e-6)
    assert result.bits_per_byte == pytest.approx(2 * math.log2(10) / 3, rel=1e-6)
    assert math.isnan(result.late_bits_per_byte)


def test_sums_do_not_lose_small_losses_beside_large_ones():
    """2^24 + 1 is not a float32: a float32 sum of a huge loss and many small ones would drop the small."""
    class Split(LanguageModel):
        def forward(self, tokens, state=None):
            logits = torch.zeros(*tokens.shape, 2)
            logits[:, 0, 1] = 2.0**26
            return logits, None

    targets = torch.zeros(1, 1001, dtype=torch.int64)
    batch = ScoreBatch(targets, targets, torch.ones(1, 1001, dtype=torch.bool), torch.tensor([0]))
    result = score(Split(None, 2), [batch], token_bytes=np.ones(2))
    assert result.bits[0] - 2.0**26 / math.log(2) == pytest.approx(1000, rel=1e-6)


def test_half_precision_logits_are_scored_in_float32(documents):
    """Cross entropy inside bfloat16 would be off by up to 0.4 %."""
    torch.manual_seed(0)
    fixed = (torch.randn(VOCAB) * 3).bfloat16()

    class Half(LanguageModel):
        def forward(self, tokens, state=None):
            return fixed.expand(*tokens.shape, VOCAB), None

    result = score(Half(None, VOCAB), score_batches(documents, BOS, 16), token_bytes=TOKEN_BYTES, dtype="bfloat16")
    nats = -torch.log_softmax(fixed.double(), -1).numpy()
    np.testing.assert_allclose(result.bits, [nats[d].sum() / math.log(2) for d in documents], rtol=1e-6)


def test_scoring_leaves_mode_gradients_and_random_state_alone(model, documents):
    model.train()
    before = torch.get_rng_state()
    score(model, score_batches(documents, BOS, 16), token_bytes=TOKEN_BYTES)
    assert model.training and torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in model.parameters())
    model.eval()
    score(model, score_batches(documents, BOS, 16), token_bytes=TOKEN_BYTES)
    assert not model.training


def test_a_broken_model_scores_nan_or_infinity_and_does_not_raise(model, documents):
    with torch.no_grad():
        model.head.bias.fill_(math.nan)
    result = score(model, score_batches(documents, BOS, 16), token_bytes=TOKEN_BYTES)
    assert math.isnan(result.bits_per_byte) and math.isnan(result.perplexity_per_token)
    with torch.no_grad():
        model.head.bias.copy_(torch.linspace(0, 1e5, VOCAB))
    result = score(model, score_batches(documents, BOS, 16), token_bytes=TOKEN_BYTES)
    assert math.isfinite(result.bits_per_byte) and result.perplexity_per_token == math.inf
