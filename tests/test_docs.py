"""The documentation: its code runs, its commands exist, its links lead somewhere, and it leaves nothing out.

The convention, in comments before a block, which no reader sees:

    (nothing)                 a Python block runs, after those above it on the page, in a folder of the page's own
    <!-- file: NAME -->       the block is a file of that folder; a Python file must load, as a plugin where it is one
    <!-- in: repository -->   the Python block runs in the repository, whose results it reads
    <!-- run -->              the `harness` commands of the shell block run in the page's folder and exit with 0

Every `harness …` and `make …` of a shell block is parsed, run or not: the command and its flags exist.
"""

import os
import re
import shlex
import sys
from dataclasses import dataclass

import pytest
from conftest import ROOT
from typer.testing import CliRunner

from harness import hookspecs
from harness.cli import app
from harness.evidence.claims.claim import KINDS
from harness.evidence.claims.verdict import VERDICTS
from harness.registry import load
from harness.store import COLUMNS, STATUSES
from tools import commands

PAGES = sorted((ROOT / "docs").glob("*.md"))
OUTSIDE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "results/README.md",
                                    "results/reference/claims/README.md")]
BLOCK = re.compile(r"(?:^<!-- ([^\n]*?) -->\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOOKS = [name for name in vars(hookspecs) if name.startswith("harness_")]


@dataclass(frozen=True)
class Block:
    mark: str
    language: str
    text: str

    @property
    def file(self):
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else ""


def read(path):
    return path.read_text(encoding="utf-8")


def blocks(path):
    return [Block(*(part or "" for part in found)) for found in BLOCK.findall(read(path))]


def shell_lines(block):
    """The words of every line of a shell block, comments left out."""
    return [shlex.split(line, comments=True) for line in block.text.splitlines() if line.strip()]


def commands_of(page):
    """The words of every line that runs `harness` or `make`, in blocks or indented."""
    lines = [words for block in blocks(page) if block.language == "sh" for words in shell_lines(block)]
    plain = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    lines += [shlex.split(line, comments=True) for line in re.findall(r"^    ((?:harness|make) .*)$", plain, re.M)]
    lines = [words[words.index("-m") + 1:] if "-m" in words else words for words in lines]      # torchrun -m harness
    return [words for words in lines if words and words[0] in ("harness", "make")]


def invoke(words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A page's folder, from which its Python files can be imported for the time of the test."""
    before, variables = set(sys.modules), dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(variables)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_code_of_a_page_runs(page, folder, monkeypatch):
    names = {"__name__": "page"}
    for block in blocks(page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            if path.parent == folder and path.suffix == ".py":
                assert not load([path]).broken
        elif block.language == "python":
            with monkeypatch.context() as here:
                here.chdir(ROOT if block.mark == "in: repository" else folder)
                exec(compile(block.text, f"{page.name}, a block", "exec"), names)
        elif block.language == "sh" and block.mark == "run":
            for words in shell_lines(block):
                assert words[0] == "harness"
                done = invoke(words[1:])
                assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output}"


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE], ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_flags_exist(page):
    known, targets = commands.commands(), set(re.findall(r"^([a-z]+):", read(ROOT / "Makefile"), re.MULTILINE))
    for program, name, *arguments in commands_of(page):
        if program == "make":
            assert name in targets
        else:
            known[name].make_context(name, arguments)               # raises where a flag does not exist
    inline = re.findall(r"`harness ([a-z][a-z-]+)", read(page))
    assert set(inline) <= set(known)
    assert set(re.findall(r"`make ([a-z]+)`", read(page))) <= targets


def test_commands_are_found_in_blocks_and_indented():
    assert ["make", "demo"] in commands_of(ROOT / "README.md")
    assert ["harness", "audit", "all"] in commands_of(ROOT / "docs" / "audit.md")
    assert any("--bytes" in words for words in commands_of(ROOT / "docs" / "training.md") if words[1] == "train")


def test_a_flag_that_does_not_exist_would_be_noticed():
    with pytest.raises(Exception, match="No such option"):
        commands.commands()["run"].make_context("run", ["--sweet"])


def anchors(path):
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    plain = re.sub(r"^```.*?^```$", "", read(path), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *OUTSIDE], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S)):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
        if page in PAGES:
            assert target in PAGES, f"{link} leads out of the documentation"


def test_every_page_is_in_the_contents():
    contents = re.findall(r": (\S+\.md)$", read(ROOT / "mkdocs.yml"), re.MULTILINE)
    assert sorted(contents) == [page.name for page in PAGES]
    assert set(re.findall(r"\((\S+\.md)\)", read(ROOT / "docs" / "index.md"))) == set(contents) - {"index.md"}


def test_the_command_reference_is_current():
    assert commands.render() == read(ROOT / commands.PAGE), "run `make readme`"


def test_every_hook_has_a_section_and_an_example():
    examples = "\n".join(block.text for page in PAGES for block in blocks(page) if block.file)
    for hook in HOOKS:
        assert f"\n## {hook}\n" in read(ROOT / "docs" / "hooks.md")
        assert f"@hookimpl\ndef {hook}(" in examples


@pytest.mark.parametrize(("page", "names"), [
    ("results", [*COLUMNS, *STATUSES]), ("claims", [*KINDS, *VERDICTS]),
], ids=["results", "claims"])
def test_nothing_is_left_out(page, names):
    text = read(ROOT / "docs" / f"{page}.md")
    assert [name for name in names if f"`{name}`" not in text] == []
