"""Results on disk: one atomic file per finished cell, tables made from them. (no torch)

    results/<run>/manifest.json        what was asked for, where and with which versions
    results/<run>/cells/<id>.json      rows and raw measurements of one finished cell
    results/<run>/weights/<id>/        what it has scored, as a training run keeps it (checkpoint.py)
    results/<run>/trunks/              trainings that other cells, or the same after an interruption, go on from
    results/<run>/table.parquet|csv    every row, long format

A cell's file and the folder of its weights are written under a temporary name, synced and renamed, so that each exists
whole or not at all; the weights come first.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from .errors import FileError
from .records import ABSENT, Audited, Better, CellRecord, ManifestRecord, Status
from .selector import Selector
from .spreadsheet import inert
from .untrusted import LARGEST, Finite, Int64, Malformed, Measured, Positive, bounded, held_to, parse_json, read_bounded
from .writing import beside, replacing, write_atomically, write_folder

if TYPE_CHECKING:
    import pandas

SCHEMA = 1
MOST_ROWS = 10_000                          # of one cell
STATUSES: tuple[str, ...] = get_args(Status)
OWN = (                                     # what may lie there without a manifest
    "cells", "weights", "trunks", "table.parquet", "table.csv", "worker.log", "export", "verdicts.json", "slurm")


@dataclass
class Row:
    """One number with its unit, or the reason why there is none."""

    schema: Int64 = SCHEMA
    run_id: str = ""
    cell_id: str = ""
    suite: str = ""
    plugin: str = ""
    options: str = ""
    family: str = ""
    code: str = ""                          # digest of the source and the weights behind the number
    params: Int64 | None = None               # non-embedding, real degrees of freedom
    params_embedding: Int64 | None = None
    state_bytes: Int64 | None = None
    corpus: str = ""
    corpus_sha256: str = ""
    tokenizer: str = ""
    seq_len: Int64 | None = None
    batch_size: Int64 | None = None
    device: str = ""
    dtype: str = ""
    phase: str = ""                         # train | prefill | decode | score
    seed: Int64 | None = None
    repeat: Int64 | None = None
    rung: str = ""                          # of a ladder: the size and the budget that were asked for
    bytes_seen: Int64 | None = None           # raw bytes trained on when this was measured
    n_qubits: Int64 | None = None             # of a circuit, with the layers and the two-qubit gates it was built with
    depth: Int64 | None = None
    two_qubit_gates: Int64 | None = None
    shots: Int64 | None = None
    circuit_executions: Int64 | None = None   # that one sample takes, gradient included
    execution: str = ""                     # compiled | native | shots | noise
    gradient: str = ""                      # adjoint | backprop | shift | spsa
    metric: str = ""
    value: Finite | None = None
    unit: str = ""
    better: Better = ""                      # lower | higher
    ci_low: Finite | None = None
    ci_high: Finite | None = None
    limit: Finite | None = None
    limit_kind: str = ""                    # entropy | bandwidth | compute | statevector | shots
    audited: Audited = ""                     # whether the model passed an audit in this cell
    status: Status = "ok"
    reason: str = ""
    wall_s: Finite | None = None
    started_at: str = ""

    @property
    def label(self) -> str:
        """How the plugin is written on the command line: its name, options and checkpoint."""
        return self.plugin + (":" if self.options and not self.options.startswith("@") else "") + self.options


COLUMNS = tuple(f.name for f in fields(Row))


@dataclass
class CellResult:
    """What one cell gave: its rows, and the raw measurements that every statistic can be recomputed from.

    `weights` are the files of what it has scored, until they are stored.
    """

    cell: dict[str, Any]
    rows: list[Row]
    raw: dict[str, Any] = field(default_factory=dict)
    environment: str = ""
    weights: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @property
    def id(self) -> str:
        return str(self.cell["id"])

    @cached_property
    def label(self) -> str:
        """How the plugin is written on the command line."""
        options = tuple(self.cell["options"].items())
        return str(Selector(self.cell["plugin"], options=options, checkpoint=self.cell.get("checkpoint", "")))

    @property
    def ok(self) -> bool:
        return all(row.status == "ok" for row in self.rows)

    def series(self, key: str, kind: Any = Measured) -> list[float]:
        """The numbers that were measured under a key of `raw`, of every document say; [] for none.

        Raises FileError where there is something else.
        """
        try:
            found: list[float] = held_to(self.raw.get(key, []), list[kind])
        except Malformed as wrong:
            raise FileError(f"cell {self.id} is corrupt: raw {key!r}: {wrong}; delete it and run again") from None
        return found

    def documents(self, key: str, size: str = "") -> tuple[list[float], list[float]]:
        """What was measured of every document, and the sizes that `size` names; both [] where one is missing.

        Raises FileError where they are not of as many documents.
        """
        values, sizes = self.series(key), self.series(size, Positive) if size else []
        if size and not (values and sizes):
            return [], []
        if size and len(values) != len(sizes):
            raise FileError(f"cell {self.id} is corrupt: raw {key!r} has {len(values)} documents, {size!r} "
                            f"{len(sizes)}; delete it and run again")
        return values, sizes

    def rounds(self, key: str) -> list[float]:
        """The seconds, or other positive numbers, of every round under a key of `raw`; [] for none. Raises FileError.
        """
        return self.series(key, Positive)


def finite(value: Any) -> Any:
    """JSON has no NaN or infinity: they become None, in nests too. Nor has UTF-8 a byte of a path that is none of its
    own: it is written out."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {finite(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Store:
    """A results directory. Raises FileError where it cannot be used."""

    def __init__(self, directory: Path | str, *, create: bool = True):
        self.directory = Path(directory)
        self.cells, self.weights, self.trunks = (self.directory / name for name in ("cells", "weights", "trunks"))
        self.manifest_path = self.directory / "manifest.json"
        try:
            exists = self.directory.exists()
            if exists:
                self._check("; name another with --out" if create else "")
            if create:
                self.cells.mkdir(parents=True, exist_ok=True)
                probe = beside(self.directory / "writable")
                probe.touch()
                probe.unlink()
        except OSError as error:
            action = "write results to" if create else "read"
            raise FileError(f"cannot {action} {self.directory}: {error.strerror}") from None
        if not exists and not create:
            raise FileError(f"no results at {self.directory}; `harness run --out {self.directory}` makes them")

    def _check(self, mend: str) -> None:
        if not self.directory.is_dir():
            raise FileError(f"{self.directory} is a file, not a results directory{mend}")
        if self.manifest_path.exists():
            self.manifest()
            return
        strangers = sorted(p.name for p in self.directory.iterdir() if p.name not in OWN and not p.name.startswith("."))
        if strangers:
            raise FileError(f"{self.directory} holds other files ({strangers[0]}) and no manifest.json{mend}")

    def manifest(self) -> dict[str, Any]:
        """What was asked for and where; {} before the first run. Raises FileError where it is corrupt or not ours."""
        try:
            content = read_bounded(self.manifest_path)
            manifest = bounded(parse_json(content, dict[str, Any]))
            held_to(manifest, ManifestRecord)
        except FileNotFoundError:
            return {}
        except Malformed as wrong:
            if wrong.place or wrong.reason.startswith("must be"):
                raise FileError(f"{self.manifest_path} was not written by this harness ({wrong}); "
                                "name another directory") from None
            raise FileError(f"{self.manifest_path} is corrupt ({wrong}); move it away, the cells are kept") from None
        if manifest["schema"] > SCHEMA:
            raise FileError(
                f"{self.directory} has schema {manifest['schema']}, newer than {SCHEMA}; update the harness")
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        write_atomically(self.manifest_path, json.dumps(finite(dict(manifest)), indent=1, sort_keys=True) + "\n")

    def write(self, result: CellResult) -> None:
        """Keep a cell, weights first. What a good one was to go on from after an interruption is done with.

        Raises FileError where it cannot be written, or is none that could be read back.
        """
        path, text = self.cells / f"{result.id}.json", cell_text(result)
        try:
            parse_cell(text.encode(), result.id)
        except Malformed as wrong:
            raise FileError(f"{path} cannot be written: {wrong}") from None
        if result.weights:
            write_folder(self.weights / result.id, result.weights)
        write_atomically(path, text)
        for left in self.trunks.glob(f"*/{result.id}.safetensors") if result.ok else ():
            left.unlink()

    def read(self, cell_id: str) -> CellResult | None:
        """The stored cell, or None where it was not measured. Raises FileError where its file is corrupt."""
        path = self.cells / f"{cell_id}.json"
        try:
            return parse_cell(read_bounded(path), cell_id)
        except FileNotFoundError:
            return None
        except Malformed as wrong:
            raise FileError(f"{path} is corrupt ({wrong}); delete it and run again") from None

    def results(self) -> list[CellResult]:
        """Every stored cell, in the order of its measurement."""
        names = sorted(path.stem for path in self.cells.glob("*.json") if not path.name.startswith("."))
        found = [self.read(name) for name in names]         # a Mac leaves "._x.json" beside "x.json" on foreign disks
        return sorted((r for r in found if r), key=lambda r: (r.rows[0].started_at if r.rows else "", r.id))

    def write_tables(
        self, derived: Iterable[Row] = (), results: Iterable[CellResult] | None = None,
    ) -> pandas.DataFrame:
        """table.parquet and table.csv: the rows of every cell, then the derived ones. `results` are all cells, if they
        are at hand."""
        cells = self.results() if results is None else results
        table = to_frame([row for result in cells for row in result.rows] + list(derived))
        for suffix, write in (("parquet", table.to_parquet), ("csv", inert(table).to_csv)):
            with replacing(self.directory / f"table.{suffix}") as temporary, temporary.open("wb") as file:
                write(file, index=False)
        return table


def cell_text(result: CellResult) -> str:
    """A cell as its file has it."""
    rows = [{k: v for k, v in vars(row).items() if v not in (None, "")} for row in result.rows]
    payload = {"schema": SCHEMA, "cell": result.cell, "environment": result.environment, "rows": rows,
               "raw": result.raw}
    return json.dumps(finite(payload)) + "\n"


@dataclass
class _CellFile:
    """What a cell's file holds."""

    cell: dict[str, Any]
    rows: list[Row]
    raw: dict[str, Any]
    environment: str


def parse_cell(content: bytes, cell_id: str) -> CellResult:
    """The cell of a file. Raises Malformed where it is another's, or not of the form of records.py."""
    if len(content) > LARGEST:
        raise Malformed("", f"a cell takes at most {LARGEST >> 20} MiB, this one {len(content) >> 20}")
    found = parse_json(content, _CellFile)
    if len(found.rows) > MOST_ROWS:
        raise Malformed("rows", f"a cell has at most {MOST_ROWS}, this one {len(found.rows)}")
    try:
        held_to(bounded(found.cell), CellRecord)
    except Malformed as wrong:
        raise Malformed(f"cell.{wrong.place}".rstrip("."), wrong.reason) from None
    if found.cell["id"] != cell_id:
        raise Malformed("cell.id", f"it holds cell {found.cell['id']}")
    return CellResult(ABSENT | found.cell, found.rows, bounded(found.raw), found.environment)


def to_frame(rows: Iterable[Row]) -> pandas.DataFrame:
    """Rows as a table with fixed column types, also when a column is empty."""
    import pandas

    rows = list(rows)
    return with_column_types(pandas.DataFrame({name: [finite(getattr(row, name)) for row in rows] for name in COLUMNS}))


def with_column_types(table: pandas.DataFrame) -> pandas.DataFrame:
    """The table with the type of every column as the rows have it."""
    for f in fields(Row):
        kind = str(f.type).partition(" ")[0]
        table[f.name] = table[f.name].astype({"Int64": "Int64", "Finite": "float64"}.get(kind, "string"))
    return table
