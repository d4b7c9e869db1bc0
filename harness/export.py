"""Exporters: `harness run … --export NAMES` also writes every finished cell for a tracker of experiments. (no torch)

    tensorboard   a run per plugin and seed; scalars over length, learning curves over bytes
    wandb         a run per cell, offline; `wandb sync` uploads it
    mlflow        a run per cell, in a file store

All lie in `<run>/export/`: caches, settings and logs of these packages too. Nothing is sent anywhere and no host is
looked up. Each is one more implementation of the hook `harness_cell_finished`, which a plugin of yours may bring as
well; what was measured before is not exported again. `reader` is the command that opens what an exporter wrote.
"""

from __future__ import annotations

import importlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any

from .commands.progress import cell_name
from .errors import PluginError, unknown
from .hookspecs import hookimpl
from .store import CellResult

FOLDER = "export"
PROJECT = "qllm-harness"
NO_TELEMETRY = {                            # read when the packages are imported
    "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline"}
WANDB_PLACES = ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR", "ARTIFACT_DIR")


@dataclass(frozen=True)
class Scalar:
    """A number of a cell. `step` is bytes seen where the cell has a curve of it, its length elsewhere."""

    name: str
    value: float
    step: int
    curve: bool


def scalars(result: CellResult) -> Iterator[Scalar]:
    """The numbers of a cell, then its training loss."""
    rows = [row for row in result.rows if row.status == "ok" and row.value is not None]
    names = ["/".join(filter(None, [row.suite, row.metric, row.phase])) for row in rows]
    for name, row in zip(names, rows, strict=True):
        curve = names.count(name) > 1
        yield Scalar(name, float(row.value or 0.0), (row.bytes_seen if curve else row.seq_len) or 0, curve)
    for seen, bits in result.raw.get("curve", ()):
        yield Scalar(f"{result.cell['suite']}/training_loss", bits, seen, True)


def trouble(result: CellResult) -> str:
    """Why a cell is not whole, or ""."""
    return next((f"{row.status}: {row.reason}" for row in result.rows if row.status != "ok"), "")


class TensorBoard:
    """Event files; failures have none."""

    folder, package, module = "tensorboard", "tensorboard", "tensorboard.summary"

    def __init__(self) -> None:
        self.writers: dict[Path, Any] = {}

    @hookimpl
    def harness_cell_finished(self, result: CellResult, directory: Path) -> None:
        options = "".join(f",{key}={value}" for key, value in result.cell["options"].items())
        folder = re.sub(r"[^\w.,=+-]", "_", f"{result.cell['plugin']}{options}")
        place = directory / FOLDER / "tensorboard" / folder / f"seed{result.cell['seed']}"
        if place not in self.writers:
            self.writers[place] = importlib.import_module(self.module).Writer(str(place))
        for scalar in scalars(result):
            self.writers[place].add_scalar(scalar.name, scalar.value, scalar.step)
        self.writers[place].flush()

    def reader(self, directory: Path) -> str:
        return f"tensorboard --logdir {quote(str(directory / FOLDER / 'tensorboard'))}"


class WeightsAndBiases:
    """Offline runs: the cell as configuration, curves as history, the other numbers as summary."""

    folder = package = module = "wandb"

    @hookimpl
    def harness_cell_finished(self, result: CellResult, directory: Path) -> None:
        wandb = importlib.import_module(self.module)
        place = directory / FOLDER / "wandb"
        place.mkdir(parents=True, exist_ok=True)
        for name in WANDB_PLACES:                                       # its process for logs and caches reads these
            os.environ[f"WANDB_{name}"] = str(place.resolve())
        run = wandb.init(
            project=PROJECT, dir=str(place), mode="offline", name=cell_name(result.cell), group=directory.name,
            job_type=result.cell["suite"], config=result.cell, settings=wandb.Settings(silent=True, console="off"))
        for scalar in scalars(result):
            if scalar.curve:
                run.log({scalar.name: scalar.value, "bytes_seen": scalar.step})
            else:
                run.summary[scalar.name] = scalar.value
        run.summary["trouble"] = trouble(result)
        run.finish(exit_code=0 if result.ok else 1)

    def reader(self, directory: Path) -> str:
        """The viewer in the terminal, which older releases lack: there, what would be uploaded."""
        viewer = "leet" if find_spec("wandb.cli.leet") else "sync --dry-run"
        return f"wandb {viewer} {quote(str(directory / FOLDER / 'wandb' / 'wandb'))}"


class MLflow:
    """A file store: an experiment per results directory, a run per cell."""

    folder = package = module = "mlflow"

    @hookimpl
    def harness_cell_finished(self, result: CellResult, directory: Path) -> None:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"                 # newer releases ask for it
        mlflow = importlib.import_module(self.module)
        entities = importlib.import_module(f"{self.module}.entities")
        client = mlflow.MlflowClient(tracking_uri=self.store(directory))
        known = client.get_experiment_by_name(directory.name)
        experiment = known.experiment_id if known else client.create_experiment(directory.name)
        run = client.create_run(experiment, run_name=cell_name(result.cell)).info.run_id
        now = round(1000 * time.time())
        metrics = [entities.Metric(re.sub(r"[^\w\-. :/]", "_", s.name), s.value, now, s.step) for s in scalars(result)]
        params = [entities.Param(key, str(value)[:500]) for key, value in result.cell.items()]
        for start in range(0, len(metrics), 1000):                      # the most that a batch may hold
            client.log_batch(run, metrics=metrics[start:start + 1000])
        client.log_batch(run, params=params, tags=[entities.RunTag("trouble", trouble(result))])
        client.set_terminated(run, "FINISHED" if result.ok else "FAILED")

    def store(self, directory: Path) -> str:
        return (directory / FOLDER / "mlflow").resolve().as_uri()

    def reader(self, directory: Path) -> str:
        """The page of the whole package; the small one has a list in the terminal only."""
        uri, before = quote(self.store(directory)), "MLFLOW_DISABLE_TELEMETRY=true MLFLOW_ALLOW_FILE_STORE=true"
        if find_spec("flask"):
            return f"{before} mlflow ui --backend-store-uri {uri}"
        return f"{before} MLFLOW_TRACKING_URI={uri} mlflow experiments search"


def reader_lines(exporters: Sequence[Exporter], directory: Path) -> list[str]:
    """How to open what the exporters wrote there."""
    return [f"open with: {one.reader(directory)}" for one in exporters if (directory / FOLDER / one.folder).is_dir()]


Exporter = TensorBoard | WeightsAndBiases | MLflow
EXPORTERS: dict[str, type[Exporter]] = {
    "tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}


def make_exporters(names: Sequence[str]) -> list[Exporter]:
    """Exporters by name, ready to be registered. Raises UsageError (unknown) or PluginError (package missing)."""
    made: list[Exporter] = []
    if names:
        os.environ.update(NO_TELEMETRY)
    for name in dict.fromkeys(names):
        if name not in EXPORTERS:
            raise unknown("exporter", name, EXPORTERS)
        made.append(EXPORTERS[name]())
        try:
            importlib.import_module(made[-1].module)
        except ImportError:
            package = made[-1].package
            raise PluginError(f"--export {name} needs the package {package}: pip install {package}") from None
    return made
