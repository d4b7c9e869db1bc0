"""Perplexity: equal bytes, an equal search for the learning rate, an audit of the trained weights, bits per byte.

Notable:
- the search is a cell of its own, shared by all seeds, of as many trials for every plugin; they are rows (the tuning
  ledger);
- the score is of weights that passed the audit at the scored length, and of logits that fresh processes give again
  without the future, or there is none;
- on a known-entropy source the oracle reads the same text in the same windows: excess_bits is the difference;
- a score below that floor, or elsewhere far below what a general compressor reaches, is kept, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness import ByDocument, Cell, Request, Row, Suite, Workbench, stats, tuning

BUDGET_BYTES = 300_000
SEQ_LEN, BATCH_SIZE = 256, 4               # small batches: at so few bytes it is steps that are short
HELDOUT_BYTES = 128 << 10
CURVE_BYTES = 16 << 10                      # of held-out text, for the learning curve
FAR_BELOW = 0.5                            # of what the best compressor reaches
NO_PPMD = "no PPMd without pyppmd (pip install 'qllm-harness[ppmd]')"
LOOK = "a person should look at how this model knows the text"


def plan(request: Request) -> Iterator[Cell]:
    budget = request.budget_bytes or BUDGET_BYTES
    for _, selector in request.corpora:
        for choice in request.models:
            for seq_len in request.seq_lens or (SEQ_LEN,):
                common: dict[str, Any] = {
                    "corpus": str(selector), "seq_len": seq_len, "batch_size": request.batch_size or BATCH_SIZE}
                needs: tuple[str, ...] = ()
                if choice.selector.checkpoint:
                    yield request.cell("perplexity", choice, **common, protocol={
                        "role": "score", "unaudited": request.unaudited})
                    continue
                if request.lr is None:
                    search = request.cell("perplexity", choice, **common, protocol={
                        "role": "search", "grid": tuning.GRID, "trials": tuning.TRIALS,
                        "budget_bytes": tuning.trial_bytes(budget),
                        "choices": choice.variants(dict(choice.selector.options))})
                    yield search
                    needs = (search.id,)
                for seed in request.seeds:
                    protocol = {
                        "role": "score", "budget_bytes": budget, "lr": request.lr, "unaudited": request.unaudited}
                    yield request.cell("perplexity", choice, **common, seed=seed, needs=needs, protocol=protocol)


def measure(cell: Cell, bench: Workbench) -> None:
    (search if cell.get("role") == "search" else evaluate)(cell, bench)


def search(cell: Cell, bench: Workbench) -> None:
    """Equal trials for every plugin; the rate and the options that are best are what the scoring cells use."""
    trials = bench.search(cell.get("grid"), cell.get("trials"), cell.get("budget_bytes"), cell.get("choices"))
    tuning.tell(bench, trials, text_bytes=sum(map(len, bench.documents.train)))


def fit(cell: Cell, bench: Workbench, model: Any, lr: float) -> int | None:
    """Train with a learning rate. The bytes seen, None where the run diverged."""
    trained = bench.train(model, lr, cell.get("budget_bytes"), bench.heldout(CURVE_BYTES))
    bench.raw["curve"] = [list(point) for point in trained.curve]
    bench.raw["validation"] = [list(point) for point in trained.validation]
    if trained.diverged:
        bench.fail("bits_per_byte", f"training diverged at learning rate {lr:g}; set another with --lr", phase="score")
        return None
    for bytes_seen, bits in trained.validation:
        bench.row("learning_curve", bits, "bits/byte", "lower", phase="train", bytes_seen=bytes_seen, audited="no")
    bench.row("train_tokens_per_s", trained.tokens_seen / trained.seconds, "tokens/s", "higher", phase="train")
    step = bench.flops(model, cell.batch_size, cell.seq_len, "train")
    how = {"reason": "estimated from the parameters"} if step.estimated else {}
    bench.row("train_flops", step.value * trained.tokens_seen / (cell.batch_size * cell.seq_len), "FLOP", "lower",
              phase="train", bytes_seen=trained.bytes_seen, **how)
    if not cell.needs:
        bench.row("learning_rate", lr, phase="train")
    return trained.bytes_seen


def evaluate(cell: Cell, bench: Workbench) -> None:
    """Train, unless the cell names trained weights; audit, score."""
    documents = bench.documents
    heldout = bench.heldout(HELDOUT_BYTES)
    lr = tuning.adopt(bench) if cell.needs else cell.get("lr")
    model = bench.build()
    bytes_seen = bench.checkpoint.bytes_seen if bench.checkpoint else fit(cell, bench, model, lr)
    if bytes_seen is None:
        return
    seen: dict[str, Any] = {"phase": "score", "bytes_seen": bytes_seen}
    report = bench.audit(model, [cell.seq_len])
    if not report.passed:
        reason = report.summary()
        bench.fail("bits_per_byte", reason, status="audit_failed", phase="score", bytes_seen=bytes_seen)
        if cell.get("unaudited"):
            bits = bench.score(model, heldout).bits_per_byte
            bench.row("unaudited_bits_per_byte", bits, "bits/byte", phase="score", bytes_seen=bytes_seen,
                      status="audit_failed", reason=f"not a score: {reason}")
        return
    score, diagnostics = bench.score(model, heldout), bench.diagnostics(model)
    sealed = bench.seal(model)
    if not sealed.passed:
        bench.fail("bits_per_byte", sealed.summary(), status="audit_failed", **seen)
        if cell.get("unaudited"):
            bench.row("unaudited_bits_per_byte", score.bits_per_byte, "bits/byte", status="audit_failed",
                      reason=f"not a score: {sealed.summary()}", **seen)
        return
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
    if score.late_bytes.any():                              # else no window is longer than half of its length
        bench.row("late_bits_per_byte", score.late_bits_per_byte, "bits/byte", "lower", **seen)
    bench.row("perplexity_per_byte", score.perplexity_per_byte, "", "lower", **seen)
    bench.row("perplexity_per_token", score.perplexity_per_token, "", "lower", **seen)
    bench.row("audit_checks", len(report.findings), "passed", phase="score")
    bench.raw.update(document_bits=document_bits, document_bytes=document_bytes)
    bench.row("artifact_bytes", bench.keep(model, bytes_seen), "B", "lower", phase="score")
    for name, value in diagnostics.items():
        bench.row(f"diagnostic_{name}", value, phase="score")


def doubtful(bits_per_byte: float, compressed: dict[str, float]) -> str:
    """Why a person should look at a score beside what compressors reach on the same text, or ""."""
    best = min(compressed, key=lambda name: compressed[name])
    if bits_per_byte >= FAR_BELOW * compressed[best]:
        return ""
    return f"far below the {compressed[best]:.3g} bits/byte that {best} reaches on this text; {LOOK}"


def compared(row: Row) -> ByDocument | None:
    """The one number that counts; the other scores are functions of the same losses."""
    return ByDocument("document_bits", "document_bytes") if row.metric == "bits_per_byte" else None


suite = Suite(
    name="perplexity", summary="train on equal bytes, audit, score held-out text in bits per byte",
    plan=plan, measure=measure, sealed=True, limits=(), compared=compared,
    primary=("bits_per_byte", "excess_bits", "unaudited_bits_per_byte", "perplexity_per_byte", "train_tokens_per_s",
             "learning_rate", "lr_window_octaves"),
)
