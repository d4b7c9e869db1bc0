"""The tables of `docs/abilities.md`: what every plugin of the reference makes of the field's tasks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.suites.abilities import solving

from harness.data.abilities.table import ABILITIES as TASKS
from harness.evidence.format import format_value
from harness.reading import read_run
from harness.registry import Registry
from harness.store import CellResult, Row

from .markdown import heading, line

REFERENCE = Path("results/reference/abilities")

Found = dict[tuple[str, str], list[Row]]                    # by label of the plugin and metric, of one task
Training = tuple[str, str, str, int, int]                   # task, size, label of the plugin, tokens, texts a step


def abilities_part(registry: Registry, root: Path) -> str:
    """Accuracies in `quick`, tuned, a row a task; of what was trained otherwise a row for every training."""
    scored = [result for result in read_run(root / REFERENCE, registry).results
              if result.cell["protocol"]["role"] == "score"]
    tuned, others = ([result for result in scored if _is_tuned(result) == asked] for asked in (True, False))
    labels = sorted({result.label for result in tuned}, key=lambda label: _place(registry, label))
    lines = [*heading("task", "chance", *(f"`{label}`" for label in labels))]
    of_tasks = {task: _rows(result for result in tuned if result.cell["protocol"]["task"] == task) for task in TASKS}
    lines += [line(f"`{task}`", format_value(_chance(rows)), *(_accuracy(rows, label, "accuracy") for label in labels))
              for task, rows in of_tasks.items() if rows]
    longer = [*heading("task", "size", "plugin", "tokens", "texts a step", "accuracy", "at other lengths", "passes")]
    for training in sorted({_training(result) for result in others}, key=lambda training: (
            list(TASKS).index(training[0]), training[1], _place(registry, training[2]), *training[3:])):
        task, size, label, tokens, texts = training
        found = _rows(result for result in others if _training(result) == training)
        lengths = [f"{metric.partition('@')[2]}: {_accuracy(found, label, metric)}"
                   for _, metric in found if metric.startswith("accuracy@")]
        longer.append(line(f"`{task}`", f"`{size}`", f"`{label}`", format_value(float(tokens)),
                           str(texts), _accuracy(found, label, "accuracy"), ", ".join(lengths) or "–",
                           format_value(found[label, "passes"][0].value or 0.0)))
    return "\n".join([*lines, "", "Trained for longer:", "", *longer, "",
                      f"Bold is solved. From `{REFERENCE}`; `make readme` makes these tables."])


def _is_tuned(result: CellResult) -> bool:
    """Whether a cell scores what was trained in `quick` as its search found best."""
    protocol = result.cell["protocol"]
    return bool(protocol["size"] == "quick" and protocol["lr"] is None)


def _training(result: CellResult) -> Training:
    protocol = result.cell["protocol"]
    return protocol["task"], protocol["size"], result.label, protocol["budget_bytes"], result.cell["batch_size"]


def _place(registry: Registry, label: str) -> tuple[int, str]:
    return list(registry.models).index(label.partition(":")[0]), label


def _rows(results: Iterable[CellResult]) -> Found:
    found: Found = {}
    for result in results:
        for row in result.rows:
            found.setdefault((result.label, row.metric.partition(":")[0]), []).append(row)
    return found


def _chance(found: Found) -> float:
    return next(row.value for (_, metric), rows in found.items() if metric == "chance"
                for row in rows if row.value is not None)


def _accuracy(found: Found, label: str, metric: str) -> str:
    """With its interval where there is one seed; bold where it is solved; the status where there is no number."""
    rows = found.get((label, metric), [])
    values = [row.value for row in rows if row.value is not None]
    if not values:
        return next((row.status for row in rows), "–")
    one, mean = rows[0], sum(values) / len(values)
    text = format_value(mean, "", *((one.ci_low, one.ci_high) if len(rows) == 1 else (None, None)))
    return f"**{text}**" if mean >= solving(_chance(found)) else text
