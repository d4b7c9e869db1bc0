"""Random numbers of a text: pinned, apart from those of all others, and of the distribution that they say."""

import numpy as np
import pytest

from harness.data.abilities.stream import Stream


def test_the_numbers_are_those_of_philox_under_a_hash_of_the_name():
    """The counter, key and rounds of Philox 4x64-10, in Python integers."""
    from hashlib import blake2b
    mask, index = (1 << 64) - 1, 5
    key = [int.from_bytes(blake2b(b"mqar test 3", digest_size=8).digest(), "little"), index]
    counter = [1, 0, 0, 0]                                  # NumPy counts before it draws
    for _ in range(10):
        high, low = divmod(counter[0] * 0xD2E7470EE14C6C93, 1 << 64)
        higher, lower = divmod(counter[2] * 0xCA5A826395121157, 1 << 64)
        counter = [higher ^ counter[1] ^ key[0], lower, high ^ counter[3] ^ key[1], low]
        key = [key[0] + 0x9E3779B97F4A7C15 & mask, key[1] + 0xBB67AE8584CAA73B & mask]
    assert Stream("mqar", "test", 3, index).bits(4).tolist() == counter


def test_texts_parts_seeds_and_tasks_share_no_numbers():
    names = [(task, part, seed, index) for task in ("a", "b") for part in ("train", "test") for seed in (0, 1)
             for index in (0, 1)]
    drawn = {name: tuple(Stream(*name).bits(3).tolist()) for name in names}
    assert len(set(drawn.values())) == len(names)
    assert all(tuple(Stream(*name).bits(3).tolist()) == bits for name, bits in drawn.items())


def test_what_is_shared_is_so_by_all_texts_of_a_task_and_seed():
    shared = [Stream("a", part, 0, index).shared().bits(2).tolist() for part in ("train", "test") for index in (0, 7)]
    assert shared.count(shared[0]) == len(shared)
    assert Stream("a", "test", 1, 0).shared().bits(2).tolist() != shared[0]


def test_distinct_numbers_are_distinct_and_every_order_is_as_likely():
    stream = Stream("a", "test", 0, 0)
    drawn = [tuple(stream.distinct(4, 2).tolist()) for _ in range(6000)]
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert len(counts) == 12
    assert abs(counts - 500).max() < 5 * 500**0.5
    assert sorted(stream.distinct(9, 9).tolist()) == list(range(9))


def test_bounds_and_shares():
    stream = Stream("a", "test", 0, 0)
    assert set(stream.below(3, 200).tolist()) == {0, 1, 2}
    assert {stream.one(4, 6) for _ in range(200)} == {4, 5, 6}
    assert 0 <= stream.shares(1000).min() < 0.01 < 0.99 < stream.shares(1000).max() < 1


@pytest.mark.parametrize("n", [1, 3])
def test_weighted_places_come_one_after_the_other_without_those_that_are_gone(n):
    """Against the chances of successive draws in closed form, five standard errors of 8,000."""
    weights, stream, rows = np.array([1.0, 2.0, 5.0]), Stream("a", "test", 0, 0), 8000
    counts = {}
    for _ in range(rows):
        drawn = tuple(stream.weighted(weights, n).tolist())
        counts[drawn] = counts.get(drawn, 0) + 1
    for drawn, count in counts.items():
        left, chance = 8.0, 1.0
        for place in drawn:
            chance, left = chance * weights[place] / left, left - weights[place]
        assert abs(count / rows - chance) < 5 * (chance * (1 - chance) / rows) ** 0.5
    assert len(counts) == (3 if n == 1 else 6)
