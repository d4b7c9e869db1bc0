"""The rows of a cell. Everything that a row can know, such as parameters, corpus digest and device, is filled in here,
so that a suite says only metric, value and unit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from ..errors import HarnessError
from ..run.cells import Cell, base_fields
from ..specs import ModelSpec
from ..store import Row
from ..workbench import Workbench


class CellRows(Workbench):
    """Rows, and the notes that later ones tell."""

    cell: Cell
    spec: ModelSpec
    needs: Mapping[str, Any]                                # raw measurements of other cells, by their ids
    _facts: dict[str, Any]                                  # columns that were found out by now
    _started: float
    _started_at: str

    def row_fields(self) -> dict[str, Any]:
        """The columns that this cell fixes, with what is known of the model by now."""
        return base_fields(self.cell, self.spec) | self._facts | {
            "wall_s": round(time.monotonic() - self._started, 3), "started_at": self._started_at}

    def row(self, metric: str, value: float | None, unit: str = "", better: str = "", **fields: Any) -> None:
        given = {"metric": metric, "value": None if value is None else float(value), "unit": unit, "better": better}
        if fields.get("status", "ok") == "ok":              # a failure has one reason, a number all that is noted
            given["reason"] = "; ".join(filter(None, [self._facts.get("reason", ""), fields.pop("reason", "")]))
        row = Row(**self.row_fields() | given | fields)
        if row.value is not None and not math.isfinite(row.value):
            reasons = (f"{metric} is {'not a number' if math.isnan(row.value) else 'infinite'}", row.reason)
            row.value, row.status, row.reason = None, "error", "; ".join(filter(None, reasons))
        self.rows.append(row)

    def _note(self, text: str) -> None:
        """Tell it in every later row, once."""
        notes = [self._facts.get("reason", ""), text]
        if text not in notes[0]:
            self._facts["reason"] = "; ".join(filter(None, notes))

    def fail(self, metric: str, reason: str, status: str = "error", **fields: Any) -> None:
        if status == "audit_failed":
            fields = {"audited": "no"} | fields
        self.row(metric, None, status=status, reason=reason, **fields)

    def need(self, key: str) -> Any:
        for raw in self.needs.values():
            if key in raw["raw"]:
                return raw["raw"][key]
        raise HarnessError(f"the cell that finds {key!r} failed; see its row, or set --{key}")
