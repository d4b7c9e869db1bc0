"""What is asked of a corpus: the same text everywhere, and none that is scored among what is trained on. (no torch)"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..data.corpora import load_documents
from ..data.documents import Documents
from ..data.overlap import LEAST_LINE
from ..quantities import format_number
from ..registry import Registry
from ..selector import Selector
from ..specs import CorpusSpec, missing
from .lines import Lines
from .result import CheckFailed, CheckResult

MOST_OVERLAP = 0.1                      # of the held-out bytes, in lines that training text has too
MOST_REPEATED = 0.05                    # of the training documents
TIMEOUT_S = 120
ELSEWHERE = """
import json, os, sys, sysconfig
sys.path[:] = {path!r}
{statement}
from harness.data.corpora import load_documents
from harness.registry import load
from harness.selector import parse_selector
from harness.specs import resolve
stdlib = os.path.realpath(sysconfig.get_path("stdlib"))
read = []
def watch(event, arguments):
    if event == "socket.connect":
        read.append("the network")
    if event == "open" and isinstance(arguments[0], str) and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
        name = os.path.realpath(arguments[0])
        code = name.endswith((".py", ".pyc", ".so", ".pth")) or name.startswith(("/dev/", "/proc/", "/sys/"))
        if not code and "site-packages" not in name and not name.startswith(stdlib):
            read.append(name)
spec = {spec!r}
target = resolve(spec[1])
sys.addaudithook(watch)
documents = target(*spec[2])
sys.stdout.write("found:" + json.dumps([documents.sha256, sorted(set(read))]))
"""


def check_corpus(registry: Registry, spec: CorpusSpec, statement: str) -> Iterator[CheckResult]:
    """Every line of one corpus, in order. `statement` imports the plugin that brings it."""
    checks = _CorpusChecks(spec, statement)
    if reason := missing(spec):
        yield checks.result("corpus", "unavailable", reason)
        return
    with tempfile.TemporaryDirectory() as folder:
        if spec.argument == "PATH":
            checks.argument = str(Path(folder) / "lines.txt")
            Path(checks.argument).write_text("".join(f"line {i} of a text for a check, {i * i}\n" for i in range(2000)))
        elif spec.argument:
            yield checks.result("corpus", "note", f"needs {spec.argument}, so it is not loaded")
            return
        yield checks.line("corpus", checks.loads)
        yield checks.line("same text", checks.same_text)
        yield checks.line("held-out text", checks.held_out)
        yield checks.line("repeated documents", checks.repeated)
        yield checks.line("fixed", checks.fixed)


class _CorpusChecks(Lines):
    def __init__(self, spec: CorpusSpec, statement: str):
        super().__init__(spec.name, spec.target.partition(":")[0])
        self.spec, self.statement, self.argument = spec, statement, ""
        self.documents: Documents
        self.read: list[str] = []

    def load(self) -> Documents:
        return load_documents(self.spec, Selector(self.spec.name, self.argument))

    def loads(self) -> str:
        self.documents = found = self.load()
        for part in (found.train, found.heldout):
            if not isinstance(part, tuple) or not all(isinstance(one, bytes) for one in part):
                raise CheckFailed("train and heldout must be tuples of bytes")
        return (f"{format_number(len(found.train), 'document')} to train on, {sum(map(len, found.train)):,} bytes; "
                f"{len(found.heldout)} "
                f"held out, {sum(map(len, found.heldout)):,} bytes")

    def same_text(self) -> str:
        """Loaded twice here, and in another process, from another folder, with another seed of hashes."""
        if self.load().sha256 != self.documents.sha256:
            raise CheckFailed("loading it again gives another text")
        code = ELSEWHERE.format(path=[str(Path(part).resolve()) for part in sys.path], statement=self.statement,
                                spec=(self.spec.name, self.spec.target, (self.argument,)))
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder,
                                  timeout=TIMEOUT_S, env={**os.environ, "PYTHONHASHSEED": "1"})
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise CheckFailed(f"another process, in another folder, cannot load it: {last}")
        digest, self.read = json.loads(done.stdout.rpartition("found:")[2])
        if digest != self.documents.sha256:
            raise CheckFailed("another process, in another folder, loads another text")
        return f"sha256 {digest[:12]}, here and in another process"

    def held_out(self) -> str:
        train, whole = b"\0".join(self.documents.train), set(self.documents.train)
        inside = [one for one in self.documents.heldout if one.strip() and (
            one in whole or (len(one.strip()) >= LEAST_LINE and one.strip() in train))]
        if inside:
            raise CheckFailed(f"{len(inside)} of {len(self.documents.heldout)} held-out documents stand in training "
                              f"text, the first begins {inside[0].strip()[:40]!r}")
        if self.documents.overlap > MOST_OVERLAP:
            raise CheckFailed(f"{self.documents.overlap:.0%} of the held-out bytes are lines of training text")
        return f"{self.documents.overlap:.1%} of its bytes are lines of training text"

    def repeated(self) -> str | CheckResult:
        """One in a large training text is noted; one that is scored twice counts twice."""
        train, heldout = self.documents.train, self.documents.heldout
        more, scored = len(train) - len(set(train)), len(heldout) - len(set(heldout))
        if not more and not scored:
            return "none"
        said = f"{more} of {len(train)} training and {scored} of {len(heldout)} held-out documents stand there already"
        if scored or more > MOST_REPEATED * len(train):
            raise CheckFailed(said)
        return self.result("repeated documents", "note", said)

    def fixed(self) -> str:
        if not self.spec.fixed:
            return "not claimed: its text is hashed before a run"
        if self.read:
            raise CheckFailed(f"its CorpusSpec says fixed, and loading it reads {', '.join(self.read[:3])}")
        return "its source and options decide the text, no file is read"
