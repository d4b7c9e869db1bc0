"""Clocks against sleeps, warm-up and calibration on a scripted clock, interleaving, peak memory of known tensors."""

import contextlib
import math
import sys
import threading
import time

import pytest
import torch

from harness.bench import measure
from harness.bench.measure import Clock, calibrate, peak, peak_memory, release_memory, time_cases, time_rounds, warm_up
from harness.errors import Unsupported

MIB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="CPU peak memory needs Linux")


class Scripted:
    """A clock on which the n-th call takes `seconds[n]`, the last value for ever after."""

    def __init__(self, *seconds):
        self.seconds, self.calls, self.measured = seconds, 0, []

    def time(self, call, calls=1):
        total = 0.0
        for _ in range(calls):
            call()
            total += self.seconds[min(self.calls, len(self.seconds) - 1)]
            self.calls += 1
        self.measured.append((calls, total))
        return total


def nothing():
    pass


def test_clock_measures_all_calls_together():
    seconds = Clock("cpu").time(lambda: time.sleep(0.01), calls=3)
    assert 0.03 <= seconds < 0.3


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_clock_waits_for_the_device():
    """Ten products queued in microseconds take as long as one product of ten times the work, within a factor of 1.5."""
    a = torch.randn(4096, 4096, device="cuda")
    clock = Clock("cuda")
    warm_up(lambda: a @ a, clock)
    ten, one = clock.time(lambda: a @ a, 10), clock.time(lambda: [a @ a for _ in range(10)])
    assert 2 / 3 < ten / one < 1.5
    assert ten > 10 * 2 * 4096**3 / 2e15                        # faster than any device is


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_peak_of_a_known_tensor():
    names = peak(lambda: torch.empty(200 * MIB, dtype=torch.uint8, device="cuda"), "cuda")
    assert set(names) == {"allocated", "reserved", "process"}
    assert names["allocated"] == 200 * MIB
    assert all(200 * MIB <= names[name] < 240 * MIB for name in ("reserved", "process"))


def test_warm_up_stops_once_calls_get_no_faster():
    """A slow first call (compilation), two that still improve, then three that do not."""
    clock = Scripted(9.0, 0.03, 0.02, 0.01)
    assert warm_up(nothing, clock) == 0.01
    assert clock.calls == 7


def test_warm_up_is_bounded_in_time_not_counting_the_first_call():
    clock = Scripted(60.0, *(0.9**n for n in range(100)))
    warm_up(nothing, clock, limit=2.0)
    assert clock.calls == 4                                     # 60 s, then 1 + 0.9 + 0.81 >= 2


@pytest.mark.parametrize(("seconds", "least"), [(1.0, 1), (0.02, 1), (0.011, 2), (1e-4, 200), (1e-7, 200_000)])
def test_calibration_makes_rounds_long_enough_and_not_much_longer(seconds, least):
    calls = calibrate(nothing, Scripted(seconds), min_time=0.02)
    assert least <= calls <= math.ceil(1.2 * least)


def test_calibration_does_not_trust_a_reading_of_no_time():
    """A coarse clock may read 0 for a call; a round of what that suggests would take hours."""
    assert calibrate(nothing, Scripted(0.0, 0.0, 0.0, 0.0, 1e-3), min_time=0.02) <= 25


def test_rounds_are_seconds_per_call():
    clock = Scripted(0.005)
    seconds = time_rounds(nothing, 6, clock=clock, min_time=0.02)
    assert seconds == pytest.approx([0.005] * 6)
    assert [calls for calls, _ in clock.measured[-6:]] == [5] * 6


def test_everything_runs_in_our_turn_and_each_round_has_its_own():
    """Two workers share a baton: while one holds it the other never computes, and rounds come one a turn."""
    baton, inside, log = threading.Lock(), [], []

    @contextlib.contextmanager
    def turn():
        with baton:
            inside.append(1)
            log.append(threading.current_thread().name)
            yield
            inside.pop()
        time.sleep(0.002)                                       # lets the other have it

    def call():
        assert len(inside) == 1
        time.sleep(0.001)

    results = {}

    def work(name):
        results[name] = time_rounds(call, 5, clock=Clock(), min_time=0.003, turn=turn)

    workers = [threading.Thread(target=work, args=(name,), name=name) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {name: len(seconds) for name, seconds in results.items()} == {"a": 5, "b": 5}
    assert log.count("a") == log.count("b") == 6                # warm-up and calibration share a turn


def test_nothing_is_computed_outside_a_turn():
    ours = []

    @contextlib.contextmanager
    def turn():
        ours.append(1)
        yield
        ours.clear()

    def call():
        assert ours

    assert len(time_rounds(call, 3, clock=Scripted(0.01), turn=turn)) == 3


def test_cases_run_once_a_round_in_changing_order():
    log = []
    cases = {name: (lambda name=name: log.append(name)) for name in "abcd"}
    times = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}

    class ByName:
        def time(self, call, calls=1):
            call()
            return times[log[-1]] * calls

    seconds = time_cases(cases, 20, seed=3, clock=ByName(), min_time=0.15)
    rounds = ["".join(log[i:i + 4]) for i in range(len(log) - 80, len(log), 4)]
    assert all(sorted(order) == list("abcd") for order in rounds)
    assert len(set(rounds)) > 8                                 # of 24 orders
    assert {order[0] for order in rounds} == set("abcd")
    assert {name: pytest.approx([times[name]] * 20) for name in "abcd"} == seconds      # "a" takes two calls a round
    log.clear()
    time_cases(cases, 20, seed=3, clock=ByName(), min_time=0.15)
    assert ["".join(log[i:i + 4]) for i in range(len(log) - 80, len(log), 4)] == rounds
    assert len(time_cases(cases, 20, clock=ByName(), limit=0)["a"]) == measure.FEWEST
    assert len(time_cases(cases, 4, clock=ByName(), limit=0)["a"]) == 4


@linux
def test_peak_of_a_known_tensor():
    """Large beside the pages of code that the system may have dropped and the process takes again: some MB."""
    for size in (600 * MIB, 200 * MIB):
        assert peak_memory(lambda size=size: torch.ones(size, dtype=torch.uint8)) == pytest.approx(size, rel=0.05)


@linux
def test_peak_sees_what_is_freed_within_the_call():
    def call():
        first = torch.ones(150 * MIB, dtype=torch.uint8)
        del first
        return torch.ones(40 * MIB, dtype=torch.uint8)

    assert peak(call, "cpu") == {"process": pytest.approx(150 * MIB, rel=0.05)}


@linux
def test_peak_is_not_hidden_by_an_earlier_higher_one():
    """Without the reset the high-water mark of the first call would stand for the second. Both are larger than what
    the C library may hold back for later calls (32 MiB)."""
    peak_memory(lambda: torch.ones(300 * MIB, dtype=torch.uint8))
    assert peak_memory(lambda: torch.ones(100 * MIB, dtype=torch.uint8)) == pytest.approx(100 * MIB, rel=0.1)


@linux
def test_peak_counts_small_blocks_that_the_allocator_had_kept():
    """Freed heap blocks that stayed resident must not make the next use of them look free."""
    def blocks():
        return [torch.ones(16 * 1024, dtype=torch.uint8) for _ in range(4000)]      # 62.5 MiB below the mmap threshold

    kept = blocks()
    barrier = torch.ones(16 * 1024, dtype=torch.uint8)          # keeps the top of the heap in use
    del kept
    assert peak_memory(blocks) == pytest.approx(62.5 * MIB, rel=0.1)
    del barrier


@linux
def test_released_memory_is_no_longer_resident():
    kept = [torch.ones(16 * 1024, dtype=torch.uint8) for _ in range(4000)]
    barrier = torch.ones(16 * 1024, dtype=torch.uint8)
    del kept
    before = measure.status_bytes("VmRSS")
    release_memory()
    assert before - measure.status_bytes("VmRSS") > 50 * MIB
    del barrier


def test_peak_memory_without_proc_is_unsupported(monkeypatch):
    class NoProc(type(measure.Path())):
        def write_text(self, *args, **kwargs):
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(measure, "Path", NoProc)
    with pytest.raises(Unsupported, match="needs Linux") as caught:
        peak(nothing, "cpu")
    assert caught.value.status == "unsupported"
