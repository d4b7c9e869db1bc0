"""What is familiar: ranks and 13-grams as a loop over words finds them, byte for byte."""

import random
import re
from collections import Counter

import numpy as np
import pytest

from harness.data.documents import Documents
from harness.data.familiarity import GRAM, RANKED, RANKS, SEEN, Familiarity

WORD = re.compile(rb"[\w\x80-\xff]+")


def text(seed, count=300, words=40):
    """Words of a skewed frequency between various separators, some of them stretches of `text(0)`."""
    draw = random.Random(seed)
    parts = []
    while count > 0:
        if draw.random() < 0.1 and seed:
            start = draw.randrange(60)
            parts += text(0, 60 + 30)[: 5000].split(b" ")[start:start + draw.randrange(1, 25)]
        parts.append((b"w%d" if draw.random() < 0.5 else b"W%d") % int(words * draw.random() ** 3))
        count -= 1
    return b" ".join(parts) + draw.choice([b"", b".", b" -- "])


TRAIN, SCORED = [text(seed) for seed in range(4)], [text(seed, words=60) for seed in (10, 11, 12)]


def spelled(document):
    return [word.lower() for word in WORD.findall(document)]


def ranked(train, documents):
    """RANKED by byte, from a dictionary."""
    counts = Counter(word for document in train for word in spelled(document))
    labels = []
    for document in documents:
        own = [0] * len(document)
        for match in WORD.finditer(document):
            count = counts[match[0].lower()]
            rank = 1 + sum(other > count for other in counts.values())
            own[match.start():match.end()] = [2 + sum(rank > edge for edge in RANKS) if count else 1] * len(match[0])
        labels += own
    return labels


def seen(train, documents):
    """SEEN by byte, from a set of tuples."""
    known = {tuple(words[i:i + GRAM]) for words in map(spelled, train) for i in range(len(words) - GRAM + 1)}
    labels = []
    for document in documents:
        own, matches = [0] * len(document), list(WORD.finditer(document))
        for i in range(len(matches) - GRAM + 1):
            if tuple(match[0].lower() for match in matches[i:i + GRAM]) in known:
                start, stop = matches[i].start(), matches[i + GRAM - 1].end()
                own[start:stop] = [1] * (stop - start)
        labels += own
    return labels


def test_ranks_are_those_of_a_dictionary():
    found = Familiarity(TRAIN).ranks(SCORED).tolist()
    assert found == ranked(TRAIN, SCORED) and len(set(found)) == 4 < len(RANKED)


def test_seen_13grams_are_those_of_a_set():
    found = Familiarity(TRAIN).seen(SCORED).tolist()
    assert found == seen(TRAIN, SCORED) and 0.05 < np.mean(found) < 0.95 and set(found) == set(range(len(SEEN)))


def test_a_training_text_is_familiar_with_itself_and_a_gram_spans_no_two_documents():
    assert Familiarity(TRAIN).seen([b"  " + TRAIN[0]]).tolist()[:2] == [0, 0]
    assert Familiarity(TRAIN).seen([TRAIN[0]]).mean() > 0.99
    words = b"a b c d e f g h i j k l m".split()
    assert len(words) == GRAM
    apart = Familiarity([b" ".join(words[:6]), b" ".join(words[6:])])
    assert not apart.seen([b" ".join(words)]).any() and Familiarity([b"_ " + b" ".join(words)]).seen(
        [b", ".join(words)]).all()


@pytest.mark.parametrize(("train", "scored"), [([b"..."], [b"a b", b""]), ([b"a", b""], [b"--"])])
def test_texts_without_words_have_labels_too(train, scored):
    known = Familiarity(train)
    assert known.ranks(scored).tolist() == ranked(train, scored)
    assert not known.seen(scored).any() and len(known.seen(scored)) == sum(map(len, scored))


def test_a_corpus_tells_its_contamination():
    clean = Documents("a", (b"one text",), (b"another text",))
    mixed = Documents("a", (TRAIN[0],), (TRAIN[0], b"x" * len(TRAIN[0])))
    assert clean.contamination == 0 and mixed.contamination == pytest.approx(0.5, abs=0.01)
    assert mixed.describe()["seen_13grams_share"] == mixed.contamination
