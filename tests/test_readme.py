"""The README, and what else is generated, says what the code and the reference results say; its plugin works."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.conformance.scaffold import MODEL
from harness.conformance.scaffold_heads import HEADED_MODEL
from harness.errors import FileError
from harness.evidence.claims.verdict_file import load_verdicts, save_verdicts
from harness.evidence.comparison.recorded import FILE
from harness.registry import load as load_registry
from harness.store import Row
from harness.tuning import TUNED
from tools.readme import (
    CLAIMS,
    DEMO,
    PAGES,
    REFERENCE,
    claim_plots,
    picture_part,
    recorded_scores,
    render,
    verdicts_of,
    verdicts_part,
)
from tools.values import value_cell

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_generated_parts_are_current(page, registry):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert render(text, PAGES[page], ROOT, registry) == text, "run `make readme`"


def test_recorded_scores_are_current(registry):
    assert recorded_scores(registry, ROOT) == (ROOT / CLAIMS / FILE).read_text(encoding="utf-8"), "run `make readme`"


def test_the_plots_of_the_claims_are_current(registry):
    """By the digest of what is drawn: editions of the plotting library place a text differently."""
    for name, drawing in claim_plots(registry, ROOT).items():
        assert f"<!-- {drawing.digest} -->" in (ROOT / CLAIMS / name).read_text(encoding="utf-8"), "run `make readme`"


def test_a_changed_result_would_be_noticed(registry):
    stale = README.replace("bits/byte |", "bits per byte |", 1)
    assert stale != README
    assert render(stale, PAGES[Path("README.md")], ROOT, registry) == README


def test_a_variant_that_a_search_chose_stands_beside_its_score():
    row = Row(suite="perplexity", metric="bits_per_byte", phase="score", value=2.0, unit="bits/byte")
    place = ("perplexity", "bits_per_byte", "score", None)
    plain = value_cell([row], *place)
    tuned = value_cell([replace(row, reason=f"a note; {TUNED}conv=4")], *place)
    assert tuned == f"{plain} (`conv=4`)" != plain


def test_a_page_without_a_place_for_a_part_is_refused(registry):
    with pytest.raises(ValueError, match="there is no <!-- plugins -->"):
        render("nothing", {"plugins": PAGES[Path("README.md")]["plugins"]}, ROOT, registry)


def test_a_changed_verdict_would_be_noticed(tmp_path, registry):
    verdicts = load_verdicts(ROOT / CLAIMS)
    first = next(one for one in verdicts if one.verdict == "refuted")
    (tmp_path / CLAIMS).mkdir(parents=True)
    save_verdicts(tmp_path / CLAIMS, [*verdicts, replace(first, verdict="confirmed")])
    page = (ROOT / CLAIMS / "README.md").read_text(encoding="utf-8")
    assert verdicts_part(registry, ROOT) in page
    assert verdicts_part(registry, tmp_path) not in page


def test_without_verdicts_the_command_is_named(tmp_path):
    with pytest.raises(FileError, match="harness reproduce --all"):
        verdicts_of(tmp_path)


def test_the_readme_is_short(registry):
    assert len(README.splitlines()) <= 180
    assert len(picture_part(registry, ROOT).splitlines()) - 2 <= 30


def test_the_plugin_of_the_readme_is_short_and_keeps_every_promise(command, tmp_path):
    (name, text), = re.findall(r"<!-- file: (\S+) -->\n\n```python\n(.*?)```", README, re.DOTALL)
    assert len(text.strip().splitlines()) <= 40
    (tmp_path / name).write_text(text)
    done = command("check", name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "FAIL" not in done.stdout


def test_the_plugin_that_new_writes_is_short():
    assert max(len(text.strip().splitlines()) for text in (MODEL, HEADED_MODEL)) <= 40


@pytest.mark.parametrize("run", [REFERENCE, DEMO, CLAIMS], ids=str)
def test_reference_results_are_there(run):
    assert (ROOT / run / "manifest.json").exists()
