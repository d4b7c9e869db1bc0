"""The file of --config is read once, refused in one line, and kept word for word in the manifest and in the report."""

import hashlib
import json
import sys

import pytest
from conftest import PRETENDED

from harness import __main__ as entry
from harness.errors import FileError
from harness.evidence.report import html, markdown
from harness.evidence.report.compose import build
from harness.registry import load
from harness.run.config_file import read_config_file
from harness.untrusted import LARGEST_TEXT

TEXT = '# why: <the> baseline is "slow" & ``` odd\nsuite = "poke"\nplugins = "toy"\ndevice = "cpu"\n'


@pytest.fixture
def finished(toy, plugin, monkeypatch, tmp_path):
    """A function that runs with the bytes of a config file, and returns the results directory."""
    file = tmp_path / "private folder" / "my run.toml"
    file.parent.mkdir()

    def call(data, *more):
        file.write_bytes(data)
        monkeypatch.setattr(sys, "argv", [
            "harness", "run", "--config", str(file), "-p", str(toy), "-p", str(plugin("pretend.py", PRETENDED)),
            "--executor", "pretend", "--out", str(tmp_path / "run"), *more])
        with pytest.raises(SystemExit) as left:
            entry.main()
        assert left.value.code == 0
        return tmp_path / "run"

    return call


def kept(directory):
    return [command.get("config") for command in json.loads((directory / "manifest.json").read_text())["commands"]]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_the_manifest_keeps_the_file_word_for_word(finished, mark):
    data = mark + TEXT.encode()
    assert kept(finished(data)) == [
        {"name": "my run.toml", "text": TEXT, "sha256": hashlib.sha256(data).hexdigest()}]


def test_every_command_keeps_its_own_file_and_none_where_there_was_none(finished, monkeypatch, tmp_path):
    finished(TEXT.encode())
    directory = finished(TEXT.encode() + b"seeds = 2\n")
    monkeypatch.setattr(sys, "argv", [*(one for one in sys.argv if "toml" not in one and one != "--config"),
                                      "--suite", "poke", "--plugins", "toy", "--device", "cpu"])
    with pytest.raises(SystemExit):
        entry.main()
    first, second, third = kept(directory)
    assert first["text"] == TEXT
    assert second["text"] == TEXT + "seeds = 2\n"
    assert third is None


def test_the_report_shows_the_file_in_both_forms(finished, tmp_path):
    directory = finished(TEXT.encode())
    finished(TEXT.encode())                                         # the same again is shown once
    document = build([directory], load())
    page = html.render_html(document)
    assert page.count("why: &lt;the&gt; baseline is \"slow\" &amp; ``` odd") == 1
    assert page.count(hashlib.sha256(TEXT.encode()).hexdigest()) == 1
    text = markdown.write(document, tmp_path / "report.md")[0].read_text()
    assert f"````toml\n{TEXT}````" in text
    assert "my run.toml" in text


def test_a_manifest_whose_record_is_odd_is_one_line(finished):
    directory = finished(TEXT.encode())
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["commands"][0]["config"] = {"name": 7}
    path.write_text(json.dumps(manifest))
    with pytest.raises(FileError, match=r"commands\[0\]\.config.* must be text, not an integer"):
        build([directory], load())


@pytest.mark.parametrize(("data", "words"), [
    (TEXT.encode("utf-16"), "is UTF-16 text; TOML is UTF-8: save it as UTF-8"),
    (b"a = ", "is not TOML"), (b"\xff = 1", "is not TOML"), (b"a = " + b"[" * 100_000, "is not TOML"),
    (b"#" * (LARGEST_TEXT + 1), "larger than the 1 MiB"),
    (None, "No such file"),
], ids=["utf-16", "torn", "latin", "deep", "large", "absent"])
def test_what_is_no_file_of_options_is_one_line(tmp_path, data, words):
    path = tmp_path / "run.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(FileError, match=words) as refused:
        read_config_file(path)
    assert "\n" not in str(refused.value)
