"""Training batches repeat for a seed and count their bytes; scoring batches hold every target once."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.batches import TrainStream, score_batches, uniform_tokens
from harness.data.tokenizers import Bytes
from harness.errors import UsageError

BOS = Bytes.bos
DOCUMENTS = [bytes([65 + i]) * (20 + 7 * i) for i in range(12)]


def stream(seed=0, documents=DOCUMENTS, seq_len=16, batch_size=3):
    return TrainStream(documents, Bytes(), seq_len, batch_size, seed)


def test_batches_are_shifted_by_one_and_repeat_for_a_seed():
    first, again, other = (list(islice(stream(seed), 40)) for seed in (5, 5, 6))
    for (inputs, targets, _), (inputs_again, targets_again, _) in zip(first, again, strict=True):
        assert inputs.shape == targets.shape == (3, 16) and inputs.dtype == targets.dtype == torch.int64
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert torch.equal(inputs, inputs_again) and torch.equal(targets, targets_again)
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(first, other, strict=True))


def test_a_drawn_batch_is_text_from_anywhere_and_repeats_for_its_number():
    source = stream()
    text = bytes(b if b != BOS else 0 for b in np.concatenate([[BOS, *d] for d in DOCUMENTS]).tolist())
    firsts = set()
    for number in (*range(200), 1 << 60):
        inputs, targets, n_bytes = source.drawn(number)
        assert torch.equal(inputs, source.drawn(number)[0]) and torch.equal(inputs[:, 1:], targets[:, :-1])
        assert n_bytes == int((targets != BOS).sum())
        for row in torch.cat([inputs, targets[:, -1:]], dim=1):
            firsts.add(place := text.find(bytes(row.masked_fill(row == BOS, 0).tolist())))
            assert place >= 0
    assert len(firsts) > 100
    assert torch.equal(next(source)[0], next(stream())[0])      # the stream goes on as if nothing had been drawn


def test_bytes_of_a_batch_are_its_targets_without_bos():
    for _, targets, n_bytes in islice(stream(), 40):
        assert n_bytes == int((targets != BOS).sum())


def test_an_epoch_reads_every_document_but_for_less_than_two_windows():
    text = sum(map(len, DOCUMENTS)) + len(DOCUMENTS)
    windows = (text - 1 - 16) // 16                            # what any offset leaves room for
    for seed in range(10):
        batches = islice(stream(seed, batch_size=1), windows)
        read = torch.cat([targets.flatten() for _, targets, _ in batches])
        counts = torch.bincount(read, minlength=257)
        assert all(counts[document[0]] <= len(document) for document in DOCUMENTS)      # nothing twice
        assert len(read) > text - 2 * 16


def test_documents_are_shuffled_and_each_follows_bos():
    orders = set()
    for seed in range(5):
        tokens = next(stream(seed, seq_len=sum(map(len, DOCUMENTS)) + len(DOCUMENTS) - 1, batch_size=1))[0][0]
        starts = (tokens == BOS).nonzero().flatten()
        assert len(starts) == len(DOCUMENTS)
        orders.add(tuple(tokens[starts + 1].tolist()))
    assert len(orders) == 5


def test_windows_do_not_come_in_reading_order():
    documents = [np.arange(200, dtype=np.uint8).tobytes()]
    firsts = [int(targets[0, 0]) for _, targets, _ in islice(stream(0, documents, seq_len=8, batch_size=1), 20)]
    assert firsts != sorted(firsts)


def test_a_text_of_exactly_one_window_is_enough_and_a_shorter_one_names_both_numbers():
    inputs, _, n_bytes = next(stream(documents=[b"x" * 16], batch_size=1))
    assert inputs[0].tolist() == [BOS] + [ord("x")] * 15 and n_bytes == 16
    with pytest.raises(UsageError, match=r"16 tokens.* 16 \+ 1"):
        stream(documents=[b"x" * 15])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 4),
    st.integers(0, 8))
def test_scoring_batches_hold_every_target_once_after_its_predecessor(lengths, window, batch_size, shorter):
    generator = np.random.default_rng(sum(lengths))
    documents = [generator.integers(0, 256, n).astype(np.int32) for n in lengths]
    stride = max(1, window - shorter)
    scored = {i: [] for i in range(len(documents))}
    for batch in score_batches(documents, BOS, window, stride, batch_size):
        assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == (batch_size, window)
        assert batch.inputs.dtype == batch.targets.dtype == torch.int64
        rows = zip(batch.inputs, batch.targets, batch.mask, batch.document, strict=True)
        for inputs, targets, mask, document in rows:
            last = int(mask.nonzero().max()) + 1 if mask.any() else 0
            assert torch.equal(inputs[1:last], targets[:max(last - 1, 0)])
            assert (inputs[last:] == BOS).all() and (targets[last:] == BOS).all()
            scored[int(document)] += list(zip(inputs[mask].tolist(), targets[mask].tolist(), strict=True))
    for i, tokens in enumerate(documents):
        assert scored[i] == list(zip([BOS, *tokens[:-1]], tokens, strict=False))


def test_later_windows_start_at_the_token_before_their_first_target():
    batch = next(score_batches([np.arange(10, dtype=np.int32)], BOS, window=4, stride=2, batch_size=5))
    assert batch.inputs[:4].tolist() == [[BOS, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6], [5, 6, 7, 8]]
    assert batch.mask.tolist() == [[True] * 4, *[[False, False, True, True]] * 3, [False] * 4]


def test_uniform_tokens_repeat_for_a_seed_and_use_the_whole_vocabulary():
    tokens = uniform_tokens(11, 4, 100, seed=3)
    assert tokens.shape == (4, 100) and tokens.dtype == torch.int64
    assert set(tokens.flatten().tolist()) == set(range(11))
    assert torch.equal(tokens, uniform_tokens(11, 4, 100, seed=3))
    assert not torch.equal(tokens, uniform_tokens(11, 4, 100, seed=4))
