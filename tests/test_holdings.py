"""Memory beside a process's own peak: an arena from before, a helper, a file in memory; an honest call adds nothing."""

import mmap
import os
import subprocess
import sys

import pytest
import torch
from conftest import alone

from harness.bench.holdings import peak_of_all, used_again
from harness.bench.measure import peak_memory, release_memory

MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
HOLD = f"import sys; held = b'x' * {80 * MIB}; print(flush=True); sys.stdin.read()"


def measured(call, short, held=()):
    release_memory()
    return peak_of_all(peak_memory, call, short, held)


def work(size):
    """Allocates `size` bytes, and small blocks beside them."""
    blocks = [torch.ones(16 * 1024, dtype=torch.uint8) for _ in range(size // (1 << 18))]
    return torch.ones(size, dtype=torch.uint8).max() + len(blocks)


def an_arena(shared):
    """96 MiB of anonymous memory, private or shared."""
    if not shared:
        return torch.ones(96 * MIB, dtype=torch.uint8)
    place = mmap.mmap(-1, 96 * MIB)
    place.write(b"x" * (96 * MIB))
    return torch.frombuffer(place, dtype=torch.uint8)


def used_beside_the_interpreter():
    """Bytes of older memory: by a call that uses an arena, and by one that does not."""
    numbers = an_arena(shared=True)
    release_memory()
    interpreter = used_again(lambda: None)
    return used_again(lambda: numbers.add_(1)) - interpreter, used_again(lambda: work(60 * MIB)) - interpreter


def test_what_a_call_uses_of_older_memory_is_counted_once():
    arena, none = alone(used_beside_the_interpreter)
    assert arena == pytest.approx(96 * MIB, rel=0.1)
    assert abs(none) < 16 * MIB


def taken_from_an_arena(shared):
    arena = an_arena(shared)

    def call(size):
        arena[:size].add_(1)
        return work(size // 2)

    return measured(lambda: call(80 * MIB), lambda: call(MIB))


@pytest.mark.parametrize("shared", [False, True])
def test_an_arena_from_before_belongs_to_the_peak(shared):
    """The call takes 80 MiB of it and 40 of its own."""
    peak, older = alone(taken_from_an_arena, shared)
    assert older == pytest.approx(79 * MIB, rel=0.1)
    assert peak == pytest.approx(120 * MIB, rel=0.15)


def taken_honestly():
    weights = torch.ones(64 * MIB, dtype=torch.uint8).view(torch.float32)

    def call(rows):
        return work(rows * MIB) + weights[:rows * (1 << 18)].sum()

    return measured(lambda: call(60), lambda: call(1), [weights])


def test_an_honest_call_has_the_peak_that_it_had():
    peak, older = alone(taken_honestly)
    assert older == 0
    assert peak == pytest.approx(60 * MIB, rel=0.15)


def test_what_a_helper_holds_belongs_to_the_peak():
    helpers = []

    def call():
        helpers.append(subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        helpers[0].stdout.readline()

    try:
        assert 80 * MIB <= peak_memory(call) < 120 * MIB
    finally:
        helpers[0].communicate()


def test_a_file_in_memory_belongs_to_the_peak():
    file = os.memfd_create("arena")
    try:
        assert peak_memory(lambda: os.write(file, b"x" * (50 * MIB))) == pytest.approx(100 * MIB, rel=0.1)
    finally:                                                    # the bytes written, and the file that they are in
        os.close(file)
