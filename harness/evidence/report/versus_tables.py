"""Comparisons with the baseline as a report shows them: a sentence, the headlines, every metric. (no torch)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..comparison.compare import Comparison
from ..comparison.table import effect_text, page
from .document import TAKEAWAY, Block, Paragraph, Section, Table, TableCell, TextSpan, plain
from .tables import HEADLINES, LAST
from .takeaway import chief, takeaway
from .versus import MOST, Versus

DETAILED = 12                               # plugins whose every metric is shown
NAMES = {(metric, phase): heading for metric, phase, heading in HEADLINES}
INTRO = ("As harness compare has them: scores paired by document, times by round; intervals of 95 %, verdicts "
         "corrected within each pair of plugins for the number of metrics (Holm).")


def takeaway_blocks(pairs: Sequence[Versus]) -> Iterator[Block]:
    """A sentence for each run, and below it every plugin beside the baseline in the headline numbers."""
    for run, found in groupby(pairs, lambda pair: pair.run):
        own = list(found)
        several = len({pair.run for pair in pairs}) > 1
        if sentence := takeaway(own, NAMES):
            yield Paragraph((TextSpan(f"{run}: " * several + sentence, TAKEAWAY),))
        if table := headline_comparison(own, f"{run}, " * several):
            yield table


def headline_comparison(pairs: Sequence[Versus], before: str = "") -> Table | None:
    """A row per plugin, a column for each headline that was compared; None where none was."""
    told = [(pair, chief(pair, NAMES)) for pair in pairs]
    keys = [key for key in NAMES if any(key in rows for _, rows in told)]
    if not keys:
        return None
    lengths = {key: {rows[key].seq_len for _, rows in told if key in rows} for key in keys}
    headings = ["plugin", *(NAMES[key] + (f", T={found.pop()}" if len(found := lengths[key] - {None}) == 1 else "")
                            for key in keys)]
    rows = [[plain(pair.plugin), *(comparison_cell(found.get(key)) for key in keys)] for pair, found in told]
    base = pairs[0].base
    notes = [f"{base} = 1; a ratio with its 95 % interval, a difference where it has a sign."]
    if len(pairs) >= MOST:
        notes.append(f"The first {MOST} plugins; harness compare sets any two beside each other.")
    return Table(f"{before}beside {base}", headings, rows, frozenset(range(1, len(headings))), notes=notes)


def comparison_cell(row: Comparison | None) -> TableCell:
    """The effect with its interval, and on the next line the verdict; what it rests on is read on hovering."""
    if row is None:
        return plain("–", "empty", order=LAST)
    why = "; ".join(filter(None, (row.how, row.reason)))
    spans = [TextSpan(effect_text(row), title=why)] * (row.effect is not None)
    return TableCell((*spans, TextSpan(row.verdict, kind_of_verdict(row.verdict), title=why, line=True)),
                     LAST if row.effect is None else row.effect)


def kind_of_verdict(verdict: str) -> str:
    return {"better": "passed", "worse": "failed"}.get(verdict, "muted")


def comparison_section(pairs: Sequence[Versus]) -> Section:
    """Every metric of every plugin beside the baseline, a table each."""
    section = Section("comparison", "Beside the baseline", INTRO)
    several = len({pair.run for pair in pairs}) > 1
    for number, pair in enumerate(pairs):
        name = f"{pair.run}, " * several + f"{pair.plugin} / {pair.base}"
        if pair.trouble:
            section.blocks.append(Paragraph((TextSpan(f"{name} cannot be compared: {pair.trouble}", "failed"),)))
        elif number < DETAILED:
            section.blocks.append(metric_table(pair, name))
    if len(pairs) > DETAILED:
        rest = f"{len(pairs) - DETAILED} further plugins: harness compare RUN --plugins {pairs[0].base},PLUGIN"
        section.blocks.append(Paragraph((TextSpan(rest, "muted"),)))
    return section


def metric_table(pair: Versus, name: str) -> Table:
    """What `harness compare` prints of the two."""
    found = page(pair.rows, pair.growth, pair.budgets, (), (pair.base, pair.plugin))
    rows = [[*map(plain, line[:-1]), plain(line[-1], kind_of_verdict(line[-1].rpartition(" [")[0]))]
            for line in found.lines]
    summary = f"{name}: {found.notes[-1].partition(';')[0]}" if found.notes else name
    return Table(name, found.headings, rows, frozenset(range(1, len(found.headings) - 1)), notes=found.notes,
                 folded=summary)
