"""The part of `docs/phasefield.md` on ladders: every rung, longer windows and equal amounts of everything beside the
baseline and its other rivals, then the laws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from harness.evidence.comparison.compare import compare_runs
from harness.evidence.comparison.ladders import reached_text
from harness.evidence.comparison.table import effect_text
from harness.evidence.format import format_value
from harness.evidence.laws.frontier import equal_amounts
from harness.evidence.laws.pace import paced
from harness.evidence.laws.point import RESOURCES, Point
from harness.evidence.laws.rungs import SCORE, rung_points
from harness.evidence.laws.summary import amount_text, ladder_lines
from harness.evidence.report.quality import IN_WINDOW
from harness.reading import Run, read_run
from harness.registry import Registry
from harness.rungs import rung_extent

from .markdown import fenced, heading, line
from .values import BASELINE

REFERENCE = Path("results/reference/ladder")
SUBJECT = "phasefield"


def ladder_part(registry: Registry, root: Path) -> str:
    """The rungs of every plugin, the baseline first; longer windows; the largest amounts that all spent; the laws."""
    run = read_run(root / REFERENCE, registry)
    points = paced(rung_points(run.results), run.results)
    plugins = sorted({point.plugin for point in points}, key=lambda name: (name != BASELINE, name == SUBJECT, name))
    names, rivals = [f"`{name}`" for name in plugins], [name for name in plugins if name not in (BASELINE, SUBJECT)]
    laws = (text for other in plugins if other != SUBJECT for text in ladder_lines(points, other, SUBJECT))
    dtypes = ", ".join(sorted({row.dtype for row in run.rows if row.rung and row.dtype}))
    return "\n".join([
        *heading("text", "rung", *names, *(f"`{SUBJECT}` beside `{name}`" for name in rivals)),
        *_rungs(run, registry, plugins, rivals), "",
        *heading("text", "rung", "window", *names), *_windows(run, plugins), "",
        *heading("at equal", "on", "of", *names), *_amounts(points, plugins), "",
        *fenced(laws).splitlines(), "",
        f"Bits per byte of held-out text; × is of the baseline's number, with 95 % in brackets. {dtypes}, one CPU "
        f"thread. From `{REFERENCE}`; `make readme` makes this."])


def _rungs(run: Run, registry: Registry, plugins: Sequence[str], rivals: Sequence[str]) -> Iterator[str]:
    """A line a rung: means over seeds, beside the baseline's; SUBJECT's beside its rivals'."""
    bits: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in run.rows:
        if row.rung and row.metric == SCORE and row.value is not None:
            bits.setdefault((row.corpus, row.rung), {}).setdefault(row.plugin, []).append(row.value)
    suite = registry.suites["ladder"]
    pairs = [(BASELINE, name) for name in plugins if name != BASELINE] + [(rival, SUBJECT) for rival in rivals]
    effects = {(pair, row.corpus, row.rung): effect_text(row) for pair in pairs
               for row in compare_runs(run, run, [suite], plugins=pair)
               if row.metric == SCORE and row.effect is not None}
    for corpus, rung in sorted(bits, key=lambda place: (place[0], [rung_extent(part) for part in place[1].split()])):
        found = bits[corpus, rung]
        cells = [", ".join(filter(None, [format_value(fmean(found[name])) if name in found else "–",
                                         effects.get(((BASELINE, name), corpus, rung), "")]))
                 for name in plugins]
        yield line(f"`{corpus}`", rung, *cells,
                   *(effects.get(((rival, SUBJECT), corpus, rung), "–") for rival in rivals))


def _windows(run: Run, plugins: Sequence[str]) -> Iterator[str]:
    """Of the largest rung of each text, what the same long documents come to in longer windows; means over seeds."""
    rows = [row for row in run.rows if row.rung and row.metric == IN_WINDOW and row.value is not None]
    for corpus in sorted({row.corpus for row in rows}):
        rung = max((row.rung for row in rows if row.corpus == corpus), key=rung_extent)
        own = [row for row in rows if (row.corpus, row.rung) == (corpus, rung)]
        for length in sorted({row.seq_len or 0 for row in own}):
            found = [[row.value for row in own if (row.plugin, row.seq_len) == (name, length) and row.value is not None]
                     for name in plugins]
            yield line(f"`{corpus}`", rung, f"T={length}",
                       *(format_value(fmean(values)) if values else "–" for values in found))


def _amounts(points: Sequence[Point], plugins: Sequence[str]) -> Iterator[str]:
    """A line for the largest amount of each resource that every plugin spent, on each text."""
    for corpus in sorted({point.corpus for point in points}):
        own = [point for point in points if point.corpus == corpus]
        for resource, what in RESOURCES.items():
            for reached in equal_amounts(own, plugins, resource)[-1:]:
                amount = amount_text(next(iter(reached.values())).amount, resource)
                yield line(what, f"`{corpus}`", amount, *(reached_text(reached.get(name)) for name in plugins))
