"""A suite that plans otherwise each time, leaves no rows, or measures by what its identity misses fails in its line."""

import itertools

import pytest

from harness.conformance.suite_checks import check_suite
from harness.registry import load

GOOD = """
import itertools
from harness import Cell, Counted, Row, Suite, hookimpl

count = itertools.count()

def plan(request):
    for choice in request.models:
        yield request.cell("mine", choice)

def measure(cell, bench):
    bench.row("answer", 42.0, "", "higher")

def conclude(results):
    return []

@hookimpl
def harness_suites():
    return [Suite("mine", "of a test", plan, measure, conclude, primary=("answer",))]
"""

NUMBERS = itertools.count()                     # a plugin file is imported once


@pytest.fixture
def lines(plugin):
    def call(**replaced):
        source, name = GOOD, f"mine_{next(NUMBERS)}.py"
        for old, new in replaced.items():
            source = source.replace({"planned": "        yield request.cell(\"mine\", choice)",
                                     "measured": "    bench.row(\"answer\", 42.0, \"\", \"higher\")",
                                     "concluded": "    return []\n\n", "imported": "import itertools"}[old], new)
        file = plugin(name, source)
        registry = load([file])
        return {line.check: line for line in check_suite(registry, registry.suite("mine"), [file])}

    return call


def test_a_good_one_passes(lines):
    assert {line.check: line.status for line in lines().values()} == dict.fromkeys(
        ("identity", "plan", "rows", "conclusions"), "ok")


@pytest.mark.parametrize("name", ["counts", "recall"])
def test_what_is_built_in_passes(name):
    registry = load()
    assert all(line.ok for line in check_suite(registry, registry.suite(name), []))


@pytest.mark.parametrize(("replaced", "line", "words"), [
    ({"planned": "        pass"}, "plan", "it plans no cell for any model"),
    ({"planned": "        yield request.cell('mine', choice, seed=next(count))"}, "plan", "its cells are others"),
    ({"planned": "        yield request.cell('other', choice)"}, "plan", "its cells are of the suite other"),
    ({"planned": "        raise KeyError('broken')"}, "plan", "broken"),
    ({"measured": "    pass"}, "rows", "leaves no row"),
    ({"measured": "    raise KeyError('broken')"}, "rows", "KeyError: 'broken' (mine_"),
    ({"measured": "    bench.row('', 1.0, '', 'higher')"}, "rows", "a row has the metric ''"),
    ({"concluded": "    return [Row(metric='n', value=float(next(count)))]\n\n"}, "conclusions", "other rows"),
    ({"concluded": "    raise ValueError('broken')\n\n"}, "conclusions", "ValueError: broken (mine_"),
])
def test_a_fault_fails_in_its_line(lines, replaced, line, words):
    found = lines(**replaced)
    assert [name for name, one in found.items() if one.status == "fail"] == [line]
    assert words in found[line].detail and found[line].mend


def test_an_import_that_the_identity_does_not_follow_is_found(lines, plugin, monkeypatch, tmp_path):
    plugin("hidden_part.py", "def answer():\n    return 42.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert lines(imported="import itertools\nimport hidden_part")["identity"].status == "ok"
    found = lines(imported="import itertools\nhidden = __import__('hidden' + '_part')")["identity"]
    assert found.status == "fail" and "takes hidden from hidden_part.py" in found.detail
