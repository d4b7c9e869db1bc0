"""What the suites that score text share: audit, score and seal of a trained model.

Notable:
- the score is of weights that passed the audit at the scored length, and of logits that fresh processes give again
  without the future, or there is none;
- on a known-entropy source the oracle reads the same text in the same windows: excess_bits is the difference;
- a score below that floor, or elsewhere far below what a general compressor reaches, is kept, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness import ByDocument, Cell, HarnessError, Row, Unsupported, Workbench, stats

SEQ_LEN, BATCH_SIZE = 256, 4               # small batches: at so few bytes it is steps that are short
HELDOUT_BYTES = 256 << 10
LENGTHS, LONG_DOCUMENTS = "bits_per_byte_in_window", 16     # of documents as long as the longest window
FAR_BELOW = 0.5                            # of what the best compressor reaches
NO_PPMD = "no PPMd without pyppmd (pip install 'qllm-harness[ppmd]')"
LOOK = "a person should look at how this model knows the text"


def trained_soundly(bench: Workbench, trained: Any, lr: float) -> bool:
    """Whether a training came to its end; its curve is kept, and a row says that it diverged."""
    bench.raw["curve"] = [list(point) for point in trained.curve]
    if trained.diverged:
        reason = f"training diverged at learning rate {lr:g}; set another with --lr"
        bench.fail("bits_per_byte", reason, phase="score")
    return not trained.diverged


def report_operations(cell: Cell, bench: Workbench, model: Any, trained: Any) -> None:
    """The row of a training's floating-point operations."""
    step = bench.flops(model, cell.batch_size, cell.seq_len, "train")
    how = {"reason": "estimated from the parameters"} if step.estimated else {}
    bench.row("train_flops", step.value * trained.steps, "FLOP", "lower", phase="train", bytes_seen=trained.bytes_seen,
              **how)


def rate(cell: Cell, bench: Workbench, model: Any, bytes_seen: int, windows: Sequence[int] = ()) -> bool:
    """Audit a trained model, score it, in further `windows` too, have the score sealed. Whether there is a score."""
    documents, heldout = bench.documents, bench.heldout(HELDOUT_BYTES)
    seen: dict[str, Any] = {"phase": "score", "bytes_seen": bytes_seen}
    report = bench.audit(model, [cell.seq_len])
    if not report.passed:
        reason = report.summary()
        bench.fail("bits_per_byte", reason, status="audit_failed", phase="score", bytes_seen=bytes_seen)
        if cell.get("unaudited"):
            bits = bench.score(model, heldout).bits_per_byte
            bench.row("unaudited_bits_per_byte", bits, "bits/byte", phase="score", bytes_seen=bytes_seen,
                      status="audit_failed", reason=f"not a score: {reason}")
        return False
    score, diagnostics = bench.score(model, heldout), bench.diagnostics(model)
    longer = list(at_lengths(bench, model, windows))
    sealed = bench.seal(model)
    if not sealed.passed:
        bench.fail("bits_per_byte", sealed.summary(), status="audit_failed", **seen)
        if cell.get("unaudited"):
            bench.row("unaudited_bits_per_byte", score.bits_per_byte, "bits/byte", status="audit_failed",
                      reason=f"not a score: {sealed.summary()}", **seen)
        return False
    document_bits, document_bytes = score.bits.tolist(), score.bytes.tolist()
    interval = stats.bits_per_byte_interval(document_bits, document_bytes)
    floor = {}
    compressed = bench.compressed_bits(heldout)
    doubt = doubtful(score.bits_per_byte, compressed)
    if documents.oracle:
        oracle = bench.oracle_bits(heldout)
        floor = {"limit": sum(oracle) / float(score.bytes.sum()), "limit_kind": "entropy"}
        excess = stats.paired_bits_difference(document_bits, oracle, document_bytes)
        bench.row("excess_bits", excess.value, "bits/byte", "lower", ci_low=excess.low, ci_high=excess.high, **seen)
        bench.raw["oracle_bits"] = oracle
        impossible = excess.high is not None and excess.high < 0
        doubt = f"below the entropy of the source, where no honest model can be; {LOOK}" if impossible else ""
    bench.row("bits_per_byte", score.bits_per_byte, "bits/byte", "lower",
              ci_low=interval.low, ci_high=interval.high, reason=doubt, **seen, **floor)
    told = [f"{name} {bits:.3f}" for name, bits in compressed.items()] + ([] if "PPMd" in compressed else [NO_PPMD])
    bench.row("compressor_bits_per_byte", min(compressed.values()), "bits/byte", phase="score", reason=", ".join(told))
    if score.late.any():                                    # else no window is longer than half of its length
        bench.row("late_bits_per_byte", score.late_bits_per_byte, "bits/byte", "lower", **seen)
    report_parts(bench, score, heldout, seen)
    report_lengths(bench, longer, seen)
    bench.row("perplexity_per_byte", score.perplexity_per_byte, "", "lower", **seen)
    bench.row("perplexity_per_token", score.perplexity_per_token, "", "lower", **seen)
    bench.row("effective_documents", stats.effective_number(document_bytes), "", phase="score",
              reason=f"as so many of one size count the {len(document_bytes)} held-out documents")
    bench.row("audit_checks", len(report.findings), "passed", phase="score")
    bench.raw.update(document_bits=document_bits, document_bytes=document_bytes)
    bench.row("artifact_bytes", bench.keep(model, bytes_seen), "B", "lower", phase="score")
    for name, value in diagnostics.items():
        bench.row(f"diagnostic_{name}", value, phase="score")
    return True


def report_parts(bench: Workbench, score: Any, heldout: Sequence[bytes], seen: dict[str, Any]) -> None:
    """Rows of where the bits went: how many at which places and words, and how much of the text these are."""
    for part in bench.breakdown(score, heldout):
        interval, size = stats.bits_per_byte_interval(part.bits.tolist(), part.bytes.tolist()), part.bytes.sum()
        bench.row(f"bits_per_byte@{part.name}", interval.value, "bits/byte", "lower", ci_low=interval.low,
                  ci_high=interval.high, **seen,
                  reason=f"{size:,.0f} bytes, {size / score.bytes.sum():.1%} of the text")


def at_lengths(bench: Workbench, model: Any, windows: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """The same long documents, cut to one length, scored in each window; why not, where that fails or there are too
    few of them."""
    longest = max(windows, default=0)
    texts = [text[:longest] for text in bench.documents.heldout if len(text) >= longest][:LONG_DOCUMENTS]
    for window in windows:
        try:
            if len(texts) < 2:
                raise Unsupported(f"fewer than 2 held-out documents have {longest} bytes")
            yield window, bench.score(model, texts, window, further=True)
        except HarnessError as failed:
            yield window, failed


def report_lengths(bench: Workbench, scores: Sequence[tuple[int, Any]], seen: dict[str, Any]) -> None:
    """Rows of every window, and of the places in the longest one."""
    for window, score in scores:
        told = {**seen, "seq_len": window}
        if isinstance(score, HarnessError):
            bench.fail(LENGTHS, str(score), status="unsupported", **told)
            continue
        interval = stats.bits_per_byte_interval(score.bits.tolist(), score.bytes.tolist())
        bench.row(LENGTHS, interval.value, "bits/byte", "lower", ci_low=interval.low, ci_high=interval.high, **told)
        if window == max(length for length, _ in scores):
            report_parts(bench, score, (), told)


def doubtful(bits_per_byte: float, compressed: dict[str, float]) -> str:
    """Why a person should look at a score beside what compressors reach on the same text, or ""."""
    best = min(compressed, key=lambda name: compressed[name])
    if bits_per_byte >= FAR_BELOW * compressed[best]:
        return ""
    return f"far below the {compressed[best]:.3g} bits/byte that {best} reaches on this text; {LOOK}"


def compared(row: Row) -> ByDocument | None:
    """The one number that counts; the other scores are functions of the same losses."""
    return ByDocument("document_bits", "document_bytes") if row.metric == "bits_per_byte" else None
