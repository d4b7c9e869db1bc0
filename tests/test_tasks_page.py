"""The tables of synthetic tasks: a solved one is bold, seeds are averaged, what gave no number says its status."""

from pathlib import Path
from types import SimpleNamespace

from harness.registry import load
from harness.store import Row
from tools import tasks


def result(task, label, size="quick", lr=None, budget=1_000_000, texts=64, **values):
    rows = [Row("r", "c", "abilities", metric=f"{metric.replace('_at_', '@')}:{task}", value=value,
                status="ok" if value is not None else "unsupported") for metric, value in values.items()]
    return SimpleNamespace(label=label, rows=rows, cell={"batch_size": texts, "protocol": {
        "role": "score", "size": size, "task": task, "lr": lr, "budget_bytes": budget}})


def page(monkeypatch, *results):
    monkeypatch.setattr(tasks, "read_run", lambda *_: SimpleNamespace(results=results))
    return tasks.abilities_part(load(), Path()).splitlines()


def test_a_row_a_task_and_a_column_a_plugin_in_their_own_order(monkeypatch):
    lines = page(
        monkeypatch, result("parity", "ssm", accuracy=0.5, chance=0.5),
        result("mqar:64x4", "ssm", accuracy=0.2, chance=0.1),
        result("mqar:64x4", "baseline", accuracy=0.9, chance=0.1),
        result("mqar:64x4", "baseline", accuracy=1.0, chance=0.1),
        result("compression", "ssm", accuracy=None, chance=0.1))
    assert lines[:5] == [
        "| task | chance | `baseline` | `ssm` |", "|---|---|---|---|",
        "| `compression` | 0.100 | – | unsupported |",
        "| `mqar:64x4` | 0.100 | **0.950** | 0.200 |",    # of two seeds; 0.91 of the way from chance to 1 is solved
        "| `parity` | 0.500 | – | 0.500 |"]


def test_what_was_trained_otherwise_has_a_row_for_every_training(monkeypatch):
    lines = page(
        monkeypatch, result("a5", "lstm", accuracy=1.0, chance=0.1),
        result("parity", "lstm", lr=0.01, budget=3_000_000, accuracy=0.7, accuracy_at_40=1.0, accuracy_at_256=0.4,
               chance=0.5, passes=2.0),
        result("parity", "lstm", "paper", budget=3_000_000, accuracy=0.6, chance=0.5, passes=1.0),
        result("parity", "lstm", "paper", accuracy=0.5, chance=0.5, passes=0.5),
        result("parity", "lstm", "paper", texts=16, accuracy=0.4, chance=0.5, passes=0.5),
        result("memorisation", "lstm", "paper", accuracy=1.0, chance=0.1, passes=3.0))
    assert lines[:3] == ["| task | chance | `lstm` |", "|---|---|---|", "| `a5` | 0.100 | **1** |"]
    assert [line for line in lines if line.count("|") == 9][2:] == [
        "| `memorisation` | `paper` | `lstm` | 1 M | 64 | **1** | – | 3 |",
        "| `parity` | `paper` | `lstm` | 1 M | 16 | 0.400 | – | 0.500 |",
        "| `parity` | `paper` | `lstm` | 1 M | 64 | 0.500 | – | 0.500 |",
        "| `parity` | `paper` | `lstm` | 3 M | 64 | 0.600 | – | 1 |",
        "| `parity` | `quick` | `lstm` | 3 M | 64 | 0.700 | 40: **1**, 256: 0.400 | 2 |"]
