"""The cells of a plan, printed: what `--dry-run` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..quantities import format_count, format_number
from .options import print_objects


def print_matrix(planned: Any, directory: Path, as_json: bool) -> None:
    missing = {cell.id for cell in planned.missing}
    if as_json:
        print_objects("cell", ({**cell.record(), "missing": cell.id in missing} for cell in planned.cells))
        return
    for cell in planned.cells:
        size = f"{format_count(cell.params)} params" if cell.params else "default size"
        size = f"state of {format_count(cell.state_bytes)} B" if cell.state_bytes else size
        text = [cell.suite, cell.label, cell.preset or size]
        text += [f"{cell.corpus}/{cell.tokenizer}"] if cell.corpus else []
        text += [f"T={cell.seq_len}"] if cell.seq_len else []
        text += [f"B={cell.batch_size}"] if cell.batch_size else []
        text += [f"{key}={value}" for key, value in cell.protocol if isinstance(value, str | int | float) and value]
        print(f"{cell.id}  {'missing ' if cell.id in missing else 'finished'}  " + "  ".join(text))
    timed = len([c for c in planned.cells if c.group and c.id in missing])
    print(f"{format_number(len(planned.cells), 'cell')}, {len(missing)} to measure "
          f"({timed} of them timed, one at a time) -> {directory}")
