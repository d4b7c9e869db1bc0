"""What a worker says is data of a known form, about its own cell."""

import os
import pickle
from multiprocessing import Pipe

import msgspec
import pytest

from harness.executor import Events
from harness.run.cells import Cell, base_fields
from harness.run.executors import LocalExecutor
from harness.run.messages import LENGTH, MOST, Inbox, Parent, packed, unpacked
from harness.run.process import Worker
from harness.run.worker import Setup
from harness.store import Row
from harness.untrusted import Malformed

CELL = Cell("memory", "toy")


@pytest.mark.parametrize("message", [
    ("hello",), ("turn",), ("progress", "half way"), ("limits", {"copy_bytes_per_s": 1e9}),
    ("weights", {"best.safetensors": b"\0\xff"}),
    ("done", [Row(**base_fields(CELL), metric="peak", value=3.0)], {"rounds": [1, 2.5, {"a": None}]})],
    ids=lambda message: message[0])
def test_a_message_comes_back(message):
    assert unpacked(packed(*message), CELL) == message


def test_numbers_and_letters_that_no_table_holds_are_written_out():
    _, (row,), raw = unpacked(packed("done", [Row(value=float("nan"), reason="\udcff")], {"x": float("inf")}), None)
    assert (row.value, row.reason, raw) == (None, "\\udcff", {"x": None})


def test_rows_are_of_their_cell_whatever_they_say():
    forged = Row(suite="perplexity", plugin="other", cell_id="c0", code="v0", options="dim=1", metric="bits_per_byte")
    _, (row,), _ = unpacked(packed("done", [forged], {}), CELL)
    assert (row.suite, row.plugin, row.cell_id, row.code, row.options) == (
        "memory", "toy", CELL.id, CELL.edition, "")


class Runs:
    def __reduce__(self):
        return os.putenv, ("MARK", "ran")


@pytest.mark.parametrize("data", [
    pickle.dumps(Runs()), b"", msgspec.msgpack.encode(["shout"]), msgspec.msgpack.encode({"kind": "done"}),
    msgspec.msgpack.encode(["done", [{"value": "much"}], {}]), msgspec.msgpack.encode(["progress"]),
    msgspec.msgpack.encode(["weights", {"../best.safetensors": b""}])])
def test_what_is_no_message_is_told_and_runs_nothing(data):
    with pytest.raises(Malformed):
        unpacked(data, CELL)


def test_a_worker_that_sends_a_pickle_ends_as_an_error():
    ours, theirs = Pipe()
    parent = Worker.__new__(Worker)
    parent.inbox, parent.cell = Inbox(ours.fileno()), CELL
    theirs.send(("done", [Runs()], {}))
    kind, reason = message = parent.receive()
    assert (kind, os.environ.get("MARK")) == ("garbled", None)
    result = LocalExecutor(Setup())._handle(parent, message, {"toy": None}, Events())
    assert [(row.status, row.reason) for row in result.rows] == [("error", reason)]


def test_messages_are_cut_apart_and_a_part_of_one_keeps_nobody_waiting():
    ours, theirs = Pipe()
    inbox, said = Inbox(ours.fileno()), Parent(theirs)
    said.send(("progress", "a"))
    said.send(("progress", "b"))
    assert [unpacked(inbox.take(), None), inbox.full, unpacked(inbox.take(), None)] == [
        ("progress", "a"), True, ("progress", "b")]
    content = packed("progress", "c" * 100)
    whole = LENGTH.pack(len(content)) + content
    for part in (whole[:3], whole[3:50]):
        os.write(theirs.fileno(), part)
        assert inbox.take() is None and not inbox.full
    os.write(theirs.fileno(), whole[50:])
    assert unpacked(inbox.take(), None) == ("progress", "c" * 100)
    os.write(theirs.fileno(), LENGTH.pack(MOST + 1))
    with pytest.raises(Malformed, match="announces more"):
        inbox.take()
    theirs.close()
    with pytest.raises(EOFError):
        Inbox(ours.fileno()).take()


def test_what_announces_too_much_is_told_though_it_came_with_the_message_before():
    """All of it is here: nothing more will come through the pipe to have the parent look again."""
    ours, theirs = Pipe()
    inbox, content = Inbox(ours.fileno()), packed("progress", "half way")
    os.write(theirs.fileno(), LENGTH.pack(len(content)) + content + b"\xff" * 80)
    assert unpacked(inbox.take(), None) == ("progress", "half way")
    assert inbox.full
    with pytest.raises(Malformed, match="announces more"):
        inbox.take()
