"""The suite of audits: a row per finding."""

import math
from types import SimpleNamespace

from harness.suites.audit import measure

from harness.audit.findings import AuditReport, Finding


def test_what_has_no_size_is_a_failure_or_a_warning_as_it_was_found():
    """Not an error: a broken contract leaves nothing to compare, and neither does a gradient that is not there."""
    findings = (Finding("contract", False, 16, 3, math.inf, 0.0, "logits of another shape"),
                Finding("live parameters", False, 16, None, math.inf, 0.0, "no gradient reaches 96", "warning"),
                Finding("split law", False, 16, 3, 0.5, 0.002, "cut at 3"))
    rows = {}

    def row(metric, value, *_, **fields):
        rows[metric] = value, fields.get("status")

    measure({"lengths": [16]}, SimpleNamespace(
        build=lambda: None, audit=lambda model, lengths, jitter: AuditReport(findings), row=row))
    assert rows["contract"] == (None, "audit_failed")
    assert rows["live parameters"] == (None, "ok")
    assert rows["split law"] == (0.5, "audit_failed")
