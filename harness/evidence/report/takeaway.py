"""One sentence of what a run decides between its baseline and the other plugins. (no torch)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from ...rungs import rung_extent
from ..comparison.compare import Comparison
from .versus import Versus

DECIDED = ("better", "worse")
BEST, WORST = 4, 2                          # of many plugins, those that a sentence names

Headings = Mapping[tuple[str, str], str]    # (metric, phase) -> what a reader calls it


def chief(pair: Versus, headings: Headings) -> dict[tuple[str, str], Comparison]:
    """Of every headline the comparison at the longest length and largest rung, in the first suite that has it."""
    found: dict[tuple[str, str], Comparison] = {}
    for key in headings:
        own = [row for row in pair.rows if (row.metric, row.phase) == key and not row.verdict.startswith("only")]
        own = [row for row in own if row.suite == own[0].suite]
        if own:
            found[key] = max(own, key=lambda row: (row.seq_len or 0, rung_extent(row.rung)))
    return found


def takeaway(pairs: Sequence[Versus], headings: Headings) -> str:
    """ "phasefield needs 0.81 of baseline's bits/byte; nothing else is decided." Empty without a comparison."""
    pairs = [pair for pair in pairs if pair.rows]
    told = [(pair, chief(pair, headings)) for pair in pairs]
    decided = [(pair, key, row) for pair, rows in told for key, row in rows.items() if row.verdict in DECIDED]
    if not pairs:
        return ""
    if refused := _refused(pairs):
        return f"Nothing is comparable with {pairs[0].base}: {refused}."
    if not decided:
        return f"No headline number differs decidedly from that of {pairs[0].base}; {_others(pairs, [])}."
    if len(pairs) == 1:
        words, named = _of_one(decided, headings), [row for _, _, row in decided]
        return f"{pairs[0].plugin} {words}; {_others(pairs, named)}."
    first = min((key for _, key, _ in decided), key=list(headings).index)
    ranked = sorted(((pair, row) for pair, key, row in decided if key == first), key=lambda one: _goodness(one[1]))
    cut = len(ranked) - BEST - WORST
    parts = [f"{pair.plugin} {(_amount(row) or _failure_words(row)).removesuffix(' of').removesuffix(' at')}"
             for pair, row in ranked]
    parts = parts if cut < 2 else [*parts[:BEST], f"{cut} others lie between", *parts[-WORST:]]
    return (f"Of {pairs[0].base}'s {headings[first]}, {', '.join(parts)}; "
            f"{_others(pairs, [row for _, row in ranked])}.")


def _refused(pairs: Sequence[Versus]) -> str:
    """Why nothing is comparable; "" where something is, or nothing was measured of both."""
    rows = [row for pair in pairs for row in pair.rows if not row.verdict.startswith("only")]
    if any(row.verdict != "incomparable" for row in rows):
        return ""
    return "; ".join(dict.fromkeys(row.reason.partition(" (")[0] for row in rows))


def _of_one(decided: Sequence[tuple[Versus, tuple[str, str], Comparison]], headings: Headings) -> str:
    """ "needs 0.81 of baseline's bits/byte and 0.85 of its training peak, and fails at its state"."""
    groups: dict[str, list[str]] = {}
    owner = f"{decided[0][0].base}'s"
    for _, key, row in sorted(decided, key=lambda one: one[2].verdict != "better"):
        verb, _, amount = (_amount(row) or _failure_words(row)).partition(" ")
        groups.setdefault(verb, []).append(f"{amount} {owner} {headings[key]}")
        owner = "its"
    return ", and ".join(f"{verb} {_listed(things)}" for verb, things in groups.items())


def _listed(things: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(things[:-1]), things[-1]]))


def _goodness(row: Comparison) -> tuple[bool, float]:
    """Better ones first, the best of them in front."""
    worse, effect = row.verdict == "worse", row.effect
    return worse, (inf if worse else -inf) if effect is None else -effect if row.better == "higher" else effect


def _amount(row: Comparison) -> str:
    """ "needs 0.81 of", "reaches 3 times", "lies 0.6 below"; "" where a system failed."""
    if row.effect is None:
        return ""
    if row.scale == "difference":
        return f"lies {abs(row.effect):.2g} {'above' if row.effect > 0 else 'below'}"
    digits = f"{row.effect:.3g}" if 0.95 < row.effect < 1.05 else f"{row.effect:.2g}"
    return f"{'needs' if row.better == 'lower' else 'reaches'} {digits} {'of' if row.effect < 1 else 'times'}"


def _failure_words(row: Comparison) -> str:
    return "fails at" if row.verdict == "worse" else "alone has"


def _others(pairs: Sequence[Versus], named: Sequence[Comparison]) -> str:
    """What else is decided, in numbers."""
    others = [row for pair in pairs for row in pair.rows if row not in named and not row.verdict.startswith("only")]
    better, worse = (sum(row.verdict == verdict for row in others) for verdict in DECIDED)
    if not better and not worse:
        return "nothing else is decided"
    left = len(others) - better - worse
    return f"of {len(others)} further comparisons {better} better, {worse} worse, {left} not decided"
