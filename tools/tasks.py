"""The tables of `docs/abilities.md`: what every plugin of the reference makes of the field's tasks."""

from __future__ import annotations

from pathlib import Path

from harness.suites.abilities import solving

from harness.data.abilities.sizes import SIZES
from harness.data.abilities.table import ABILITIES as TASKS
from harness.evidence.format import format_value
from harness.reading import Run, read_run
from harness.registry import Registry
from harness.store import Row

from .markdown import heading, line

REFERENCE = Path("results/reference/abilities")

Found = dict[tuple[str, str, str], list[Row]]               # by task, label of the plugin and metric


def abilities_part(registry: Registry, root: Path) -> str:
    """Accuracies in the size `quick`, a row a task; in the size of the papers a row for every task and plugin."""
    run = read_run(root / REFERENCE, registry)
    quick, paper = (_found(run, registry, size) for size in SIZES)
    labels = sorted({label for _, label, _ in quick}, key=lambda label: _place(registry, label))
    lines = [*heading("task", "chance", *(f"`{label}`" for label in labels))]
    for task in dict.fromkeys(task for task, *_ in quick):
        cells = [_accuracy(quick, (task, label), "accuracy") for label in labels]
        lines.append(line(f"`{task}`", format_value(_chance(quick, task)), *cells))
    tests = [*heading("task", "plugin", "accuracy", "at other lengths", "passes")]
    for task, label in dict.fromkeys(key[:2] for key in paper):
        longer = [f"{key[2].partition('@')[2]}: {_accuracy(paper, (task, label), key[2])}" for key in paper
                  if key[:2] == (task, label) and key[2].startswith("accuracy@")]
        passes = paper[task, label, "passes"][0].value or 0.0
        tests.append(line(f"`{task}`", f"`{label}`", _accuracy(paper, (task, label), "accuracy"),
                          ", ".join(longer) or "–", format_value(passes)))
    return "\n".join([*lines, "", "In the size of the papers:", "", *tests, "",
                      f"Bold is solved. From `{REFERENCE}`; `make readme` makes these tables."])


def _found(run: Run, registry: Registry, size: str) -> Found:
    """Rows of one size in the order of the tasks and the plugins."""
    found: Found = {}
    for result in run.results:
        if result.cell["protocol"].get("size") == size and result.cell["protocol"]["role"] == "score":
            for row in result.rows:
                key = result.cell["protocol"]["task"], result.label, row.metric.partition(":")[0]
                found.setdefault(key, []).append(row)
    tasks = list(TASKS)
    return dict(sorted(found.items(), key=lambda item: (tasks.index(item[0][0]), _place(registry, item[0][1]))))


def _place(registry: Registry, label: str) -> tuple[int, str]:
    return list(registry.models).index(label.partition(":")[0]), label


def _chance(found: Found, task: str) -> float:
    return next(row.value for key, rows in found.items() if (key[0], key[2]) == (task, "chance")
                for row in rows if row.value is not None)


def _accuracy(found: Found, model: tuple[str, str], metric: str) -> str:
    """With its interval where there is one seed; bold where it is solved; the status where there is no number."""
    rows = found.get((*model, metric), [])
    values = [row.value for row in rows if row.value is not None]
    if not values:
        return next((row.status for row in rows), "–")
    one, mean = rows[0], sum(values) / len(values)
    text = format_value(mean, "", *((one.ci_low, one.ci_high) if len(rows) == 1 else (None, None)))
    return f"**{text}**" if mean >= solving(_chance(found, model[0])) else text
