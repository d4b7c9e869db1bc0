"""The largest length that fits, on simulated memory of known size."""

import time

import pytest
import torch

from harness.bench.largest import largest_that_fits
from harness.bench.workbench import TorchWorkbench

ROOM = 80 << 30


def linear(length):
    return 3e9 + 2.5e6 * length


def quadratic(length):
    return 3e9 + 1e5 * length + 40 * length**2


def stepped(length):
    """An allocator that rounds up to blocks of 2 MiB and keeps a tenth for itself."""
    return 1.1 * -(-linear(length) // (2 << 20)) * (2 << 20)


@pytest.mark.parametrize("needs", [linear, quadratic, stepped])
@pytest.mark.parametrize(("share", "step"), [(1 / 32, 1), (1 / 32, 64), (1e-9, 1), (1e-9, 128)])
def test_the_largest_length_is_found_to_within_its_share(needs, share, step):
    tried = []

    def fits(length):
        tried.append(length)
        return needs(length) <= ROOM

    found = largest_that_fits(fits, 1024, 1 << 24, share=share, step=step)
    assert needs(found.fits) <= ROOM < needs(found.fails)
    assert found.fits % step == 0 and found.fails - found.fits <= max(step, share * found.fits)
    assert len(tried) == len(set(tried)) == found.tried <= 40
    first = next(number for number, length in enumerate(tried) if needs(length) > ROOM)
    assert tried[:first + 1] == sorted(tried[:first + 1])


def test_what_fits_everywhere_or_nowhere_is_told():
    everywhere = largest_that_fits(lambda length: True, 100, 1000)
    assert (everywhere.fits, everywhere.fails) == (1000, None)
    nowhere = largest_that_fits(lambda length: False, 64, 1000, share=1e-9)
    assert (nowhere.fits, nowhere.fails) == (0, 1)
    assert largest_that_fits(lambda length: False, 64, 1000, step=64).fails == 64
    for wrong in ((0, 10), (20, 10)):
        with pytest.raises(ValueError, match="no lengths from"):
            largest_that_fits(lambda length: True, *wrong)


def test_no_try_begins_when_the_time_is_over(monkeypatch):
    clock, tried = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def fits(length):
        tried.append(length)
        clock[0] += length / 100
        return length <= 1000

    found = largest_that_fits(fits, 100, 1 << 20, limit=31)             # 1, 3 and 7 s after them, 15 s, 31 s
    assert (tried, found.fits, found.fails, found.out_of_time) == ([100, 200, 400, 800, 1600], 800, 1600, True)
    tried.clear()
    found = largest_that_fits(fits, 100, 1 << 20, limit=0)
    assert (tried, found.fails, found.out_of_time) == ([100], None, True)


@pytest.mark.parametrize(("most", "room"), [(1000, 1000), (1 << 20, 1000), (1 << 20, 10)])
def test_a_search_that_came_to_its_end_is_not_out_of_time(monkeypatch, most, room):
    """Whenever that was: at the largest length, at two lengths that are near enough, at nothing that fits."""
    clock, tries = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def fits(length):
        clock[0] += 1
        tries.append(length)
        return length <= room

    assert not largest_that_fits(fits, 100, most).out_of_time
    clock[0], tries[:], ends = 0.0, [], len(tries)
    assert not largest_that_fits(fits, 100, most, limit=ends).out_of_time
    assert largest_that_fits(fits, 100, most, limit=ends - 1).out_of_time == (ends > 1)


def test_the_bench_takes_a_lack_of_memory_for_a_length_that_does_not_fit_and_nothing_else():
    bench = TorchWorkbench.__new__(TorchWorkbench)

    def out_of(length):
        if length > 777:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.zeros(length)

    found = bench.largest_length(out_of, 16, 4096, share=1e-9)
    assert (found.fits, found.fails) == (777, 778)
    with pytest.raises(ZeroDivisionError):
        bench.largest_length(lambda length: 1 / 0, 16, 4096)
