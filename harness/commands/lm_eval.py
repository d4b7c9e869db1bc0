"""`harness lm-eval`: trained weights on the tasks of lm-evaluation-harness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import FileError, PluginError, UsageError
from .options import Device, Json, PluginFiles, load_registry, print_objects

if TYPE_CHECKING:
    from ..bridges.lm_eval import TaskResult


def lm_eval(
    checkpoint: Annotated[str, typer.Argument(help="Directory of a training run (its best weights) or a file of one.",
        metavar="CHECKPOINT")],
    tasks: Annotated[str, typer.Option(help="Names of tasks, groups or tags, separated by commas.", metavar="TASKS")],
    include_path: Annotated[Path | None, typer.Option(help="A folder of further tasks as YAML.",
        metavar="PATH")] = None,
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", help="Also write everything that lm_eval tells, as .json.", metavar="PATH")] = None,
    limit: Annotated[int, typer.Option(help="Only so many examples of each task; 0 for all.", min=0, metavar="N")] = 0,
    num_fewshot: Annotated[int | None, typer.Option(help="Examples in the context; default: the task's own.", min=0,
        metavar="N")] = None,
    window: Annotated[int, typer.Option(help="Tokens that a rolling likelihood sees at once; 0 for those of training.",
        min=0, max=1 << 24, metavar="N")] = 0,
    stride: Annotated[int, typer.Option(help="Tokens from one such window to the next; 0 for the window.", min=0,
        metavar="N")] = 0,
    batch_size: Annotated[int, typer.Option(help="Texts that are read at once.", min=1, max=1 << 16,
        metavar="N")] = 16,
    seed: Annotated[int, typer.Option(help="Of draws and of the examples in a context.", min=0, max=(1 << 31) - 1,
        metavar="SEED")] = 0,
    device: Device = "auto",
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Evaluate trained weights on tasks of lm-evaluation-harness, which must be installed.

    The weights are audited first, at the length of the window. Exit code 1 where they fail, or a task does not load
    or run; 3 without the package.

    Example: harness lm-eval runs/pf --tasks lambada_openai
    """
    names = list(dict.fromkeys(filter(None, (name.strip() for name in tasks.split(",")))))
    if not names:
        raise UsageError("--tasks names no task")
    if out and out.suffix != ".json":
        raise UsageError(f"-o must name a .json file, not {out}")
    if include_path and not include_path.is_dir():
        raise FileError(f"--include-path {include_path} is no folder")
    if find_spec("lm_eval") is None:
        raise PluginError("lm-eval needs the package lm_eval: pip install 'qllm-harness[lm-eval]'")
    from ..checkpoint import open_checkpoint
    from ..run.request import resolve_device

    opened = open_checkpoint(checkpoint)
    place, registry = resolve_device(device), load_registry(plugin_file)
    from ..bench.restored import restore
    from ..bridges.lm_eval import TaskResult, TrainedLM, evaluate, load_tasks

    restored = restore(registry, opened, place)
    model = TrainedLM(restored, window=window, stride=stride, batch_size=batch_size, seed=seed)
    if stride > model.window:
        raise UsageError(f"--stride must be at most the window, {model.window}; it is {stride}")
    manager = load_tasks(names, str(include_path) if include_path else None)
    restored.hold_to_audit(model.window)
    found = evaluate(model, names, manager, limit=limit or None, num_fewshot=num_fewshot, log_samples=False)
    if out:
        from ..store import finite
        from ..writing import write_atomically

        write_atomically(out, json.dumps(finite(found), indent=1, default=str) + "\n")
    results = TaskResult.all_of(found)
    if as_json:
        print_objects("task", map(asdict, results))
    else:
        print_tasks(results, f"{checkpoint}: {restored.spec.name}, windows of {model.window} tokens")


def print_tasks(results: Sequence[TaskResult], title: str) -> None:
    from rich import box
    from rich.table import Table

    from ..evidence.tables.console import wide_console

    table = Table("task", "metric", "value", "standard error", "better", "examples", box=box.SIMPLE_HEAD,
                  pad_edge=False, title=title, title_justify="left")
    for result in results:
        table.add_row(
            result.task, result.metric, f"{result.value:.4f}", "" if result.stderr is None else f"{result.stderr:.4f}",
            result.better, str(result.samples or ""))
    wide_console().print(table)
