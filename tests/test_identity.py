"""Identity: what decides a number gives a new cell when it is edited; what does not decides nothing."""

import json
import subprocess
import sys

import pytest
from conftest import PATIENCE_S, environment

from harness import CorpusSpec, ModelSpec, TokenizerSpec
from harness.run import digest, identity
from harness.run.digest import source_digest
from harness.selector import Selector, parse_selector

SUITE = """
import harness
from helpers.numbers import VALUE

def plan(request):
    return [request.cell("mine", choice) for choice in request.models]

def measure(cell, bench):
    bench.row("answer", VALUE + 1)

@harness.hookimpl
def harness_suites():
    return [harness.Suite("mine", "a suite of one number", plan, measure, primary=("answer",))]
"""
CORPUS = """
import harness
from pathlib import Path
from harness.data.documents import Documents

def text():
    words = Path(__file__).with_name("words.txt").read_bytes()
    return words

def load(argument=""):
    return Documents("mine", (text() * 9,), (text(),))

class Letters:
    name, vocab_size, bos = "letters", 257, 256

    def __init__(self):
        import numpy as np
        self.order = np.frombuffer(Path(__file__).with_name("order.bin").read_bytes(), np.uint8).astype(np.int32)
        self.token_bytes = np.ones(257, np.int64)
        self.token_bytes[256] = 0

    def encode(self, text):
        import numpy as np
        return self.order[np.frombuffer(text, np.uint8)]

@harness.hookimpl
def harness_corpora():
    return [harness.CorpusSpec("mine", f"{__name__}:load", "a text beside its plugin")]

@harness.hookimpl
def harness_tokenizers():
    return [harness.TokenizerSpec("letters", f"{__name__}:Letters", "a table beside its plugin")]
"""


def run(folder, *arguments):
    """`harness run` of the suite `mine` as a fresh process in `folder`: its rows, and what it said."""
    path = environment() | {"PYTHONPATH": f"{environment()['PYTHONPATH']}:{folder}"}
    done = subprocess.run([sys.executable, "-m", "harness", "run", "--suite", "mine", "--plugins", "baseline", "--out",
                           "out", "--json", *arguments], cwd=folder, env=path, capture_output=True, text=True,
                          check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
def test_an_edited_suite_is_measured_again(tmp_path):
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "numbers.py").write_text("VALUE = 0")
    suite = tmp_path / "mysuite.py"
    suite.write_text(SUITE)
    answers = []
    for edit in (lambda: None,
                 lambda: suite.write_text(SUITE.replace("+ 1", "+ 2")),
                 lambda: (tmp_path / "helpers" / "numbers.py").write_text("VALUE = 40")):
        edit()
        answers.append([row["value"] for row in run(tmp_path, "-p", "mysuite.py")[0]])
    assert answers == [[1], [2], [42]]
    assert "finished already" in run(tmp_path, "-p", "mysuite.py")[1]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module with a corpus and a tokenizer that read files beside it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mycorpus.py").write_text(CORPUS)
    (tmp_path / "words.txt").write_bytes(b"one two three ")
    (tmp_path / "order.bin").write_bytes(bytes(range(256)))
    yield tmp_path
    sys.modules.pop("mycorpus", None)


def test_an_edited_text_of_a_corpus_that_a_plugin_brings_is_another(mine):
    spec = CorpusSpec("mine", "mycorpus:load", "")
    before = identity.text_digest(spec, Selector("mine"))
    (mine / "words.txt").write_bytes(b"one two four ")
    after = identity.text_digest(spec, Selector("mine"))
    assert before != after
    assert before.partition("+")[0] == after.partition("+")[0]          # of the same source


def test_an_edited_table_of_a_tokenizer_that_a_plugin_brings_is_another(mine):
    spec = TokenizerSpec("letters", "mycorpus:Letters", "")
    before = identity.tokenizer_digest(spec)
    (mine / "order.bin").write_bytes(bytes(reversed(range(256))))
    assert identity.tokenizer_digest(spec) != before


def test_a_text_that_cannot_be_loaded_is_left_to_its_cell(mine):
    (mine / "words.txt").unlink()
    found = identity.text_digest(CorpusSpec("mine", "mycorpus:load", ""), Selector("mine"))
    assert found == source_digest("mycorpus:load")


def test_the_same_file_elsewhere_is_the_same_text(tmp_path):
    spec = CorpusSpec("file", "harness.data.files:file", "", argument="PATH")
    digests = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "book.txt").write_text("words")
        digests.add(identity.text_digest(spec, parse_selector(f"file:{tmp_path / folder / 'book.txt'}", argument=True)))
    assert len(digests) == 1


def test_a_suite_is_known_by_the_functions_that_plan_and_measure():
    from functools import partial

    from harness.registry import load

    suites = load().suites
    assert len({identity.suite_digest(suite) for suite in suites.values()}) == len(suites)
    counts = suites["counts"]
    wrapped = type(counts)("counts", "", partial(counts.plan), partial(counts.measure))
    assert identity.suite_digest(wrapped) == identity.suite_digest(counts)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Two packages and a module, which import each other by absolute names."""
    files = {
        "ext1/__init__.py": "", "ext1/model.py": "import ext2.plain\nfrom ext2.sub.layers import (\n    Layer,\n)\n"
                                                 "def late():\n    import lone, json\n    import_module('ext2.named')",
        "ext2/__init__.py": "", "ext2/plain.py": "", "ext2/sub/__init__.py": "", "ext2/sub/layers.py": "Layer = 1",
        "ext2/other.py": "", "ext2/named.py": "", "lone.py": "from lone_too import *", "lone_too.py": "",
        "ext1/data/table.py": "", "ext1/data/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("file", "counts"), [
    ("ext2/sub/layers.py", True), ("ext2/sub/__init__.py", True), ("ext2/plain.py", True), ("ext2/named.py", True),
    ("lone.py", True), ("lone_too.py", True), ("ext1/data/table.py", True), ("ext2/other.py", False),
])
def test_absolute_imports_and_subpackages_are_followed(tree, file, counts):
    before = source_digest("ext1.model:Model")
    (tree / file).write_text("changed = 1")
    assert (source_digest("ext1.model:Model") != before) is counts


def test_nothing_is_imported_on_the_way(tree):
    (tree / "ext2" / "__init__.py").write_text("raise RuntimeError")
    assert source_digest("ext1.model:Model")
    assert not {"ext1", "ext2", "lone"} & set(sys.modules)


def test_a_package_that_a_plugin_declares_or_imports_counts_by_its_version(tree, monkeypatch):
    (tree / "ext1" / "model.py").write_text("import pytest, torch")
    versions = {"pytest": "1", "torch": "1", "declared": "1"}
    monkeypatch.setattr(digest, "version", versions.__getitem__)

    def found():
        return source_digest("ext1.model:Model", packages=("declared",))

    before = found()
    versions["torch"] = "2"
    assert found() == before                                            # the environment keeps it
    versions["pytest"] = "2"
    assert found() != before
    before = found()
    versions["declared"] = "2"
    assert found() != before


def test_a_models_requirements_are_declared_packages(monkeypatch):
    from harness.registry import load

    registry = load()
    spec = ModelSpec("m", "harness.plugins.baseline.model:Transformer", "harness.plugins.baseline.config:C",
                     "classical", "", "", requires=("numpy",))
    registry.models["m"], registry.origins["m"] = spec, "test"
    monkeypatch.setattr(digest, "version", lambda name: "1")
    before = identity.model_digest(registry, spec, {})
    monkeypatch.setattr(digest, "version", lambda name: "2")
    assert identity.model_digest(registry, spec, {}) != before


def test_the_engine_counts_by_its_protocol_number_alone():
    sources, _ = digest._closure({"harness.suites.counts": digest.locate("harness.suites.counts")})
    assert set(sources) == {"harness.suites.counts"}
