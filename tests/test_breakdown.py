"""A breakdown: parts add up to the score, positions are octaves, a token is of the kind of its first byte."""

import numpy as np
import pytest

from harness.bench.breakdown import by_familiarity, by_position
from harness.bench.score import Score
from harness.data.familiarity import RANKED, SEEN, Familiarity

TEXTS = [b"the cat sat on the mat, the dog did not", b"unheard!", b"a dog and a cat"]
TRAIN = [b"the cat and the dog sat on a mat"]


def scored(texts, window, token=1):
    """Random bits for tokens of `token` bytes each, the last of a text shorter."""
    sizes = [np.diff([*range(0, len(text), token), len(text)]) for text in texts]
    count = np.array(list(map(len, sizes)))
    bits = np.random.default_rng(0).exponential(size=count.sum())
    return Score(bits, np.concatenate(sizes), np.concatenate([np.arange(n) % window for n in count]),
                 np.repeat(np.arange(len(texts)), count), window)


@pytest.mark.parametrize("token", [1, 3])
@pytest.mark.parametrize("window", [1, 8, 64])
def test_each_breakdown_adds_up_to_the_score(window, token):
    score = scored(TEXTS, window, token)
    parts = by_familiarity(score, TEXTS, Familiarity(TRAIN))
    ranks, seen = ([part for part in parts if part.name in names] for names in (RANKED, SEEN))
    assert len(ranks) + len(seen) == len(parts)
    for found in (by_position(score), ranks, seen):
        assert sum(part.bytes.sum() for part in found) == score.bytes.sum() == sum(map(len, TEXTS))
        assert sum(part.bits.sum() for part in found) == pytest.approx(score.bits.sum(), rel=1e-13)
        assert all((part.bytes > 0).all() and len(part.bytes) == len(part.bits) for part in found)


@pytest.mark.parametrize(("window", "names"), [
    (1, ["0"]), (2, ["0", "1"]), (5, ["0", "1", "2-3", "4"]), (16, ["0", "1", "2-3", "4-7", "8-15"]),
    (24, ["0", "1", "2-3", "4-7", "8-15", "16-23"])])
def test_positions_are_octaves_up_to_the_end_of_the_window(window, names):
    score = scored(TEXTS[:1], window)
    found = {part.name: part for part in by_position(score)}
    assert list(found) == [f"position_{name}" for name in names]
    for name, part in found.items():
        first, _, last = name.removeprefix("position_").partition("-")
        inside = (score.position >= int(first)) & (score.position <= int(last or first))
        assert part.bits.sum() == pytest.approx(score.target_bits[inside].sum()) and inside.sum() == part.bytes.sum()


def test_positions_that_no_document_reaches_are_left_out():
    assert [part.name for part in by_position(scored([b"abc"], 256))] == [
        "position_0", "position_1", "position_2-3"]


def test_a_token_is_of_the_kind_of_its_first_byte():
    text = b"cat, zebra"                                            # "cat", ", z", "ebr", "a": the third is unheard
    score = scored([text], 8, token=3)
    found = {part.name: part.bytes.sum() for part in by_familiarity(score, [text], Familiarity(TRAIN))}
    assert found == {"between_words": 3, "word_unseen": 4, "word_rank_1-10": 3, "unseen_13grams": 10}


def test_a_document_without_a_kind_takes_no_part_in_it():
    score = scored(TEXTS, 8)
    unheard = next(p for p in by_familiarity(score, TEXTS, Familiarity(TRAIN)) if p.name == "word_unseen")
    assert unheard.bytes.tolist() == [len("did" + "not"), len("unheard")]
