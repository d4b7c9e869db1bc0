"""The zoo: dishonest and easily accused models, a plugin file a kind, and the command that tries them.

`python tests/zoo.py KIND [NAMES]` prints what the command says of each model of a kind, beside the honest one.
"""

import random
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from conftest import environment

ADVERSARIES = Path(__file__).with_name("adversaries")
FROM_BASE = re.compile(r"^from base import .*\n", re.MULTILINE)
TWIN = "plain"                  # the honest model that all others are made of
SEALED = r"sealed scoring: held-out document \d+, position \d+: the scored logit of token \d+ is .* future .* std apart"


@dataclass(frozen=True)
class Verdict:
    """What a table says of a model: its bits per byte where it has a score, its parameters, those of the vocabulary
    among them, and how its row ends."""

    status: str
    reason: str
    bits: float
    params: int


def one_file(kind, folder):
    """Write `adversaries/KIND.py`, with what it takes from the base, as a plugin file into `folder`. Its path."""
    text = (ADVERSARIES / f"{kind}.py").read_text()
    base = (ADVERSARIES / "base.py").read_text() if FROM_BASE.search(text) else ""
    path = folder / f"{Path(kind).name}.py"
    path.write_text(base + FROM_BASE.sub("", text))
    return path


def models(kind):
    """The names of the models of a kind, as its file lists them."""
    text = (ADVERSARIES / f"{kind}.py").read_text()
    shared = {"Hidden", "Cache", "Relay", "Heavy", "Carries"}          # what others are made of
    kinds = re.findall(r"^class (\w+)\((\w+)\)", text, re.MULTILINE)
    bases = {"Tiny", "Leaks", "Knows"} | {name for name, _ in kinds}
    return [re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
            for name, base in kinds if base in bases and name not in shared]


def corpus(folder, size=12_000):
    """A text file of many short documents in `folder`, words drawn from few, and its selector."""
    draw = random.Random(5)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 7))) for _ in range(400)]
    text = ""
    while len(text) < size:
        text += " ".join(draw.choices(words, k=40)) + ".\n\n"
    path = folder / "corpus.txt"
    path.write_text(text)
    return f"file:{path}"


def run(kind, names, folder, *more):
    """Measure the twin and the models `names` of a kind at a small size, in `folder`: (the table, the command)."""
    for part in ("plugins", "text"):
        (folder / part).mkdir()
    files = [one_file(which, folder / "plugins") for which in dict.fromkeys(("honest", kind))]
    text = corpus(folder / "text")
    shutil.copy(text.removeprefix("file:"), folder / "plugins" / "weights.bin")        # what some ship beside them
    given = {"--suite": "perplexity", "--plugins": ",".join(dict.fromkeys((TWIN, *names))), "--params": "5k",
             "--budget": "20k", "--seq-len": "96", "--lr": "0.02", "--timeout": "120", "--jobs": "2",
             "--corpus": text, "--out": folder / "out"}
    options = [part for option in [*given.items(), *(("-p", file) for file in files)] for part in option]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", *map(str, [*options, *more])], env=environment(), text=True,
        capture_output=True, stdin=subprocess.DEVNULL, timeout=900, cwd=folder)
    table = folder / "out" / "table.csv"
    return (pd.read_csv(table, keep_default_na=False) if table.exists() else pd.DataFrame()), done


def verdicts(kind, names, folder, *more):
    """A verdict by name, the twin's among them: whatever models do beyond their own process would show in its score."""
    table, done = run(kind, names, folder, *more)
    assert not table.empty, done.stderr
    found = {name: verdict(table[table["plugin"] == name]) for name in dict.fromkeys((TWIN, *names))}
    assert found[TWIN].status == "ok" and 3 < found[TWIN].bits < 4.5, found[TWIN]
    return found


def verdict(rows):
    failed = rows[rows["status"] != "ok"]
    row = (failed if len(failed) else rows[rows["metric"] == "bits_per_byte"]).iloc[0]
    bits = float("nan") if len(failed) else float(row["value"])
    params = sum(int(row[name] or 0) for name in ("params", "params_embedding"))
    return Verdict(row["status"], row["reason"], bits, params)


def main(kind, names=""):
    with tempfile.TemporaryDirectory() as folder:
        for name, found in verdicts(kind, names.split(",") if names else models(kind), Path(folder)).items():
            print(f"{name:24} {found.bits:6.3f} bits/byte, {found.params} parameters, {found.status} {found.reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
