"""The rows of a run as other projects keep results: by model, each score with its context, and a folder of files.
(no torch)"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..quantities import format_count
from ..reading import Run
from ..store import Row, finite
from ..writing import write_atomically

OWNER = "qllm-harness"                      # under which models without a publisher of their own are filed
LONGEST = 120                               # characters of a name of a folder
SETTING = ("phase", "seq_len", "batch_size", "bytes_seen", "device", "dtype", "seed", "repeat", "rung", "n_qubits",
           "depth", "shots", "execution", "gradient")


@dataclass(frozen=True)
class Model:
    """A model of a run as its results are filed: `label` is the selector, `name` the folder."""

    label: str
    name: str
    rows: tuple[Row, ...]

    @property
    def scores(self) -> list[Row]:
        """Numbers that are better in one direction."""
        return [row for row in self.rows if is_score(row)]

    @property
    def cells(self) -> set[str]:
        return {row.cell_id for row in self.rows if row.cell_id}


def is_score(row: Row) -> bool:
    return row.status == "ok" and bool(row.better) and finite(row.value) is not None


def models_of(run: Run) -> list[Model]:
    """The models of a run in the order of their rows. Raises FileError where it has none."""
    rows: dict[str, list[Row]] = {}
    for row in run.rows:
        if row.plugin:
            rows.setdefault(row.label, []).append(row)
    if not rows:
        raise FileError(f"{run.name} holds no row of a model; `harness run --out {run.name}` makes some")
    return [Model(label, portable(label), tuple(own)) for label, own in rows.items()]


def portable(label: str) -> str:
    """A selector as the name of a folder on any system: "ssm:layers=1" is "ssm,layers=1"."""
    return re.sub(r"[^\w.,=+-]", "_", label.replace(":", ",")).strip("._,")[:LONGEST]


def setting_of(row: Row) -> dict[str, Any]:
    """Under what a number was measured, what is empty left out."""
    return {name: value for name in SETTING if (value := getattr(row, name)) not in (None, "")}


def setting_text(row: Row) -> str:
    """ "score, seq_len=256, seed=0"."""
    return ", ".join(str(value) if name in ("phase", "device", "dtype") else
                     f"{name}={format_count(value) if name == 'bytes_seen' else value}"
                     for name, value in setting_of(row).items())


def filled(row: Row) -> dict[str, Any]:
    """A row as JSON has it, what is empty left out."""
    return {name: value for name, value in finite(vars(row)).items() if value not in (None, "")}


def write_files(directory: Path, files: Mapping[str, str]) -> None:
    """A new folder with these texts, by their paths in it. Raises FileError where it holds something already."""
    make_folder(directory)
    for name, text in files.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror}") from None
        write_atomically(path, text)


def make_folder(directory: Path) -> None:
    """Make it where it is not there. Raises FileError where it cannot be made or holds something already."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = next(directory.iterdir(), None)
    except OSError as error:
        raise FileError(f"cannot write to {directory}: {error.strerror}") from None
    if found:
        raise FileError(f"{directory} holds other files ({found.name}); name a new directory with -o")
