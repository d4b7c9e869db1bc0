"""`harness gguf-export`, `harness gguf-import`: trained weights as GGUF, and the matrices of a GGUF file in a code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import HarnessError, UsageError
from ..quantities import format_number, parse_count
from .options import Json, PluginFiles, load_registry, print_objects

if TYPE_CHECKING:
    from ..bench.score import Score
    from ..evidence.statistics.intervals import Estimate
    from ..gguf.encoding import Encoded, Pair
    from ..gguf.file import GGUFFile
    from ..registry import Registry

ORIGINAL, CONTROL = "as in the file", "truncated SVD"
SUFFIXES = (".csv", ".jsonl")


def gguf_export(
    checkpoint: Annotated[str, typer.Argument(help="Directory of a training run (its best weights) or a file of one.",
        metavar="CHECKPOINT")],
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", help="The file to write; default: beside the weights, .gguf.", metavar="PATH")] = None,
    kind: Annotated[str, typer.Option(
        "--type", help="Of the matrices: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1 or q4_0; all else stays F32.",
        metavar="TYPE")] = "f32",
) -> None:
    """Write trained weights as GGUF, with what rebuilds their model.

    Example: harness gguf-export runs/pf -o pf.gguf
    """
    from ..checkpoint import open_checkpoint
    from ..gguf.file import WRITABLE, require_gguf, write_gguf

    if kind.lower() not in WRITABLE:
        raise UsageError(f"--type must be one of {', '.join(WRITABLE)}, got {kind!r}")
    require_gguf()
    opened = open_checkpoint(checkpoint)
    from ..gguf.rebuilt import exported

    path = out or opened.weights.with_suffix(".gguf")
    types = list(write_gguf(path, *exported(opened), kind).values())
    counts = ", ".join(f"{types.count(name)} {name}" for name in dict.fromkeys(types))
    print(f"{path}: {format_number(len(types), 'tensor')} ({counts}), {path.stat().st_size:,} bytes")
    if kind.upper() not in types:
        print(f"no matrix of this model has rows of whole {kind} blocks, so all stay F32")


@dataclass(frozen=True)
class Quality:
    """Bits per byte of the model with matrices in one form, and their change against the file and the other form."""

    form: str
    value: Estimate
    against_file: Estimate | None = None
    against_svd: Estimate | None = None


def gguf_import(
    file: Annotated[Path, typer.Argument(help="A GGUF file.", metavar="PATH")],
    into: Annotated[str, typer.Option(help="The code for its matrices, e.g. quantum.", metavar="CODE")],
    rank: Annotated[int, typer.Option(help="Singular triples that are kept; a smaller matrix keeps all of its own.",
        metavar="N")
                    ] = 16,
    bits: Annotated[int, typer.Option(help="Bits of a stored number.", metavar="N")] = 10,
    tensor: Annotated[list[str] | None, typer.Option(help="Only this tensor; may be repeated.", metavar="NAME")] = None,
    score_bytes: Annotated[str, typer.Option(
        help="Held-out text to score a model of ours on; 0 for none.", metavar="BYTES")] = "64k",
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", help="Also write the table, .csv or .jsonl.", metavar="PATH")] = None,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Encode the matrices of a GGUF file and tell what comes back, beside a truncated SVD of as many bits.

    Where the file is an export of ours, its model is rebuilt and scored in both forms. Exit code 1 where a tensor or
    the score could not be had.

    Example: harness gguf-import pf.gguf --into quantum
    """
    from ..gguf.encoding import check, encode_all
    from ..gguf.file import read_gguf

    if out and out.suffix not in SUFFIXES:
        raise UsageError(f"-o must name a {' or '.join(SUFFIXES)} file, not {out}")
    budget = 0 if score_bytes == "0" else parse_count(score_bytes, "--score-bytes")
    registry = load_registry(plugin_file)
    spec = registry.encoding(into)
    opened = read_gguf(file)
    names = check(opened, tensor or [], rank, bits)
    records: list[Encoded] = []
    pairs: dict[str, Pair] = {}
    for record, pair in encode_all(opened, names, spec, rank, bits):
        records.append(record)
        if pair is not None and budget:
            pairs[record.tensor] = pair
    quality, trouble = _quality(registry, opened, pairs, budget, spec.name)
    if out:
        _write(out, records)
    if as_json:
        print_objects("tensor", map(_record, records))
        print_objects("score", map(asdict, quality))
        if trouble:
            print_objects("score", [{"status": "error", "reason": trouble}])
    else:
        print_tensors(records, f"{file}: {spec.summary}; rank {rank}, {spec.stores} of {bits} bits", spec.stores)
        print_quality(quality, trouble)
    raise typer.Exit(0 if not trouble and all(r.status in ("ok", "kept") for r in records) else 1)


def _quality(
    registry: Registry, file: GGUFFile, pairs: dict[str, Pair], budget: int, name: str,
) -> tuple[list[Quality], str]:
    """Bits per byte of the three forms of the file's model, [] where it holds none; and why they could not be had."""
    if not pairs or not any(key.startswith("harness.") for key in file.metadata):
        return [], ""
    from ..gguf.rebuilt import Rebuilt, exported_config

    try:
        config = exported_config(file)
        if config is None:
            return [], ""
        rebuilt = Rebuilt(registry, file, config, budget)
        replaced: list[dict[str, Any]] = [
            {}, {k: p.code for k, p in pairs.items()}, {k: p.svd for k, p in pairs.items()}]
        return compared([rebuilt.score(tensors) for tensors in replaced], name), ""
    except HarnessError as error:
        return [], str(error)


def compared(scores: Sequence[Score], name: str) -> list[Quality]:
    """Scores of the three forms over the same documents, with their differences paired by document."""
    from ..evidence.statistics.intervals import bits_per_byte_interval, paired_bits_difference

    sizes = scores[0].bytes.tolist()
    bits = [score.bits.tolist() for score in scores]
    values = [bits_per_byte_interval(own, sizes) for own in bits]
    against = [paired_bits_difference(own, bits[0], sizes) for own in bits[1:]]
    return [Quality(ORIGINAL, values[0]),
            Quality(name, values[1], against[0], paired_bits_difference(bits[1], bits[2], sizes)),
            Quality(CONTROL, values[2], against[1])]


def _record(record: Encoded) -> dict[str, Any]:
    fields = {k: v for k, v in asdict(record).items() if k != "facts" and v not in (None, "")}
    return {"kind": "tensor", **fields, **record.facts}


def _write(path: Path, records: Sequence[Encoded]) -> None:
    import pandas as pd

    from ..spreadsheet import inert
    from ..writing import write_atomically

    table = pd.DataFrame([_record(record) for record in records]).drop(columns="kind")
    write_atomically(path, inert(table).to_csv(index=False) if path.suffix == ".csv"
                     else table.to_json(orient="records", lines=True))


def print_tensors(records: Sequence[Encoded], title: str, stores: str) -> None:
    """A line for each matrix, then what was kept or could not be read."""
    from rich import box
    from rich.table import Table

    from ..evidence.tables.console import wide_console
    from ..quantities import format_count

    table = Table("tensor", "type", "shape", "rank", stores, "stored bits", "bits / weight", "error", "1 - fidelity",
                  "error of SVD (its rank)", box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    for column in table.columns[3:]:
        column.justify = "right"
    table.columns[8].min_width = len("fidelity")
    for r in (r for r in records if r.status == "ok"):
        assert r.relative_error is not None and r.fidelity is not None and r.svd_relative_error is not None
        table.add_row(
            r.tensor, r.type, "x".join(map(str, r.shape)), str(r.rank), f"{r.numbers:,}",
            format_count(r.stored_bits or 0), f"{r.bits_per_weight:.2f}", f"{r.relative_error:.3g}",
            f"{max(0.0, 1 - r.fidelity):.0e}", f"{r.svd_relative_error:.3g} ({r.svd_rank})")
    console = wide_console()
    console.print(table)
    for status in ("unsupported", "error"):
        for r in (r for r in records if r.status == status):
            console.print(f"{r.tensor}: {status}: {r.reason}", markup=False)
    kept = [r.tensor for r in records if r.status == "kept"]
    if kept:
        console.print(f"kept as they are, being no matrices of weights: {', '.join(kept)}", markup=False, style="dim")


def print_quality(quality: Sequence[Quality], trouble: str) -> None:
    """Bits per byte of the rebuilt model, with half of the interval."""
    if trouble:
        print(f"not scored: {trouble}")
    if not quality:
        return
    from rich import box
    from rich.table import Table

    from ..evidence.tables.console import wide_console

    table = Table("matrices", "bits/byte", "change", "against the SVD", box=box.SIMPLE_HEAD, pad_edge=False)
    for q in quality:
        table.add_row(q.form, _digits(q.value), _digits(q.against_file, "+"), _digits(q.against_svd, "+"))
    wide_console().print(table)


def _digits(estimate: Estimate | None, sign: str = "") -> str:
    if estimate is None:
        return ""
    half = "" if estimate.low is None or estimate.high is None else f" ± {(estimate.high - estimate.low) / 2:.3f}"
    return f"{estimate.value:{sign}.3f}{half}"
