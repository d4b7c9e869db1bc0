"""The README says what the code and the reference results say."""

from pathlib import Path

import pytest

from harness.evidence.readme import REFERENCE, render
from harness.scaffold import MODEL

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_generated_parts_are_current():
    assert render(README, ROOT) == README, "run `make readme`"


def test_a_changed_result_would_be_noticed(tmp_path):
    stale = README.replace("bits/byte |", "bits per byte |", 1)
    assert stale != README
    assert render(stale, ROOT) == README


def test_the_tutorial_plugin_is_short():
    assert len(MODEL.strip().splitlines()) <= 40


@pytest.mark.parametrize("command", ["perplexity", "memory", "throughput", "scaling", "kernels", "audit"])
def test_every_suite_is_described(command):
    assert f"| `{command}` |" in README


def test_reference_results_are_there():
    assert (ROOT / REFERENCE / "manifest.json").exists()
