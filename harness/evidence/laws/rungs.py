"""The rungs of runs as points: what each scored, and what that took. (no torch)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...store import CellResult, Row
from ..contents import newest_edition
from .point import Point

SCORE = "bits_per_byte"
TOOK = {"flops": "train_flops", "seconds": "train_seconds", "energy_j": "train_energy_j"}
STATE = "state_bytes_per_sequence"


def rung_points(results: Iterable[CellResult]) -> list[Point]:
    """A point for every scored rung of the newest source; cells without a rung or a score give none."""
    newest, _ = newest_edition([result for result in results if any(row.rung for row in result.rows)])
    found = []
    for result in newest:
        rows = {row.metric: row for row in result.rows if row.status == "ok" and row.value is not None}
        if SCORE in rows:
            found.append(_point(result, rows[SCORE], {name: row.value or 0.0 for name, row in rows.items()}))
    return found


def _point(result: CellResult, score: Row, values: Mapping[str, float]) -> Point:
    bits, sizes = result.documents("document_bits", "document_bytes")
    state, took = values.get(STATE), {name: values.get(metric) for name, metric in TOOK.items()}
    return Point(
        result.label, score.corpus, result.cell["seed"], score.params or 0, score.bytes_seen or 0, score.value or 0.0,
        flops=took["flops"], seconds=took["seconds"], energy_j=took["energy_j"],
        state_bytes=None if state is None else round(state), cell=result.id, rung=score.rung,
        document_bits=tuple(bits), document_bytes=tuple(map(round, sizes)))
