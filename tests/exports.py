"""A run of everything that an export meets."""

from dataclasses import replace

from harness.evidence.claims.verdict import RuleFinding, Verdict
from harness.evidence.claims.verdict_file import save_verdicts
from harness.reading import Run
from harness.store import CellResult, Row

CELL = {"id": "c1", "suite": "quality", "plugin": "ssm", "options": {"layers": "1"}, "checkpoint": ""}
SCORE = Row(suite="quality", plugin="ssm", options="layers=1", family="classical", cell_id="c1", metric="bits_per_byte",
            value=2.5, unit="bits/byte", better="lower", ci_low=2.4, ci_high=2.75, seq_len=64, seed=1, corpus="text",
            corpus_sha256="ab", started_at="2026-11-01T00:00:00+00:00", params=100)
ROWS = (SCORE, replace(SCORE, metric="accuracy", unit="", better="higher", value=0.5, ci_low=None, ci_high=None),
        replace(SCORE, metric="gate_mean", unit="", better=""),
        replace(SCORE, metric="peak_bytes", value=None, status="oom", reason="9 GB"),
        replace(SCORE, plugin="a/b", options="@x/y", cell_id="c2"))


def exportable(folder):
    """A run with a score of an interval, one without, a fact, a failure, another model, and a verdict on the first."""
    folder.mkdir()
    finding = RuleFinding("a rule", "refuted", cells=("c1",))
    save_verdicts(folder, [Verdict("ssm-claim", "it is better", "001", "refuted", findings=(finding,)),
                           Verdict("other", "it is large", "001", "not run", reason="no GPU")])
    results = [CellResult(CELL, list(ROWS[:4])), CellResult({**CELL, "id": "c2"}, list(ROWS[4:]))]
    return Run("run", results, (), {"run_id": "r1", "environments": {"m": {"packages": {"torch": "2.13"}}}}, folder)
