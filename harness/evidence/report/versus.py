"""Every plugin of a run beside its baseline, with the numbers that `harness compare` has of them. (no torch)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...errors import one_line
from ...reading import Run
from ...registry import Registry
from ...selector import parse_selector
from ...store import CellResult, Row
from ..comparison.compare import Comparison, compare_runs, paired_budgets, relative_growth
from ..comparison.tuning import TuningBudget

MOST = 40                                   # plugins that are set beside the baseline


@dataclass(frozen=True)
class Versus:
    """A plugin beside the baseline of its run: `harness compare RUN --plugins BASE,PLUGIN`; `trouble` why it is not."""

    run: str
    base: str
    plugin: str
    rows: Sequence[Comparison] = ()
    growth: Sequence[Row] = ()
    budgets: Sequence[tuple[TuningBudget, TuningBudget]] = ()
    trouble: str = ""


class _Parts:
    """A run by suite and label, so that a pair of plugins is compared without a look at everything else."""

    def __init__(self, run: Run):
        self.run = run
        self.cells: dict[tuple[str, str], list[CellResult]] = {}
        for result in run.results:
            self.cells.setdefault((result.cell["suite"], result.label), []).append(result)
        self.outline = Run(run.name, [results[0] for results in self.cells.values()])
        self.derived: dict[str, list[Row]] = {}
        for row in run.derived:
            self.derived.setdefault(row.cell_id, []).append(row)

    def asked_for(self) -> dict[str, str]:
        """Every label and the plugin that was asked for: where a suite set options of its own, the one without."""
        suites: dict[str, list[str]] = {}
        for suite, label in self.cells:
            suites.setdefault(label, []).append(suite)

        of_one: dict[str, list[str]] = {}
        for label in suites:
            of_one.setdefault(parse_selector(label).name, []).append(label)

        def stands_for(name: str, label: str) -> bool:
            return name != label and all(self.outline.label_of(name, suite) == label for suite in suites[label])

        return {label: next((name for name in of_one[parse_selector(label).name] if stands_for(name, label)), label)
                for label in suites}

    def only(self, plugins: Sequence[str]) -> Run:
        """The cells of some plugins, with whatever was timed beside them."""
        chosen = {result.id: result for suite in dict.fromkeys(suite for suite, _ in self.cells) for plugin in plugins
                  if (label := self.outline.label_of(plugin, suite)) for result in self.cells[suite, label]}
        groups = [self.run.groups.get(result.cell["group"], ()) for result in chosen.values()]
        chosen |= {result.id: result for group in groups for result in group}
        return replace(self.run, results=list(chosen.values()),
                       derived=[row for cell_id in chosen for row in self.derived.get(cell_id, ())])


def asked_for(run: Run) -> dict[str, str]:
    """Every label of a run -> the plugin that was asked for."""
    return _Parts(run).asked_for()


def beside_baseline(run: Run, registry: Registry) -> Iterator[Versus]:
    """The plugins of a run, at most MOST, each beside what the run has as its baseline."""
    parts = _Parts(run)
    names = [label for label, name in parts.asked_for().items() if label == name]
    base = baseline_of(names, registry)
    suites = [suite for suite in registry.suites.values() if parts.outline.labels(suite.name)]
    for plugin in [name for name in names if name != base][:MOST]:
        pair = (base, plugin)
        try:
            both = parts.only(pair)
            yield Versus(run.name, base, plugin, compare_runs(both, both, suites, plugins=pair),
                         relative_growth(both, both, suites, pair), paired_budgets(both, both, suites, pair))
        except Exception as error:                  # a suite's own code; the measured rows are worth more
            yield Versus(run.name, base, plugin, trouble=one_line(error))


def baseline_of(names: Sequence[str], registry: Registry) -> str:
    """The first plugin that says it is what others are compared with, else the first; "" where there is none."""
    marked = [name for name in names if (spec := registry.models.get(parse_selector(name).name)) and spec.baseline]
    return next(iter([*marked, *names]), "")
