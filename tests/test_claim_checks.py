"""A claim file that does not parse, or names what there is not, fails in its line."""

import pytest

from harness.conformance.claim_checks import check_claims
from harness.registry import load

REGISTRY = load()
GOOD = """
[[claim]]
id = "mine"
quote = "half the memory"
source = "a paper"
section = "Abstract"
failure = "It takes as much."

[[claim.test]]
kind = "ratio"
quantity = "memory.peak_bytes@train"
of = "ssm:layers=2"
to = "baseline"
below = 0.5
"""


@pytest.fixture
def lines(tmp_path):
    def call(old="", new=""):
        assert old in GOOD
        (tmp_path / "claims.toml").write_text(GOOD.replace(old, new) if old else GOOD)
        return {line.check: line for line in check_claims(REGISTRY, "mine", [tmp_path / "claims.toml"])}

    return call


def test_a_good_file_passes(lines):
    assert [line.status for line in lines().values()] == ["ok", "ok"]


def test_what_is_built_in_passes():
    for own in REGISTRY.manager.hook.harness_claims.get_hookimpls():
        assert all(line.ok for line in check_claims(REGISTRY, own.plugin_name, own.function()))


@pytest.mark.parametrize(("old", "new", "line", "words"), [
    ("[[claim]]", "[[claim", "claims", "is not TOML"),
    ('failure = "It takes as much."', "", "claims", "failure: is missing"),
    ("ssm:layers=2", "smm", "named", "did you mean 'ssm'"),
    ("ssm:layers=2", "ssm:layer=2", "named", "did you mean 'layers'"),
    ('to = "baseline"', 'to = "base"', "named", "unknown plugin 'base'"),
    ("below", 'positive = "wve"\nbelow', "named", "did you mean 'wave'"),
    ("below", 'negative_quantity = "memory.peek_bytes"\nbelow', "named", "did you mean 'peak_bytes'"),
    ("memory.peak", "memry.peak", "named", "did you mean 'memory'"),
    ("memory.peak_bytes", "memory.peek_bytes", "named", "did you mean 'peak_bytes'"),
])
def test_a_fault_fails_in_its_line(lines, old, new, line, words):
    found = lines(old, new)
    assert [name for name, one in found.items() if one.status == "fail"] == [line]
    assert words in found[line].detail and found[line].mend


def test_a_file_that_is_not_there_is_told(tmp_path):
    found = {line.check: line for line in check_claims(REGISTRY, "mine", [tmp_path / "absent.toml"])}
    assert "No such file or directory" in found["claims"].detail
    assert found["named"].status == "skipped"
