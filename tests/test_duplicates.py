"""Duplicates: what held-out text has is left out of training, exactly or nearly; what stands once stays as it is."""

import random

from harness.data.duplicates import NEAR, SHINGLE, deduplicate


def paragraph(seed, count=40):
    draw = random.Random(seed)
    return b" ".join(b"word%d" % draw.randrange(10**6) for _ in range(count))


def test_texts_without_repetition_stay_byte_for_byte():
    train, heldout = [b"\n\n".join(map(paragraph, range(5))), b"short"], [paragraph(9), b"short\n\nshort"]
    found = deduplicate(train, heldout)
    assert (found.train, found.heldout) == (tuple(train), tuple(heldout))
    assert found.repeated_bytes == found.near_bytes == 0


def test_a_paragraph_stays_once_and_first_in_heldout_text():
    one, other, third = map(paragraph, range(3))
    again = b"  " + one.replace(b" ", b"\n   ").upper() + b"!"
    found = deduplicate([again, other + b"\n\n" + third, third], [one, b"head\n \n" + one])
    assert found.heldout == (one, b"head") and found.train == (other + b"\n\n" + third,)
    assert found.repeated_bytes == len(again) + len(one) + len(third) and found.near_bytes == 0


def test_fewer_words_than_a_shingle_stay_wherever_they_stand():
    few = paragraph(1, SHINGLE - 1)
    assert deduplicate([few, few], [few]).train == (few, few)
    enough = paragraph(1, SHINGLE)
    assert deduplicate([enough, enough], [enough]).train == ()


def test_near_is_more_than_half_of_the_shingles():
    scored = paragraph(1, 60)
    for shared in (20, 27, 28, 29, 30, 36):
        near = b" ".join(scored.split()[:shared]) + b" " + paragraph(2, 40 - shared)
        total, common = 40 - SHINGLE + 1, shared - SHINGLE + 1                      # counted by hand
        found = deduplicate([near, paragraph(3)], [scored])
        assert (near in found.train) == (common <= NEAR * total)
        assert found.near_bytes == (0 if near in found.train else len(near))


def test_no_shingle_reaches_over_a_blank_line():
    scored = paragraph(1, 20)
    halves = scored.split()[:10], scored.split()[10:]
    text = b"\n\n".join(b" ".join(half) for half in halves)
    assert deduplicate([text], [b" ".join(halves[0][5:] + halves[1][:5])]).train == (text,)


def test_the_order_of_training_documents_decides_only_which_copy_stays():
    texts = [b"\n\n".join((paragraph(i), paragraph(i % 3))) for i in range(3, 9)]
    one, other = deduplicate(texts, [paragraph(99)]), deduplicate(texts[::-1], [paragraph(99)])
    assert sum(map(len, one.train)) == sum(map(len, other.train)) and one.repeated_bytes == other.repeated_bytes > 0
