"""The command line in odd places: folders that are long, gone, full or oddly named cost one line at most."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from conftest import environment

from harness.errors import FileError
from harness.run import process

POKE = ("run", "--suite", "poke", "--plugins", "toy")


def test_a_long_temporary_folder_is_too_long_for_no_socket(command, toy, tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    done = command(*POKE, "-p", toy, "--out", tmp_path / "run", TMPDIR=str(folder))
    assert (done.returncode, "1 row ok" in done.stdout) == (0, True), done.stderr
    done = command("audit", "-p", toy, "toy", TMPDIR=str(folder))
    assert (done.returncode, "passed" in done.stdout) == (0, True), done.stderr


def test_where_no_short_folder_can_be_written_the_line_says_so(monkeypatch):
    monkeypatch.setattr(process.tempfile, "tempdir", "/" + "x" * 120)
    monkeypatch.setattr(process, "SHORT_FOLDERS", ("/nowhere",))
    with pytest.raises(FileError, match="too long for the sockets of the workers; name one of at most 60 bytes"):
        process.process_context()


@pytest.mark.skipif(sys.platform != "linux", reason="a name that is not UTF-8 is Linux's own")
@pytest.mark.parametrize("name", [
    "a b[c]", "two\nlines", "o:u@t=1", "caf\u00e9", os.fsdecode(b"by\xffte"),
], ids=ascii)
def test_a_folder_may_have_any_name(command, toy, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    file, out = folder / "toy.py", folder / "run"
    shutil.copy(toy, file)
    done = command(*POKE, "-p", file, "--out", out)
    assert done.returncode == 0, done.stderr
    with (out / "table.parquet").open("rb") as table:
        assert pandas.read_parquet(table).status.tolist() == ["ok"]
    done = command("report", out, "-o", folder / "page.html")
    assert (done.returncode, (folder / "page.html").exists()) == (0, True), done.stderr


def test_a_name_that_is_not_utf8_cannot_be_kept_beside_weights(command, tmp_path):
    text = tmp_path / os.fsdecode(b"by\xffte.txt")
    text.write_text("word " * 4000)
    done = command("train", "ssm", "--corpus", f"file:{text}", "--out", tmp_path / "run")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not UTF-8, so config.toml cannot keep it" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    """The command is started in it by a shell that takes it away first."""
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD"; exec "$0" -m harness audit ssm', sys.executable], cwd=folder,
        env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "harness: the current folder does not exist any more; go to one that does\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device is Linux's own")
def test_a_full_disk_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "harness", "plugins"], stdout=full, stderr=subprocess.PIPE,
                              env=environment(), text=True, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith("harness: No space left on device\n")
