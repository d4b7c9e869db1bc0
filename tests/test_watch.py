"""What is watched of a worker: memory of all that it started, a log cut in the middle, ends of whole families."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PATIENCE_S

from harness.bench.processor import below
from harness.run import watch
from harness.run.process_state import differences, process_state

MIB = 1 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")
HOLDER = """
import mmap, os, sys, time
shared = mmap.mmap(-1, 64 << 20)
shared[:] = bytes(len(shared))
for _ in range(2):
    if not os.fork():
        os.setsid()
        shared[::4096]                                      # of its own page table too: the same memory
        break
else:
    print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder():
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    time.sleep(0.3)
    yield process.pid
    watch.end_below(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()


def test_shared_memory_counts_once(holder):
    """The sum of what three processes have resident is an upper bound, by which nothing is judged to be too much."""
    exact = watch.held_bytes(holder, 0)
    assert 64 * MIB < exact < 64 * MIB + 3 * 20 * MIB
    assert watch.held_bytes(holder, 1 << 40) > exact + 100 * MIB


def test_pages_of_a_file_are_not_held(tmp_path):
    (tmp_path / "large").write_bytes(bytes(64 * MIB))
    code = ("import mmap, sys, time; file = open(sys.argv[1], 'rb'); "
            "m = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); m[::4096]; "
            "print('read', flush=True); time.sleep(60)")
    reader = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "large")], stdout=subprocess.PIPE)
    try:
        assert reader.stdout.readline() == b"read\n"
        assert watch.held_bytes(reader.pid, 0) < 32 * MIB
    finally:
        reader.kill()
        reader.communicate()


def test_all_that_a_process_started_ends_in_whatever_session(holder):
    assert len(below(holder)) == 2
    watch.end_below(holder)
    end = time.monotonic() + PATIENCE_S
    while [pid for pid in below(holder) if alive(pid)]:
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_log_keeps_both_ends_and_what_is_appended_later(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "LOG_MOST", 100)
    monkeypatch.setattr(watch, "LOG_KEPT", 10)
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 60 + b"b" * 40)
        watch.trim(log)
        assert log.read_bytes() == b"a" * 60 + b"b" * 40
        writer.write(b"c" * 20)
        watch.trim(log)
        writer.write(b"later")
    assert log.read_bytes() == b"a" * 10 + b"\n... 100 bytes were cut out here ...\n" + b"c" * 10 + b"later"
    watch.trim(tmp_path / "none")


def test_new_variables_are_a_librarys_and_changed_ones_are_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = process_state()
    monkeypatch.setenv("SOME_LIBRARY_S_OWN", "1")
    assert differences(before, process_state()) == []
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert differences(before, process_state()) == ["variables of the environment"]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert differences(before, process_state()) == ["variables of the environment"]
