"""The audit: no score is believed before its very weights have shown that they do not peek at what they predict.

Notable:
- the suffix perturbation compares calls of one shape, where an honest model agrees to the last bit, so that the
  faintest leak shows; gradients miss saturated leaks and poisoning with NaN accuses honest attention;
- the split law, `forward(x) == forward(x[:k]) ++ forward(x[k:], state)`, compares calls of different shapes, hence to
  rounding; it is judged in float32 strictly and in the scored dtype loosely;
- rows of a batch are perturbed at different places at once; a row that moved is then explained: the model does not
  repeat itself, or it moves alone (a leak from the future), or only with the others (a leak across the batch);
- what is small under bfloat16 may be rounding (a Fourier transform spreads it over time): float32 decides; what stays
  small between calls of different shapes under float32 may be rounding that the model amplifies, as a count of shots
  does, which jumps: a float64 copy decides, and the report warns of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model import LanguageModel
from .findings import AuditReport, Finding
from .probe import ContractBroken, Difference, Probe, add_noise, spread, untouched, without_dropout
from .shapes import OTHER_SHAPE, Compare, cut, in_float64, single
from .texts import STEPS, Texts, split_plans, suffix_starts

# Tolerances in std. Cross entropy changes by at most twice the largest change of a logit, so what is let through cannot
# flatter a score. Calls of one shape differ by 0, but for transforms over time, whose rounding spreads. Of calls of
# different shapes: shapes.py.
SAME_SHAPE = 1e-4
SHORT = 16                                              # length of a further look at gradients


def audit(
    model: LanguageModel, lengths: Sequence[int], *, batch_size: int = 2, device: str | torch.device = "cpu",
    dtype: str = "float32", seed: int = 0, corpus_tokens: Tensor | None = None, jitter: float = 0.0,
) -> AuditReport:
    """Audit the weights of `model` at every length that is scored. The model is left as it was found.

    `dtype` is the one scores are computed in ("bfloat16" is autocast). `corpus_tokens` (N,) are real text, for leaks
    that act on it alone: every other row is its first token and a piece of it. There are at least two rows. `jitter`
    is the standard deviation of noise added to all parameters for the time of the audit: a fresh model may hide a leak
    behind a zero. What the model raises becomes a finding, except for running out of memory, which is raised.
    Raises ValueError without a length or for an unknown dtype.
    """
    if not lengths or min(lengths) < 1:
        raise ValueError(f"cannot audit at lengths {list(lengths)}")
    device = torch.device(device)
    auditor = Auditor(Probe(model, device, dtype), max(2, batch_size), seed, corpus_tokens)
    with untouched(model, device), torch.no_grad():
        if jitter:
            add_noise(model, jitter, auditor.texts.generator)
        model.eval()
        for length in sorted(set(lengths)):
            auditor.scoring(length)
        without_dropout(model)
        auditor.training(sorted({max(2, length) for length in (min(SHORT, *lengths), *lengths)}))
    return AuditReport(tuple(auditor.findings), *auditor.dead)


@dataclass(frozen=True)
class Moved:
    """A row of changed tokens (B, T) whose logits moved by `size` std before the place `start` of the change."""

    tokens: Tensor
    row: int = 0
    start: int = 0
    size: float = 0.0


class Auditor:
    """Runs the checks and collects their findings."""

    def __init__(self, probe: Probe, rows: int, seed: int, corpus: Tensor | None):
        self.probe, self.rows = probe, rows
        self.texts = Texts(probe.model.vocab_size, corpus, probe.device, seed)
        self.findings: list[Finding] = []
        self.dead: tuple[tuple[str, ...], int] = ((), 0)

    def record(
        self, check: str, length: int, found: Difference, tolerance: float, detail: str,
        severity: Literal["error", "warning"] = "error",
    ) -> bool:
        passed = found.size <= tolerance
        self.findings.append(Finding(check, passed, length, found.position, found.size, tolerance,
                                     "" if passed else detail, severity))
        return passed

    def guarded(self, check: Callable[[int], bool], length: int) -> bool:
        """Run a check; a broken contract is its finding. True if it passed."""
        try:
            return check(length)
        except ContractBroken as broken:
            return self.record(broken.check, length, Difference(float("inf"), broken.position), 0.0, broken.detail)

    def scoring(self, length: int) -> None:
        """Everything that a score at `length` rests on."""
        if not self.guarded(self.contract, length):
            return
        if self.guarded(self.determinism, length):      # a model that does not repeat itself cannot be compared
            self.guarded(self.suffix_perturbation, length)
            self.guarded(self.batch_independence, length)
        if self.guarded(self.split_law, length):
            self.guarded(self.beyond, length)

    def contract(self, length: int) -> bool:
        """Logits of the right shape, finite also on texts of one token, the first and the last of the vocabulary."""
        last = self.probe.model.vocab_size - 1
        self.probe(torch.tensor([0, last], device=self.probe.device)[:, None].expand(2, length))
        self.probe(self.texts.batch(self.rows, length))
        return self.record("finite", length, Difference(), 0.0, "")

    def determinism(self, length: int) -> bool:
        """The same call gives the same logits, whatever was called in between; so does the same state, used twice."""
        tokens, other = self.texts.batch(self.rows, length), self.texts.batch(self.rows, length)
        first = self.probe.logits(tokens)
        unit, half = spread(first), max(1, length // 2)

        def repeats(a: Tensor, b: Tensor, after: str) -> bool:
            found = Difference.between(a, b, unit, SAME_SHAPE)
            return self.record("determinism", length, found, SAME_SHAPE,
                               f"{after} changes logits at position {found.position} by up to {found.size:.2g} std")

        if not repeats(first, self.probe.logits(tokens), "calling again"):
            return False
        self.probe(other)
        if not repeats(first, self.probe.logits(tokens), "another text in between"):
            return False
        _, state = self.probe(tokens[:, :half])
        step, _ = self.probe(tokens[:, half - 1 : half], state)
        again, _ = self.probe(tokens[:, half - 1 : half], state)
        if not repeats(first, self.probe.logits(tokens), "a call with a state in between"):
            return False
        return repeats(step, again, "a second use of the same state")

    def suffix_perturbation(self, length: int) -> bool:
        """Changing the tokens from k on does not move the logits before k."""
        tokens, drawn = self.texts.batch(self.rows, length), self.texts.generator.get_state()
        dtype = self.probe.dtype
        worst = self.scan(tokens, dtype)
        if dtype != "float32" and SAME_SHAPE < worst.size <= OTHER_SHAPE[dtype]:
            dtype = "float32"
            self.texts.generator.set_state(drawn)
            worst = self.scan(tokens, dtype)
        if worst.size > SAME_SHAPE:
            return self.explain(tokens, worst, dtype)
        return self.record("suffix perturbation", length, Difference(worst.size), SAME_SHAPE, "")

    def scan(self, tokens: Tensor, dtype: str) -> Moved:
        """The row that moved most before the place from which its tokens were changed."""
        length, worst, answers = tokens.shape[1], Moved(tokens), False
        starts = suffix_starts(length)
        base = self.probe.logits(tokens, dtype=dtype)
        unit = spread(base)
        for index in range(len(starts)):
            at = [starts[(index + row * len(starts) // self.rows) % len(starts)] for row in range(self.rows)]
            changed = self.texts.changed(tokens, at)
            logits = self.probe.logits(changed, dtype=dtype)
            for row, start in enumerate(at):
                found = Difference.between(base[row, :start], logits[row, :start], unit, SAME_SHAPE)
                if found.size > worst.size:
                    worst = Moved(changed, row, start, found.size)
                answers = answers or not torch.equal(base[row, start:], logits[row, start:])
        if starts and not answers:
            self.record("sensitivity", length, Difference(float("inf")), 0.0,
                        "logits do not depend on the tokens, so nothing is shown; train or jitter the model", "warning")
        return worst

    def explain(self, tokens: Tensor, moved: Moved, dtype: str) -> bool:
        """Name why a row moved: the model does not repeat itself, or its own later tokens, or the other rows."""
        length, row, start = tokens.shape[1], moved.row, moved.start
        alone = tokens.clone()
        alone[row] = moved.tokens[row]
        base = self.probe.logits(tokens, dtype=dtype)
        unit = spread(base)

        def against(other: Tensor) -> Difference:
            logits = self.probe.logits(other, dtype=dtype)
            return Difference.between(base[row, :start], logits[row, :start], unit, SAME_SHAPE)

        if (found := against(tokens)).size > SAME_SHAPE:
            check, cause = "determinism", "calling again"
        elif (found := against(alone)).size > SAME_SHAPE:
            check, cause = "suffix perturbation", f"changing tokens from {start}"
        else:
            found, check, cause = against(moved.tokens), "batch independence", f"changing rows other than {row}"
        detail = f"{cause} changes logits at position {found.position} by up to {found.size:.2g} std"
        if found.size <= SAME_SHAPE:
            found, check = Difference(float("inf")), "determinism"
            detail = f"logits before position {start} moved once, then no more"
        return self.record(check, length, found, SAME_SHAPE, detail)

    def batch_independence(self, length: int) -> bool:
        """A row's logits do not change with the other rows, nor with their number."""
        tokens = self.texts.batch(self.rows, length)
        base = self.probe.logits(tokens)
        unit, worst, which = spread(base), Difference(), 0
        rows = torch.arange(self.rows)
        # Every ordered pair of rows differs in some bit of its numbers, so that one is changed while the other is not.
        for bit, side in itertools.product(range((self.rows - 1).bit_length()), (0, 1)):
            kept = (rows >> bit & 1 == side).nonzero().flatten().tolist()
            other = self.texts.changed(tokens, [length if row in kept else 0 for row in range(self.rows)])
            logits = self.probe.logits(other)
            for row in kept:
                found = Difference.between(base[row], logits[row], unit, SAME_SHAPE)
                if found.size > worst.size:
                    worst, which = found, row
        if not self.record("batch independence", length, worst, SAME_SHAPE, f"changing rows other than {which} changes "
                           f"logits at position {worst.position} by up to {worst.size:.2g} std"):
            return False
        return self.judged(
            "batch independence", length, lambda probe, dtype: single(probe, tokens, dtype), "float32",
            "a batch of one row changes logits at position {found.position} by up to {found.size:.2g} std")

    def judged(self, check: str, length: int, compare: Compare, dtype: str, detail: str) -> bool:
        """Record how far calls of different shapes are apart, unless a float64 copy shows that it is rounding."""
        found, tolerance = compare(self.probe, dtype), OTHER_SHAPE[dtype]
        if dtype == "float32" and tolerance < found.size <= (loose := OTHER_SHAPE["bfloat16"]):
            exact = in_float64(self.probe, compare)
            if exact.size <= SAME_SHAPE:
                tolerance = loose
                self.record("rounding", length, found, OTHER_SHAPE[dtype], f"of float32 alone: {check} within "
                            f"{found.size:.2g} std, in float64 within {exact.size:.1g}", "warning")
        return self.record(check, length, found, tolerance, detail.format(found=found))

    def split_law(self, length: int) -> bool:
        """However a text is cut, carrying the state from piece to piece gives the logits of the whole."""
        tokens = self.texts.batch(self.rows, length)
        passed = [self.split(tokens, split_plans(length), dtype, "split law") for dtype in self.probe.dtypes]
        return all(passed)

    def beyond(self, length: int) -> bool:
        """The state can be carried past the scored length. A model that cannot go there is warned of, not failed."""
        tokens = self.texts.batch(self.rows, length + STEPS)
        try:
            return self.split(tokens, [tuple(range(length, length + STEPS))], "float32", "beyond the length")
        except ContractBroken as broken:
            return self.record("beyond the length", length, Difference(float("inf"), broken.position), 0.0,
                               broken.detail, "warning")

    def split(self, tokens: Tensor, plans: Sequence[tuple[int, ...]], dtype: str, check: str) -> bool:
        """Compare every plan of cuts with the whole."""
        length = tokens.shape[1] - (STEPS if check == "beyond the length" else 0)
        return self.judged(
            check, length, lambda probe, dtype: cut(probe, tokens, plans, dtype), dtype,
            "cut at {found.cut}, logits at position {found.position} differ by up to {found.size:.2g} std "
            f"({dtype})")

    def training(self, lengths: Sequence[int]) -> None:
        """Training at dropout 0 is the same function as scoring, and every gradient is finite."""
        live: set[str] = set()
        named = {name: p for name, p in self.probe.model.named_parameters() if p.requires_grad}
        passed = [self.guarded(lambda n: self.train_step(n, named, live), length) for length in lengths]
        dead = [name for name in named if name not in live]
        if all(passed) and dead:
            self.dead = tuple(dead), sum(named[n].numel() * (2 if named[n].is_complex() else 1) for n in dead)
            self.record("live parameters", max(lengths), Difference(float("inf")), 0.0,
                        f"no gradient reaches {self.dead[1]} numbers in {', '.join(dead)}", "warning")

    def train_step(self, length: int, named: Mapping[str, Tensor], live: set[str]) -> bool:
        """One step's logits and gradients at `length`; the names of parameters with a gradient are added to `live`."""
        model, tokens = self.probe.model.eval(), self.texts.batch(self.rows, length)
        scored = {dtype: self.probe.logits(tokens, dtype=dtype) for dtype in self.probe.dtypes}
        model.train()
        passed = True
        with torch.enable_grad():
            for dtype, expected in scored.items():
                logits, _ = self.probe(tokens, dtype=dtype)
                found = Difference.between(logits.detach(), expected, spread(expected), OTHER_SHAPE[dtype])
                passed &= self.record("train = eval", length, found, OTHER_SHAPE[dtype], "training at dropout 0 moves "
                                      f"logits at position {found.position} by up to {found.size:.2g} std ({dtype})")
            try:
                loss = F.cross_entropy(logits[:, :-1].float().flatten(0, 1), tokens[:, 1:].flatten())
                loss = loss + sum(model.auxiliary_losses().values())
                grads = torch.autograd.grad(loss, list(named.values()), allow_unused=True) if loss.requires_grad else ()
            except (torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:
                action = f"the backward pass of {self.rows} x {length} tokens"
                raise ContractBroken.by(error, action, model) from error
        model.eval()
        found = Difference.between(self.probe.logits(tokens), scored[self.probe.dtype], spread(expected), SAME_SHAPE)
        passed &= self.record("train = eval", length, found, SAME_SHAPE, "a training forward leaves its mark: later "
                              f"logits at position {found.position} change by up to {found.size:.2g} std")
        bad = [name for name, grad in zip(named, grads, strict=False) if grad is not None and not grad.isfinite().all()]
        live |= {name for name, grad in zip(named, grads, strict=False) if grad is not None and grad.any()}
        found = Difference(float("inf")) if bad or not loss.isfinite() else Difference()
        return self.record("gradients", length, found, 0.0, f"NaN or infinite gradients in {', '.join(bad)}" if bad
                           else f"the loss is {loss.item()}") and passed
