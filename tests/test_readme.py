"""The README says what the code and the reference results say."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.conformance.scaffold import MODEL
from harness.errors import FileError
from harness.evidence.claims.verdict import load, save
from harness.evidence.readme import CLAIMS, REFERENCE, render, verdicts_part

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_generated_parts_are_current():
    assert render(README, ROOT) == README, "run `make readme`"


def test_a_changed_result_would_be_noticed(tmp_path):
    stale = README.replace("bits/byte |", "bits per byte |", 1)
    assert stale != README
    assert render(stale, ROOT) == README


def test_a_changed_verdict_would_be_noticed(tmp_path):
    verdicts = load(ROOT / CLAIMS)
    first = next(one for one in verdicts if one.verdict == "refuted")
    save(tmp_path, [*verdicts, replace(first, verdict="confirmed")])
    assert verdicts_part(ROOT / CLAIMS) in README
    assert verdicts_part(tmp_path) not in README


def test_without_verdicts_the_command_is_named(tmp_path):
    with pytest.raises(FileError, match="harness reproduce --all"):
        verdicts_part(tmp_path)


def test_the_tutorial_plugin_is_short():
    assert len(MODEL.strip().splitlines()) <= 40


@pytest.mark.parametrize("command", [
    "perplexity", "memory", "throughput", "scaling", "kernels", "audit", "counts", "anatomy"])
def test_every_suite_is_described(command):
    assert f"| `{command}` |" in README


def test_reference_results_are_there():
    assert (ROOT / REFERENCE / "manifest.json").exists()
