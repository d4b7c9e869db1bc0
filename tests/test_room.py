"""Rooms: a model in another process, which can reach nothing there but its own source, and whose end is told."""

import os
import signal
import socket
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from harness.referee.resident import Lease
from harness.referee.room import Room, RoomFailed
from harness.referee.wall import LINUX, libraries, without

TRIES = '''
import os, signal, socket, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path
import torch
from harness import LanguageModel, ModelSpec, hookimpl

@dataclass(frozen=True)
class Config:
    code: str = "0"

class Tries(LanguageModel):
    """Runs a piece of code when it is asked for diagnostics."""
    def __init__(self, config, vocab_size):
        super().__init__(config, vocab_size)
        self.table = torch.nn.Embedding(vocab_size, vocab_size)
    def forward(self, tokens, state=None):
        return self.table(tokens), tokens[:, -1:]
    def diagnostics(self):
        try:
            return {"worked": float(eval(self.config.code))}
        except (OSError, ImportError) as error:
            print(error)
            return {"worked": -1.0}

@hookimpl
def harness_models():
    return [ModelSpec("tries", f"{__name__}:Tries", f"{__name__}:Config", "classical", "tries", "a test")]
'''


@pytest.fixture
def room():
    one = Room()
    yield one
    one.close()


def opened(room, file, code="0", **fields):
    lease = Lease("tries", "", [str(file)], {"code": code}, [bytes([i]) for i in range(4)], str(room.folder), **fields)
    notes = room.call("open", asdict(lease))
    return notes, room.call("build", 0)


@pytest.fixture
def tries(plugin):
    return plugin("tries.py", TRIES)


def test_a_model_answers_as_it_would_here(room, tries):
    _, facts = opened(room, tries)
    assert (facts["number"], facts["non_embedding"], facts["embedding"]) == (0, 0, 16)
    tokens = torch.tensor([[0, 3, 1]])
    torch.manual_seed(0)
    expected = torch.nn.Embedding(4, 4)(tokens)
    for how in ("score", "infer"):
        logits, state = room.call("forward", 0, tokens, None, how)
        assert torch.equal(logits, expected) and state.tolist() == [[1]]
    assert room.call("forward", 0, tokens, None, "exact")[0].dtype == torch.float64


def test_weights_taken_from_one_room_make_the_same_model_of_another(room, tries):
    other = Room()
    try:
        for one in (room, other):
            opened(one, tries)
        assert other.call("build", 7)["number"] == 1
        taken = room.call("tensors", 0)
        assert (taken["parameters"], taken["embedding"]) == (["model.table.weight"], ["model.table.weight"])
        assert not torch.equal(other.call("tensors", 1)["tensors"]["model.table.weight"],
                               taken["tensors"]["model.table.weight"])
        other.call("restore", 1, taken["tensors"])
        assert torch.equal(other.call("forward", 1, torch.tensor([[2]]), None, "score")[0],
                           room.call("forward", 0, torch.tensor([[2]]), None, "score")[0])
        with pytest.raises(RoomFailed, match="what was trained does not fit"):
            other.call("restore", 1, {**taken["tensors"], "model.more": torch.ones(1)})
    finally:
        other.close()


@pytest.mark.parametrize(("code", "status", "words"), [
    ("1 / 0", "error", "ZeroDivisionError: division by zero (<"),
    ("os._exit(3)", "error", "exited with code 3"),
    ("sys.exit('enough')", "error", "SystemExit: enough"),
    ("__import__('ctypes').string_at(0)", "error", "died of SIGSEGV"),
    ("bytearray(1 << 60)", "oom", "out of memory"),
])
def test_every_end_has_its_status_and_reason(room, tries, code, status, words):
    opened(room, tries, code)
    with pytest.raises(RoomFailed) as failed:
        room.call("diagnostics", 0, torch.tensor([[1]]))
    assert failed.value.status == status
    assert words.removesuffix(" (<") in str(failed.value)


def test_one_that_does_not_answer_is_given_up(room, tries):
    opened(room, tries, "time.sleep(600)")
    with pytest.raises(RoomFailed, match=r"no answer within 1 s") as failed:
        room.call("diagnostics", 0, torch.tensor([[1]]), seconds=1.0)
    assert failed.value.status == "timeout"
    room.close()
    assert not alive(room.pid)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_what_a_model_started_ends_with_its_room(room, tries, tmp_path):
    opened(room, tries, "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid")
    assert room.call("diagnostics", 0, torch.tensor([[1]]))["worked"] > 0
    before = children(room.pid)
    assert before
    room.close()
    for _ in range(100):
        if not any(map(alive, before)):
            break
        time.sleep(0.05)
    assert not any(map(alive, before))
    assert not room.folder.exists()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not LINUX, reason="namespaces and Landlock are Linux's")
def test_a_model_reaches_its_source_and_its_folder_and_nothing_else(room, tries, tmp_path, monkeypatch):
    secret = tmp_path / "secret.txt"
    secret.write_text("held-out")
    monkeypatch.setenv("HOME", str(tmp_path))
    listener = socket.create_server(("127.0.0.1", 0))
    beside = Path(tries).with_name("beside.txt")
    beside.write_text("notes")
    notes, _ = opened(room, tries)
    if notes:
        pytest.skip(f"not enforced here: {notes}")
    for code, worked in {
        f"len(open({str(tries)!r}).read()) > 0": True,
        "open('own.txt', 'w').write('x') and open('own.txt').read() == 'x'": True,
        "__import__('wave') is not None": True,
        f"open({str(secret)!r}).read()": False,
        f"os.listdir({str(tmp_path)!r})": False,
        f"os.utime({str(tries)!r}) or True": False,
        f"os.setxattr({str(tries)!r}, 'user.word', b'x') or True": False,
        "__import__('ctypes').CDLL(None).inotify_init1(0) >= 0": False,
        f"open({str(beside)!r}).read()": False,
        f"open({str(tries)!r}, 'a').write('x')": False,
        f"open({str(tmp_path / 'new')!r}, 'w')": False,
        f"open('/proc/{os.getpid()}/mem', 'rb')": False,
        f"open('/proc/{os.getpid()}/cmdline').read()": False,
        f"os.kill({os.getpid()}, 0) or True": False,
        f"socket.create_connection({listener.getsockname()!r}, 1)": False,
        "socket.create_connection(('192.0.2.1', 80), 1)": False,
        "subprocess.run(['cat', '/etc/passwd'], check=True, capture_output=True)": None,
    }.items():
        one = Room()
        try:
            opened(one, tries, code)
            try:
                found = one.call("diagnostics", 0, torch.tensor([[1]]))["worked"]
            except RoomFailed as failed:
                assert worked is None and "CalledProcessError" in str(failed), code
                continue
            assert (found > 0) == worked, code
        finally:
            one.close()


@pytest.mark.skipif(not LINUX, reason="namespaces and Landlock are Linux's")
def test_behind_the_lock_no_file_is_opened(room, tries):
    notes, _ = opened(room, tries, f"len(open({str(tries)!r}).read())")
    if notes:
        pytest.skip(f"not enforced here: {notes}")
    assert room.call("diagnostics", 0, torch.tensor([[1]]))["worked"] > 0
    room.call("lock")
    assert room.call("diagnostics", 0, torch.tensor([[1]]))["worked"] == -1


def test_a_corpus_among_the_libraries_is_hidden(room, tries):
    import pydoc_data

    hidden = Path(pydoc_data.__file__).parent
    notes, _ = opened(room, tries, f"len(open({str(hidden / 'topics.py')!r}).read())", hidden=[str(hidden)])
    if notes:
        pytest.skip(f"not enforced here: {notes}")
    assert room.call("diagnostics", 0, torch.tensor([[1]]))["worked"] == -1
    beneath = [inner for place in libraries() for inner in without(place.resolve(), [hidden.resolve()])]
    assert not any(hidden.resolve().is_relative_to(path) for path in beneath)
    assert any(Path(os.__file__).resolve().is_relative_to(path) for path in beneath)


def test_while_it_is_paused_it_does_nothing(room, tries):
    opened(room, tries)
    room.pause(True)
    room.connection.send_bytes(b"")
    for _ in range(100):
        if Path(f"/proc/{room.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            break
        time.sleep(0.02)
    else:
        pytest.fail("it was not stopped")
    room.pause(False)


def test_a_room_whose_referee_is_gone_is_gone(tries):
    reader, writer = os.pipe()
    referee = os.fork()
    if not referee:
        try:                                            # whatever happens, no second copy of the tests goes on
            os.close(reader)
            one = Room()
            os.write(writer, f"{one.pid}\n".encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(writer)
    pid = int(os.read(reader, 32))
    assert alive(pid)
    os.kill(referee, signal.SIGKILL)
    os.waitpid(referee, 0)
    for _ in range(100):
        if not alive(pid):
            break
        time.sleep(0.05)
    assert not alive(pid)
