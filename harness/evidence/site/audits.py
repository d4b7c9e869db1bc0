"""What the audit of an entry says: passed with how many checks, failed and where, or none. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence

from ...quantities import format_number
from ...store import Row
from ..comparison.pairs import Reading

PASSED, FAILED, NONE = "passed", "failed", "none"


def audit_of(readings: Sequence[Reading]) -> tuple[str, str, Row | None]:
    """The verdict, what it rests on and the row that says so, of the cells that some readings are of."""
    rows = [row for result in {r.result.id: r.result for r in readings}.values() for row in result.rows]
    for row in rows:
        if row.status == "audit_failed":
            return FAILED, row.reason, row
    counts = {int(row.value): row for row in rows if row.metric == "audit_checks" and row.value is not None}
    if counts:
        return PASSED, format_number(min(counts), "check"), counts[min(counts)]
    if any(row.audited == "yes" for row in rows):
        return PASSED, "", None
    return NONE, "", None
