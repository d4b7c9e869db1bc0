"""The part of `docs/phasefield.md` on ladders: every rung and equal amounts of everything beside the baseline, then the
laws of both."""

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
from harness.reading import Run, read_run
from harness.registry import Registry
from harness.rungs import rung_extent

from .markdown import fenced, heading, line
from .values import BASELINE

REFERENCE = Path("results/reference/ladder")
SUBJECT = "phasefield"


def ladder_part(registry: Registry, root: Path) -> str:
    """The rungs of every plugin, the baseline first; the largest amounts that all spent; SUBJECT's laws."""
    run = read_run(root / REFERENCE, registry)
    points = paced(rung_points(run.results), run.results)
    plugins = sorted({point.plugin for point in points}, key=lambda name: (name != BASELINE, name == SUBJECT, name))
    names = [f"`{name}`" for name in plugins]
    laws = (text for other in plugins if other != SUBJECT for text in ladder_lines(points, other, SUBJECT))
    dtypes = ", ".join(sorted({row.dtype for row in run.rows if row.rung and row.dtype}))
    return "\n".join([
        *heading("text", "rung", *names), *_rungs(run, registry, plugins), "",
        *heading("at equal", "on", "of", *names), *_amounts(points, plugins), "",
        *fenced(laws).splitlines(), "",
        f"Bits per byte of held-out text; × is of the baseline's number, with 95 % in brackets. {dtypes}, one CPU "
        f"thread. From `{REFERENCE}`; `make readme` makes this."])


def _rungs(run: Run, registry: Registry, plugins: Sequence[str]) -> Iterator[str]:
    """A line a rung: means over seeds, beside the baseline's."""
    bits: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in run.rows:
        if row.rung and row.metric == SCORE and row.value is not None:
            bits.setdefault((row.corpus, row.rung), {}).setdefault(row.plugin, []).append(row.value)
    suite = registry.suites["ladder"]
    effects = {(name, row.corpus, row.rung): effect_text(row) for name in plugins if name != BASELINE
               for row in compare_runs(run, run, [suite], plugins=(BASELINE, name))
               if row.metric == SCORE and row.effect is not None}
    for corpus, rung in sorted(bits, key=lambda place: (place[0], [rung_extent(part) for part in place[1].split()])):
        found = bits[corpus, rung]
        cells = [", ".join(filter(None, [format_value(fmean(found[name])) if name in found else "–",
                                         effects.get((name, corpus, rung), "")])) for name in plugins]
        yield line(f"`{corpus}`", rung, *cells)


def _amounts(points: Sequence[Point], plugins: Sequence[str]) -> Iterator[str]:
    """A line for the largest amount of each resource that every plugin spent, on each text."""
    for corpus in sorted({point.corpus for point in points}):
        own = [point for point in points if point.corpus == corpus]
        for resource, what in RESOURCES.items():
            for reached in equal_amounts(own, plugins, resource)[-1:]:
                amount = amount_text(next(iter(reached.values())).amount, resource)
                yield line(what, f"`{corpus}`", amount, *(reached_text(reached.get(name)) for name in plugins))
