"""The scoring protocol scores every target once with the context it states, and the byte limit is fair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.windows import first_visible, limit_documents, spans
from harness.errors import UsageError

protocols = st.integers(1, 12).flatmap(lambda window: st.tuples(st.just(window), st.integers(1, window)))


@given(st.integers(0, 80), protocols)
def test_every_target_is_scored_once_and_no_window_is_too_long(length, protocol):
    window, stride = protocol
    times = np.zeros(length, int)
    for span in spans(length, window, stride):
        assert span.stop - span.start <= window
        assert span.start <= span.scored < span.stop
        times[span.scored:span.stop] += 1
    assert (times == 1).all()


@given(st.integers(0, 80), protocols)
def test_a_shorter_stride_leaves_context_before_what_later_windows_score(length, protocol):
    window, stride = protocol
    for k, span in enumerate(spans(length, window, stride)):
        assert span.start == k * stride
        assert span.scored == (span.start + window - stride if k else 0)


@given(st.integers(1, 80), protocols)
def test_first_visible_follows_from_the_definition(length, protocol):
    window, stride = protocol
    for target, first in enumerate(first_visible(length, window, stride)):
        # The first window that reaches the target scores it; it reads the token before its own first target.
        start = next(start for start in range(0, length, stride) if target < start + window)
        assert first == max(start - 1, 0)


def test_with_stride_equal_to_the_window_the_context_resets_but_for_one_token():
    assert first_visible(7, 3).tolist() == [0, 0, 0, 2, 2, 2, 5]


@pytest.mark.parametrize("stride", [-1, 5])
def test_a_stride_outside_the_window_is_refused(stride):
    with pytest.raises(UsageError, match="stride"):
        list(spans(10, 4, stride))


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=40), st.integers(1, 60_000))
def test_limited_documents_fill_the_budget_at_one_common_length(lengths, budget):
    documents = [bytes([i]) * n for i, n in enumerate(lengths)]
    kept = limit_documents(documents, budget)
    assert sum(map(len, kept)) <= budget
    originals = {document[0]: document for document in documents}
    assert all(originals[part[0]].startswith(part) for part in kept)
    cut = [len(part) for part in kept if len(part) < len(originals[part[0]])]
    if cut:
        assert len(set(cut)) == 1 and cut[0] == max(map(len, kept))
        assert sum(map(len, kept)) > budget - len(kept)


def test_a_budget_for_all_documents_keeps_all_and_a_small_one_keeps_evenly_spaced_ones():
    documents = [bytes([i]) * 4000 for i in range(20)]
    assert len(limit_documents(documents, 40_000)) == 20
    kept = limit_documents(documents, 5 * 1024)
    assert [part[0] for part in kept] == [0, 4, 8, 12, 16] and {len(part) for part in kept} == {1024}
    with pytest.raises(UsageError):
        limit_documents(documents, 0)
