"""How far the tests of a claim reach: sizes, budgets and texts. A verdict holds there and is told with it. (no torch)

What decides the quality of an architecture at one size, with one budget, on one text may be that size, budget or text:
a claim about quality takes two rungs (a size with a budget) and two corpora, or it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...quantities import format_count, parse_count
from ...store import Row
from ...suite import ByDocument, Suite
from ..comparison.pairs import kind_of
from .claim import ClaimTest, Rule

RUNGS, CORPORA = 2, 2                       # that a claim about quality takes


def reach(tests: Sequence[ClaimTest]) -> str:
    """ "at 100k-1M parameters and 1M-10M bytes of text"; "" where nothing of it is fixed."""
    params, budgets = (_range(_values(tests, name), name) for name in ("params", "budget"))
    parts = [f"{params} parameters"] * bool(params) + [f"{budgets} bytes of text"] * bool(budgets)
    corpora = " and ".join(sorted(_values(tests, "corpus")))
    return "at " * bool(parts) + " and ".join(parts) + (f" ({corpora})" if corpora and parts else "")


def too_narrow(tests: Sequence[ClaimTest], suites: Mapping[str, Suite]) -> str:
    """Why a claim is not decided by its tests, "" where it may be."""
    quality = [test for test in tests if about_quality(test.rule, suites)]
    rungs = {tuple(dict(test.flags).get(name, "") for name in ("params", "budget")) for test in quality}
    corpora = {dict(test.flags).get("corpus", "") for test in quality}
    if not quality or (len(rungs) >= RUNGS and len(corpora) >= CORPORA):
        return ""
    return (f"of one rung and text, {tests[0].words}" if len(rungs) == len(corpora) == 1
            else f"of {len(rungs)} rungs and {len(corpora)} corpora") + (
            f"; a claim about quality takes {RUNGS} rungs and {CORPORA} corpora")


def about_quality(rule: Rule, suites: Mapping[str, Suite]) -> bool:
    """Whether its number is a score of text."""
    quantity = rule.quantity
    row = Row(suite=quantity.suite, metric=quantity.metric, phase=quantity.phase, better="lower")
    how = kind_of(suites[quantity.suite], row)
    return isinstance(how, ByDocument) and bool(how.size)


def _values(tests: Iterable[ClaimTest], name: str) -> set[str]:
    return {str(value) for test in tests if (value := dict(test.flags).get(name))}


def _range(texts: Iterable[str], flag: str) -> str:
    """ "100k", "100k-1M"."""
    counts = sorted(parse_count(text, flag) for text in texts)
    return "-".join(dict.fromkeys(format_count(count) for count in (counts[:1] + counts[-1:])))
