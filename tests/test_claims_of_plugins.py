"""The claims that the built-in plugins bring: every quote is the source's, every test has controls and a reason."""

import re
from pathlib import Path

import pytest

from harness.evidence.claims.claim import SOURCE
from harness.evidence.claims.file import load_claims
from harness.registry import load

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / "../shared/seeds"
COUNTS = {"seed 000": 6, "seed 001": 47, "seed 002": 7, "seed 003": 11, "seed 004": 12,
          "Qelm, its repository": 6, "qllm2 v4, its code": 1, "Quixer, its paper": 6, "QBET, its repository": 10}


@pytest.fixture(scope="module")
def claims():
    found, problems = load_claims(load())
    assert problems == []
    return list(found.values())


@pytest.fixture(scope="module")
def tests(claims):
    return [(f"{claim.id}, {test.form}", test) for claim in claims for test in claim.tests]


@pytest.fixture(scope="module")
def texts():
    """The sources by name."""
    found = {f"seed {path.name[:3]}": plain(path.read_text(encoding="utf-8")) for path in SEEDS.glob("*.txt")}
    if not found:
        pytest.skip(f"no sources of claims at {SEEDS}")
    return found


def plain(text):
    """Without marks of Markdown, and without what is not ASCII, which two sources have lost; a space between words."""
    return " ".join(re.sub(r"[^\x21-\x7e]|[|]", " ", re.sub("[*`#]", "", text)).split())


def test_every_claim_of_a_source_is_entered(claims):
    sources = [claim.source for claim in claims]
    assert {source: sources.count(source) for source in sources} == COUNTS


def test_a_quote_stands_in_its_source(claims, texts):
    """Word for word; one that is composed part by part, between its ellipses."""
    missing = [(claim.id, part) for claim in claims if claim.source in texts
               for part in (claim.quote.split("…") if claim.composed else [claim.quote])
               if plain(part) not in texts[claim.source]]
    assert missing == []


def test_a_section_is_one_of_its_source(claims, texts):
    missing = [(claim.id, part) for claim in claims if claim.source in texts
               for part in claim.section.partition(",")[0].split(" / ") if plain(part) not in texts[claim.source]]
    assert missing == []


def test_every_threshold_has_a_reason(tests):
    assert [name for name, test in tests if not test.because] == []
    assert sum(test.because.startswith(SOURCE) for _, test in tests) >= 42


def test_every_test_has_both_controls_or_says_why_it_needs_none(tests):
    assert [name for name, test in tests if not test.uncontrolled and not (test.positive and test.negative)] == []


def test_what_is_judged_of_a_published_system_is_its_published_form(tests):
    """And a redesign is not: by an option of the plugin, or the name of a kernel's case."""
    named = {name: "published" in f"{test.rule.of} {test.rule.quantity}" for name, test in tests}
    assert [name for name, test in tests if named[name] != (test.subject == "published")] == []


def test_files_that_a_claim_refers_to_exist(claims):
    words = [word.strip(",;.") for claim in claims for word in f"{claim.unmeasurable} {claim.no_claim}".split()]
    files = [word for word in words if word.endswith(".py")]
    assert files and [file for file in files if not (ROOT / file).is_file()] == []
