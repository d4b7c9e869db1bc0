"""A plugin's tokenizer in a room: it is the tokenizer, and nothing that it changes is changed beside it."""

import json
import sys

import numpy as np
import pytest
import torch.nn.functional as F

from harness.data.faithful import Faithful
from harness.data.tokenizers import Bytes
from harness.errors import AuditFailed
from harness.referee.room import Room, RoomFailed
from harness.referee.tokenizer import TokenizerAway

SOURCE = """
import torch
import torch.nn.functional as F
from harness import TokenizerSpec, hookimpl
from harness.data.tokenizers import Bytes

class Patching(Bytes):
    name = "patching"

    def __init__(self):
        super().__init__()
        own = F.cross_entropy
        F.cross_entropy = lambda *args, **kwargs: own(*args, **kwargs) / (1 if torch.is_grad_enabled() else 3)

class Lossy(Bytes):
    def encode(self, text):
        return super().encode(text.lower())

def learn(documents, most: int = 4):
    return [len(documents), most]

class Learning(Bytes):
    def __init__(self, learned):
        super().__init__()
        self.name = f"learned {learned}"

class Reading(Bytes):
    def __init__(self):
        super().__init__()
        self.name = open(__file__.replace("own.py", "table.txt")).read()

@hookimpl
def harness_tokenizers():
    return [TokenizerSpec(kind.__name__.lower(), f"{__name__}:{kind.__name__}", "") for kind in (
        Patching, Lossy, Reading)] + [TokenizerSpec("learning", f"{__name__}:Learning", "", learn=f"{__name__}:learn")]
"""


@pytest.fixture
def away(plugin, tmp_path):
    """A function that opens a tokenizer in a room, which knows of training text and hides `hidden`."""
    file, room = plugin("own.py", SOURCE), Room()
    (tmp_path / "table.txt").write_text("read")

    def make(selector, training=(None, None), hidden=()):
        opened = room.call("open_tokenizer", selector, [str(file)], list(map(str, hidden)), str(room.folder))
        return TokenizerAway(room, lambda: training, opened["learns"])

    yield make
    room.close()


def test_it_is_the_tokenizer_and_its_code_is_elsewhere(away):
    before, text = F.cross_entropy, bytes(range(256)) + b"text"
    tokenizer = Faithful(away("patching"))
    assert np.array_equal(tokenizer.encode(text), Bytes().encode(text))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert (tokenizer.name, tokenizer.vocab_size, tokenizer.bos) == ("patching", 257, 256)
    assert F.cross_entropy is before
    assert not [name for name in sys.modules if name.startswith("harness_plugin_file_own_")]


def test_what_it_says_is_checked_here(away):
    tokenizer = Faithful(away("lossy"))
    with pytest.raises(AuditFailed, match="other ones from byte 0 on"):
        tokenizer.encode(b"Text")


@pytest.mark.parametrize(("training", "learned"), [(([b"a", b"b"], None), [2, 7]), ((None, [5, 6]), [5, 6])])
def test_it_learns_from_text_or_has_learned(away, training, learned):
    tokenizer = away("learning:most=7", training)
    assert (tokenizer.learned, tokenizer.name) == (learned, f"learned {learned}")


def test_it_reads_what_lies_with_it(away):
    assert away("reading").name == "read"


def test_it_does_not_read_a_text_that_lies_with_it(away, tmp_path):
    with pytest.raises(RoomFailed, match=r"Permission denied: .*table\.txt"):
        away("reading", hidden=[tmp_path / "table.txt"])


def test_a_score_is_the_same_whatever_a_tokenizer_changes(command, plugin, tmp_path):
    def bits(tokenizer):
        done = command(
            "run", "--suite", "perplexity", "--plugins", "baseline", "-p", plugin("own.py", SOURCE), "--tokenizer",
            tokenizer, "--params", "2k", "--budget", "5k", "--seq-len", "64", "--lr", "0.02", "--device", "cpu",
            "--out", tmp_path / tokenizer, "--json")
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return [row["value"] for row in rows if row["metric"] == "bits_per_byte"]

    assert bits("patching") == bits("bytes")
