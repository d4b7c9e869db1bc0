"""Locks: one run to a folder, the parts of one side by side, and none outlives its process."""

import signal
import subprocess
import sys
import threading

import pytest

from harness.errors import FileError
from harness.locking import Held, at_work, locked

HOLD = "import sys, time; from pathlib import Path; from harness.locking import at_work\n" \
       "with at_work(Path(sys.argv[1]), sys.argv[2]): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def holder(tmp_path):
    """Starts processes that hold the folder."""
    started = []

    def hold(shard=""):
        started.append(subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), shard], stdout=subprocess.PIPE))
        assert started[-1].stdout.readline() == b"held\n"
        return started[-1]

    yield hold
    for one in started:
        one.kill()
        one.wait()
        one.stdout.close()


def test_a_second_run_is_told_who_is_at_work(holder, tmp_path):
    other = holder()
    with pytest.raises(FileError, match=rf"another run is at work .*process {other.pid} on .*; wait for it"), \
            at_work(tmp_path):
        pass
    with pytest.raises(FileError, match="another run is at work"), at_work(tmp_path, "1/2"):
        pass


def test_shards_work_side_by_side_each_once(holder, tmp_path):
    other = holder("1/2")
    with at_work(tmp_path, "2/2"):
        pass
    with pytest.raises(FileError, match=rf"process {other.pid} .*name another with --out"), at_work(tmp_path, "1/2"):
        pass
    with pytest.raises(FileError, match="another run is at work"), at_work(tmp_path):
        pass


@pytest.mark.parametrize("shard", ["", "1/2"])
def test_a_killed_holder_holds_nothing_and_is_not_named(holder, tmp_path, shard):
    other = holder(shard)
    other.send_signal(signal.SIGKILL)
    other.wait()
    with at_work(tmp_path):
        pass
    holder("1/2")
    with pytest.raises(FileError) as refused, at_work(tmp_path):
        pass
    assert str(other.pid) not in str(refused.value)


def test_who_waits_gets_it_in_the_end(tmp_path):
    path, order = tmp_path / "lock", []

    def second():
        with locked(path, wait=True):
            order.append("second")

    with locked(path):
        thread = threading.Thread(target=second)
        thread.start()
        with pytest.raises(Held), locked(path):
            pass
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(FileError, match="cannot write"), at_work(tmp_path / "none"):
        pass
