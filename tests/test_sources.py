"""Known-entropy sources: the same bytes everywhere, exact floors, and oracles that no honest model beats."""

import math
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from harness.data.sources import HiddenMarkov, copy, hmm, markov
from harness.data.tokenizers import Bytes
from harness.data.windows import first_visible, first_visible_byte, spans
from harness.errors import UsageError

SOURCES = {"markov": markov, "hmm": hmm, "copy": copy}
SHA256 = {
    "markov": "07dda674668b561847cf9a9752a7c7d6bf36274139774c3cd0530ec767700b4e",
    "hmm": "eb73dd19122bd19a19a978ff70afa84c2bf40c2e5a07da3a0dd0e18b5b372a40",
    "copy": "996c83790ed5a911e3e6ed127099189633ca0ae64cd3bc75d773e7877d159614",
}


@pytest.fixture(scope="module", params=SOURCES)
def corpus(request):
    return SOURCES[request.param]()


def test_the_text_is_the_same_on_every_machine(corpus):
    assert corpus.sha256 == SHA256[corpus.name]


def test_other_seeds_give_other_texts_and_fewer_documents_the_same_held_out_text(corpus):
    make = SOURCES[corpus.name]
    assert make(seed=1, documents=1).heldout != corpus.heldout
    fewer = make(documents=2)
    assert fewer.heldout == corpus.heldout and len(fewer.train) == 2


def test_the_text_is_printable_and_of_the_promised_size(corpus):
    assert len(corpus.train) == 320 and len(corpus.heldout) == 48
    assert sum(map(len, corpus.train)) == 320 * 4096
    assert b"".join(corpus.train).isalpha()


def test_the_oracle_agrees_with_the_entropy_rate(corpus):
    """Over 1.3 MB, within four standard errors of the mean over documents plus what is paid at their starts."""
    losses = np.array([bits.mean() for bits in oracle_loss(corpus.oracle, corpus.train, 4096)])
    error = losses.std() / math.sqrt(len(losses))
    start = 4 * 2 / 4096                                        # at most two letters' worth of not knowing the state
    assert -4 * error <= losses.mean() - corpus.oracle.entropy_bits_per_byte <= 4 * error + start


def test_the_rates_are_those_of_the_tables():
    """From nothing but the text: the chances of a letter given the last one are the listed 64ths in every context."""
    text = b"".join(markov().train)
    following = defaultdict(Counter)
    for a, b in pairwise(text):
        following[a][b] += 1
    for counts in following.values():
        chances = np.array(sorted(counts.values(), reverse=True)) / counts.total()
        assert chances == pytest.approx(np.array([32, 8, 4, 4, 4, 2, *[1] * 10]) / 64, abs=0.01)
    assert markov().oracle.entropy_bits_per_byte == 2.71875
    assert hmm().oracle.entropy_bits_per_byte == copy().oracle.entropy_bits_per_byte == 2.0


def oracle_loss(source, documents, window, stride=0):
    """Of a reader of bytes."""
    return source.log_loss(documents, [first_visible(len(document), window, stride) for document in documents])


def count_loss(corpus, order, window):
    """Mean bits per held-out byte of an honest model: counts after the last `order` letters, shrunk to shorter ones."""
    counts = [defaultdict(Counter) for _ in range(order + 1)]
    for document in corpus.train:
        for t, letter in enumerate(document):
            for k in range(min(order, t) + 1):
                counts[k][document[t - k:t]][letter] += 1

    def chance(context, letter):
        seen = counts[len(context)][context]
        shorter = chance(context[1:], letter) if context else 1 / 256
        return (seen[letter] + shorter) / (seen.total() + 1)

    bits = []
    for document in corpus.heldout[:12]:
        for span in spans(len(document), window):
            for t in range(span.scored, span.stop):
                context = document[max(t - order, span.start - 1, 0):t]
                bits.append(-math.log2(chance(context, document[t])))
    return float(np.mean(bits))


@pytest.mark.parametrize(("name", "order", "closest", "farthest"), [
    ("markov", 0, 1.2, 1.4), ("markov", 1, 0.0, 0.01), ("markov", 2, 0.0, 0.1),
    ("hmm", 1, 0.5, 1.1), ("hmm", 3, 0.1, 1.0), ("copy", 2, 1.9, 2.4),
])
def test_counting_comes_as_near_as_its_context_allows_and_never_below(name, order, closest, farthest):
    corpus = SOURCES[name](documents=64)
    oracle = np.mean(np.concatenate(oracle_loss(corpus.oracle, corpus.heldout[:12], 256)))
    excess = count_loss(corpus, order, 256) - oracle
    assert closest <= excess <= farthest


@pytest.mark.parametrize(("window", "stride"), [(8, 8), (16, 5), (64, 64)])
def test_the_hidden_state_filter_equals_the_sum_over_all_hidden_paths(window, stride):
    """Unifilar: a first state and the text fix the path, so a text's chance is an exact sum over first states."""
    corpus = hmm(documents=1)
    source, document = corpus.oracle, corpus.heldout[0][:60]

    def chance(text):
        total = Fraction(0)
        for state in range(HiddenMarkov.STATES):
            path = Fraction(1, HiddenMarkov.STATES)
            for byte in text:
                rank = source._letter[state].tolist().index(byte - ord("a"))
                path *= Fraction(source.WEIGHTS[rank], 64)
                state = source._move[state, rank]
            total += path
        return total

    expected = np.empty(len(document))
    for span in spans(len(document), window, stride):
        for t in range(span.scored, span.stop):
            seen = document[max(span.start - 1, 0):t]
            expected[t] = -math.log2(chance(seen + document[t:t + 1]) / chance(seen))
    assert oracle_loss(source, [document, document[:7]], window, stride)[0] == pytest.approx(expected, abs=1e-9)


def test_one_letter_in_sight_says_nothing_about_a_second_order_chain():
    """So the oracle pays four bits at the start of a window; counted from the text."""
    corpus = markov(order=2)
    text = b"".join(corpus.train)
    pairs, singles = Counter(pairwise(text)), Counter(text)
    conditional = sum(n / len(text) * math.log2(singles[a] / n) for (a, _), n in pairs.items())
    assert conditional == pytest.approx(4, abs=0.001)
    bits = oracle_loss(corpus.oracle, corpus.heldout[:1], 16)[0]
    assert (bits[::16] == 4).all() and bits[1] == 4 and bits.mean() < 3


@pytest.mark.parametrize("length", [3, 32, 100])
@pytest.mark.parametrize(("window", "stride"), [(16, 16), (64, 20), (256, 256)])
def test_a_copy_is_free_only_where_its_original_is_in_the_window(length, window, stride):
    corpus = copy(length=length, documents=1)
    document = corpus.heldout[0]
    expected = np.full(len(document), 4.0)
    for span in spans(len(document), window, stride):
        for t in range(span.scored, span.stop):
            original = t - length
            if document[t:t + 1].isupper() and original >= max(span.start - 1, 0):
                assert document[original] == ord(document[t:t + 1].lower())
                expected[t] = 0
    assert oracle_loss(corpus.oracle, [document], window, stride)[0].tolist() == expected.tolist()


@pytest.mark.parametrize("sizes", [[2], [1, 3], [4, 1, 1]])
def test_tokens_of_several_bytes_see_the_bytes_that_their_window_stands_for(sizes):
    """A loop over tokens: the window's first input is the token before its first target, and a token's own earlier
    bytes are in sight. Copying is free exactly where the original lies in that text."""
    corpus, window, length = copy(length=16, documents=1), 12, 16
    document = corpus.heldout[0]
    lengths = np.resize(sizes, len(document))
    lengths = lengths[:np.searchsorted(np.cumsum(lengths), len(document), side="right")]
    document = document[:lengths.sum()]
    expected, starts = [], np.cumsum([0, *lengths])
    for span in spans(len(lengths), window):
        first = starts[max(span.start - 1, 0)]
        for t in range(starts[span.scored], starts[span.stop]):
            free = document[t:t + 1].isupper() and t - length >= first
            expected.append(0.0 if free else 4.0)
    visible = first_visible_byte(lengths, window)
    assert corpus.oracle.log_loss([document], [visible])[0].tolist() == expected
    bytes_only = oracle_loss(corpus.oracle, [document], window)[0]
    assert sum(expected) < bytes_only.sum()             # a window of tokens holds more text than one of bytes


def test_oracles_score_every_byte_of_truncated_texts(corpus):
    texts = [document[:n] for n, document in zip((0, 1, 2, 300), corpus.heldout, strict=False)]
    losses = oracle_loss(corpus.oracle, texts, 256)
    assert [len(bits) for bits in losses] == [0, 1, 2, 300]
    assert all(np.isfinite(bits).all() and (bits >= 0).all() for bits in losses)
    assert all(len(Bytes().encode(text)) == len(bits) for text, bits in zip(texts, losses, strict=True))


def test_impossible_options_are_refused():
    refused = [(markov, {"order": 0}), (markov, {"order": 5}), (copy, {"length": 0}), (copy, {"length": 2049}),
               (hmm, {"documents": 0}), *((make, {"seed": -1}) for make in (markov, hmm, copy))]
    for make, options in refused:
        with pytest.raises(UsageError):
            make(**options)
