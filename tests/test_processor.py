"""Processor time: what threads and processes burn is seen wherever they hide, and an honest call is never accused."""

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from harness.bench.measure import Clock
from harness.bench.processor import ADOPT_ORPHANS, Meter, adopt_orphans, descendants, processor_seconds
from harness.bench.rounds import Rounds
from harness.errors import AuditFailed

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")
BURN = "import time\nend = time.monotonic() + {}\nwhile time.monotonic() < end: pass"
ORPHAN = ("import subprocess, sys\n"
          f"subprocess.Popen([sys.executable, '-c', {BURN.format(20)!r}], start_new_session=True)")


def work(seconds=0.02):
    end = time.process_time() + seconds
    while time.process_time() < end:
        torch.ones(1000).sum()


@contextlib.contextmanager
def peer():
    """A turn that comes after another member's, which does not take this process's time."""
    time.sleep(0.1)
    yield


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@linux
def test_the_time_of_a_child_counts_while_it_runs_and_when_it_has_ended():
    before = processor_seconds()
    with ended(subprocess.Popen([sys.executable, "-c", BURN.format(20)])):
        time.sleep(1.0)
        running = processor_seconds() - before
        assert running > 0.2                                    # on a machine that is busy as well
    assert processor_seconds() - before >= running


@pytest.fixture
def adopting():
    """Orphans are this process's for one test alone: whatever later tests leave behind would count as its own work."""
    adopt_orphans()
    yield
    ctypes.CDLL(None).prctl(ADOPT_ORPHANS, 0, 0, 0, 0)


@linux
def test_a_process_that_leaves_its_parent_is_still_found(adopting):
    before = set(descendants())
    subprocess.run([sys.executable, "-c", ORPHAN], check=True)
    (orphan,) = set(descendants()) - before
    try:
        seconds = processor_seconds()
        time.sleep(1.0)
        assert processor_seconds() - seconds > 0.2
    finally:
        os.kill(orphan, 9)
        os.waitpid(orphan, 0)


def test_honest_rounds_are_not_accused():
    timed = Rounds(Clock(), peer)
    timed.run(work, 8)
    assert timed.note == ""


def test_honest_rounds_are_not_accused_on_a_busy_machine():
    """Others that want every processor twice over make walls longer, not processor time."""
    crowd = [subprocess.Popen([sys.executable, "-c", BURN.format(30)]) for _ in range(2 * (os.cpu_count() or 1))]
    for process in crowd:                                       # of nobody's: they count as this process's children
        process.poll()
    try:
        meter = Meter(1)
        own = time.process_time
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("harness.bench.processor.processor_seconds", own)
            for _ in range(5):
                with meter:
                    work()
                time.sleep(0.05)
            assert meter.judge() == ""
    finally:
        for process in crowd:
            process.kill()
            process.wait()


def test_a_thread_that_burns_beside_the_peers_turn_fails_the_timing():
    stop = threading.Event()

    def burn():
        while not stop.is_set():
            torch.ones(200_000).sum()

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        with pytest.raises(AuditFailed, match="between its turns: threads or processes that it left running"):
            Rounds(Clock(), peer, threads=8).run(lambda: time.sleep(0.02), 8)
    finally:
        stop.set()
        thread.join()


def test_threads_that_spin_for_a_while_after_their_work_are_told_and_no_failure():
    started = []

    def call():
        started.append(threading.Thread(target=work, args=(0.06,)))
        started[-1].start()
        time.sleep(0.02)

    timed = Rounds(Clock(), peer, threads=8)
    try:
        timed.run(call, 8)
    finally:
        for thread in started:
            thread.join()
    assert "threads that spin for a while after their work" in timed.note


@linux
def test_a_process_that_works_beside_the_rounds_fails_the_timing():
    with ended(subprocess.Popen([sys.executable, "-c", BURN.format(20)])), \
            pytest.raises(AuditFailed, match="threads or processes that it left running"):
        Rounds(Clock(), peer, threads=8).run(lambda: time.sleep(0.02), 8)


@pytest.mark.parametrize(("busy", "threads", "accused"), [(1.0, 1, False), (1.27, 1, False), (1.4, 1, True),
                                                          (2.4, 2, False), (3.0, 2, True)])
def test_a_round_has_the_threads_of_its_run_and_no_more(busy, threads, accused):
    meter = Meter(threads, busy=busy, busy_wall=1.0)
    if not accused:
        assert meter.judge() == ""
        return
    with pytest.raises(AuditFailed, match=f"{busy:.2f} s of processor time in 1.00 s, more than {threads} thread"):
        meter.judge()


def test_what_helpers_do_within_a_round_counts():
    """Two threads that work outside of Python, side by side or, on a busy machine, one after the other."""
    own = []

    def product():
        started, a = time.thread_time(), torch.ones(600, 600)
        for _ in range(6):
            a @ a
        own.append(time.thread_time() - started)

    meter = Meter(1)
    with meter:
        helpers = [threading.Thread(target=product) for _ in range(2)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
    assert sum(own) <= meter.busy < sum(own) + 0.05
