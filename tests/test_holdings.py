"""Memory beside a process's own peak: an arena from before, a helper, a file in memory; an honest call adds nothing."""

import mmap
import os
import subprocess
import sys

import pytest
import torch

from harness.bench.holdings import peak_of_all, used_again
from harness.bench.measure import peak_memory, release_memory

MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
ARENA = mmap.mmap(-1, 96 * MIB)
ARENA.write(b"x" * (96 * MIB))
HOLD = f"import sys; held = b'x' * {80 * MIB}; print(flush=True); sys.stdin.read()"


def measured(call, short, held=()):
    release_memory()
    return peak_of_all(peak_memory, call, short, held)


def work(size):
    """Allocates `size` bytes, and small blocks beside them."""
    blocks = [torch.ones(16 * 1024, dtype=torch.uint8) for _ in range(size // (1 << 18))]
    return torch.ones(size, dtype=torch.uint8).max() + len(blocks)


def test_what_a_call_uses_of_older_memory_is_counted_once():
    numbers = torch.frombuffer(ARENA, dtype=torch.uint8)
    release_memory()
    interpreter = used_again(lambda: None)
    assert used_again(lambda: numbers.add_(1)) - interpreter == pytest.approx(96 * MIB, rel=0.1)
    assert abs(used_again(lambda: work(60 * MIB)) - interpreter) < 16 * MIB


@pytest.mark.parametrize("shared", [False, True])
def test_an_arena_from_before_belongs_to_the_peak(shared):
    """Anonymous memory, private or shared: the call takes 80 MiB of it and 40 of its own.

    These are more than the 32 MiB up to which the C library may take them from what other tests have freed.
    """
    place = ARENA if shared else torch.ones(96 * MIB, dtype=torch.uint8)
    arena = torch.frombuffer(place, dtype=torch.uint8) if shared else place

    def call(size):
        arena[:size].add_(1)
        return work(size // 2)

    peak, older = measured(lambda: call(80 * MIB), lambda: call(MIB))
    assert older == pytest.approx(79 * MIB, rel=0.1)
    assert peak == pytest.approx(120 * MIB, rel=0.15)


def test_an_honest_call_has_the_peak_that_it_had():
    weights = torch.ones(64 * MIB, dtype=torch.uint8).view(torch.float32)

    def call(rows):
        return work(rows * MIB) + weights[:rows * (1 << 18)].sum()

    peak, older = measured(lambda: call(60), lambda: call(1), [weights])
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
