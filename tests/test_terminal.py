"""Terminal: what plugins, paths and errors bring is shown as text, on every terminal, and none of it acts on one."""

import io
import os
import pty
import re
import subprocess
import sys

import pytest
from conftest import ROOT, environment
from hypothesis import given
from hypothesis import strategies as st

from harness.commands.live import Display
from harness.commands.progress import Reporter
from harness.commands.train import _side_by_side
from harness.console import make_console
from harness.run.cells import Cell
from harness.terminal import TextStream, shown

ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
FOREIGN = "[/data/w.bin] \x1b[2J\x9b2J\x07 [bold] :smile: \udcff \u202e end"
INERT = "[/data/w.bin] \\u001b[2J\\u009b2J\\u0007 [bold] :smile: \\udcff \\u202e end"
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@given(st.text(st.characters(categories=None)), st.sampled_from(["utf-8", "ascii", "latin-1", "cp1252"]))
def test_what_is_shown_can_be_written_and_does_nothing(text, encoding):
    found = shown(text, encoding)
    assert not ACTS.search(found)
    assert found.encode(encoding).decode(encoding) == found
    assert shown(found, encoding) == found


def test_text_that_can_be_shown_is_left_alone():
    text = "3.4 ± 0.2 µs, 北京\n\t[a] naïve"
    assert shown(text) == text
    assert shown(text, "ascii") == "3.4 +- 0.2 us, \\u5317\\u4eac\n\t[a] na\\xefve"
    assert shown(FOREIGN) == INERT


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_draws_frames_and_takes_the_rest_for_text(terminal):
    from rich.table import Table

    raw = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = make_console(width=200)
    console.file = raw
    console._force_terminal = terminal
    table = Table(FOREIGN, style="red")
    table.add_row(FOREIGN)
    console.print(table)
    console.print(FOREIGN)
    raw.seek(0)
    text = re.sub(r"\x1b\[[0-9;]*m", "", raw.read())
    assert text.count(INERT) == 3
    assert not ACTS.search(text)


def watched(monkeypatch):
    """Standard error becomes a terminal; a function that tells what it got, without the sequences of the bar."""
    raw = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    raw.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", TextStream(raw))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def read():
        text = raw.buffer.getvalue().decode()
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", lambda match: "" if match[0] != "\x1b[2J" else match[0], text)

    return read


def test_progress_shows_foreign_text_as_text(monkeypatch):
    seen = watched(monkeypatch)

    class Plan:
        cells = missing = (Cell("poke", "toy", (("path", FOREIGN),)),)

    with Reporter(Plan(), terminal=True) as reporter:
        reporter.events.started(Plan.cells[0])
        reporter.events.progress(Plan.cells[0], FOREIGN)
        reporter._bar.refresh()
        reporter.note(FOREIGN)
    with Display(terminal=True) as display:
        display({"event": "start", "plugin": FOREIGN, "step": 0, "params": 1, "device": "cpu", "dtype": "x",
                 "world": 1})
        display.note(FOREIGN)
    assert seen().count(INERT) == 3                                 # notes; the bar cuts what is too long
    assert "toy:path=[/data/w.bin]" in seen()
    assert "\x1b[2J" not in seen()


def test_texts_side_by_side_have_their_names(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    _side_by_side(["runs/[old]/x", "b"], ["[/b] one", "two"])
    out = capsys.readouterr().out
    assert "runs/[old]/x" in out
    assert "[/b] one" in out


HOSTILE = f"""
from harness import ModelSpec, hookimpl

TEXT = {FOREIGN!r}

class Config:
    pass

@hookimpl
def harness_models():
    return [ModelSpec("hostile", "no_such:M", f"{{__name__}}:config", "classical", TEXT, TEXT, requires=()),
            ModelSpec("lacking", "a:b", "a:b", "classical", TEXT, TEXT, requires=("a" + TEXT,))]

from dataclasses import dataclass

@dataclass(frozen=True)
class config:
    dim: int = 1
    note: str = TEXT

    def __post_init__(self):
        if self.dim == 2:
            raise ValueError(TEXT)
"""


@pytest.mark.parametrize("variables", [{}, ASCII, C_LOCALE], ids=["utf8", "ascii", "C"])
@pytest.mark.parametrize(("arguments", "code"), [
    (("plugins", "--options"), 0), (("audit", "hostile,lacking"), 1),
    (("run", "--suite", "counts", "--plugins", "hostile"), 1),
    (("run", "--suite", "counts", "--plugins", "hostile:dim=2"), 2),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_no_foreign_text_acts_on_a_terminal(command, plugin, arguments, code, variables, tmp_path):
    file = plugin("hostile.py", HOSTILE)
    done = command(*arguments, "-p", file, cwd=tmp_path, **variables)
    assert done.returncode == code, done.stderr
    assert not ACTS.search(done.stdout + done.stderr)
    assert "Traceback" not in done.stderr
    if variables:
        assert (done.stdout + done.stderr).isascii()


@pytest.mark.parametrize("arguments", [
    ("--help",), ("run", "--help"), ("plugins", "--options"), ("suites",), ("corpora",), ("doctor",), ("claims",),
    ("compare", ROOT / "results" / "reference" / "demo", "--plugins", "baseline,phasefield"),
    ("compare", ROOT / "results" / "reference" / "demo", "--plugins", "baseline,phasefield", "--markdown"),
], ids=lambda words: "-".join(map(str, words[::3])))
@pytest.mark.parametrize("variables", [ASCII, C_LOCALE], ids=["ascii", "C"])
def test_every_listing_prints_on_an_ascii_terminal(command, arguments, variables):
    done = command(*arguments, **variables)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).isascii()


def on_a_terminal(*arguments):
    """(code, bytes) of the command on a pseudo-terminal with colours."""
    ours, theirs = pty.openpty()
    variables = {**environment(), "TERM": "xterm-256color"}
    del variables["NO_COLOR"]
    process = subprocess.Popen([sys.executable, "-m", "harness", *map(str, arguments)], stdin=subprocess.DEVNULL,
                               stdout=theirs, stderr=theirs, env=variables)
    os.close(theirs)
    got = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        got += piece
    return process.wait(), got


def test_on_a_real_terminal_only_colours_and_frames_are_drawn(plugin):
    code, got = on_a_terminal("audit", "hostile", "-p", plugin("hostile.py", HOSTILE))
    assert code == 1
    assert b"\x1b[2J" not in got


def test_tables_and_plots_are_coloured_on_a_terminal():
    code, got = on_a_terminal("show", ROOT / "results" / "reference" / "demo")
    assert code == 0
    assert b"\\u001b" not in got
    assert re.search("\x1b\\[[0-9;]*m●\x1b\\[0m".encode(), got)
