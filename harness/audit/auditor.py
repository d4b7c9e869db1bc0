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
  does, which jumps: a float64 copy decides, and the report warns of it. It convicts as well: what stays in float64,
  and is more than rounded weights do, is another function, however faint.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model import LanguageModel
from .findings import AuditReport, Finding
from .probe import ContractBroken, Difference, Probe, add_noise, spread, untouched
from .shapes import AMPLIFIED, OTHER_SHAPE, Compare, cut, in_float64, of_rounding, single
from .suffixes import SAME_SHAPE, look, places
from .texts import STEPS, Texts, split_plans
from .training import DRAWS, Training, off_its_mean

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
        auditor.training(sorted({max(2, length) for length in lengths}), max(2, min(SHORT, *lengths)))
    return AuditReport(tuple(auditor.findings), *auditor.dead)


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

    def guarded(
        self, check: Callable[[int], bool], length: int, severity: Literal["error", "warning"] = "error",
    ) -> bool:
        """Run a check; a broken contract is its finding, of that severity. True if it passed."""
        try:
            return check(length)
        except ContractBroken as broken:
            found = Difference(float("inf"), broken.position)
            return self.record(broken.check, length, found, 0.0, broken.detail, severity)

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
        tokens = self.texts.batch(self.rows, length)
        found = look(self.probe, self.texts, tokens)
        if found.moved.size > SAME_SHAPE:
            return self.record(*found.cause(length))
        if found.asked and not found.answers:
            self.record("sensitivity", length, Difference(float("inf")), 0.0,
                        "logits do not depend on the tokens, so nothing is shown; train or jitter the model", "warning")
        return self.record("suffix perturbation", length, Difference(found.moved.size), SAME_SHAPE, "")

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
            "batch independence", length, tokens, lambda probe, dtype: single(probe, tokens, dtype), "float32",
            "a batch of one row changes logits at position {found.position} by up to {found.size:.2g} std")

    def judged(self, check: str, length: int, tokens: Tensor, compare: Compare, dtype: str, detail: str) -> bool:
        """Record how far calls of different shapes on `tokens` are apart. Where that may or may not be rounding, a
        float64 copy decides."""
        found, tolerance = compare(self.probe, dtype), OTHER_SHAPE[dtype]
        if dtype == "float32" and SAME_SHAPE < found.size <= (loose := OTHER_SHAPE["bfloat16"]):
            exact = in_float64(self.probe, compare)
            if found.size > tolerance and exact.size <= SAME_SHAPE:
                tolerance = loose
                self.record("rounding", length, found, OTHER_SHAPE[dtype], f"of float32 alone: {check} within "
                            f"{found.size:.2g} std, in float64 within {exact.size:.1g}", "warning")
            elif found.size <= tolerance and SAME_SHAPE < exact.size < math.inf and exact.size > (
                    AMPLIFIED * of_rounding(self.probe, tokens)):
                detail = f"logits differ by up to {exact.size:.2g} std, in float64 too, which no rounding explains"
                return self.record(check, length, exact, SAME_SHAPE, detail)
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
            check, length, tokens, lambda probe, dtype: cut(probe, tokens, plans, dtype), dtype,
            "cut at {found.cut}, logits at position {found.position} differ by up to {found.size:.2g} std "
            f"({dtype})")

    def training(self, lengths: Sequence[int], short: int) -> None:
        """Training is the function that is scored, noise apart, and every gradient is finite. A model that cannot be
        called at a `short` length that no score has is warned of, not failed."""
        live: set[str] = set()
        training = Training(self.probe)
        named = {name: p for name, p in self.probe.model.named_parameters() if p.requires_grad}
        passed = [self.guarded(lambda n: self.train_step(training, n, named, live), length,
                               "error" if length in lengths else "warning") for length in sorted({short, *lengths})]
        dead = [name for name in named if name not in live]
        if all(passed) and dead:
            self.dead = tuple(dead), sum(named[n].numel() * (2 if named[n].is_complex() else 1) for n in dead)
            self.record("live parameters", max(lengths), Difference(float("inf")), 0.0,
                        f"no gradient reaches {self.dead[1]} numbers in {', '.join(dead)}", "warning")

    def train_step(self, training: Training, length: int, named: Mapping[str, Tensor], live: set[str]) -> bool:
        """Logits and gradients of training at `length`; names of parameters with a gradient are added to `live`."""
        tokens = self.texts.batch(self.rows, length)
        training.reset()
        scored = {dtype: self.probe.logits(tokens, dtype=dtype) for dtype in self.probe.dtypes}
        loud = training.logits(tokens)
        noisy = training.drew
        passed = self.mark(training, tokens, scored)
        for dtype, expected in scored.items():
            found = Difference.between(training.quiet(tokens, dtype), expected, spread(expected), OTHER_SHAPE[dtype])
            same = found.size <= OTHER_SHAPE[dtype]
            if same or not training.drew:               # all of the noise was silenced, so nothing may be left
                passed &= self.record("train = eval", length, found, OTHER_SHAPE[dtype], "training at dropout 0 moves "
                                      f"logits at position {found.position} by up to {found.size:.2g} std ({dtype})")
            if noisy and passed and (dtype == self.probe.dtype or not same):
                found = off_its_mean(training, tokens, dtype, expected)
                passed &= self.record("train = eval", length, found, OTHER_SHAPE[dtype], "the mean of training is off "
                                      f"at position {found.position} by {found.size:.2g} std more than its noise "
                                      f"explains ({dtype})")
        if not noisy:
            expected = scored[self.probe.dtype]
            found = Difference.between(loud, expected, spread(expected), OTHER_SHAPE[self.probe.dtype])
            passed &= self.record("train = eval", length, found, OTHER_SHAPE[self.probe.dtype], "training moves logits "
                                  f"at position {found.position} by up to {found.size:.2g} std, and draws no noise")
        elif passed:
            passed &= self.train_suffixes(training, tokens)
        return self.gradients(training, tokens, named, live) and passed

    def mark(self, training: Training, tokens: Tensor, scored: dict[str, Tensor]) -> bool:
        """What the training forward just now moved: nothing that matters, or weights and buffers alone whatever the
        text. `scored` is then brought up to date: training is to be the function of what it moved."""
        length, dtype = tokens.shape[1], self.probe.dtype
        training.model.eval()
        after, unit = self.probe.logits(tokens), spread(scored[dtype])
        found, detail = Difference.between(after, scored[dtype], unit, SAME_SHAPE), ""
        if found.size > SAME_SHAPE:
            moved = {dtype: self.probe.logits(tokens, dtype=dtype) for dtype in scored}
            training.reset()
            found, detail = Difference.between(self.probe.logits(tokens), scored[dtype], unit, SAME_SHAPE), (
                "beside weights and buffers")
            if found.size <= SAME_SHAPE:
                training.logits(self.texts.batch(self.rows, length))
                training.model.eval()
                found, detail = Difference.between(self.probe.logits(tokens), after, unit, SAME_SHAPE), (
                    "of the text it read")
            if found.size <= SAME_SHAPE:
                scored.update(moved)
        return self.record("train = eval", length, found, SAME_SHAPE, f"a training forward leaves its mark {detail}: "
                           f"later logits at position {found.position} change by up to {found.size:.2g} std")

    def train_suffixes(self, training: Training, tokens: Tensor) -> bool:
        """Under equal noise no later token and no other row moves the logits of training either."""
        rounds = places(*tokens.shape)
        for draw in range(min(DRAWS, len(rounds))):
            training.draw = draw
            found = look(training, self.texts, tokens, rounds[draw::DRAWS])
            if found.moved.size > SAME_SHAPE:
                _, length, difference, tolerance, detail = found.cause(tokens.shape[1])
                return self.record("train = eval", length, difference, tolerance, "in training, under equal noise, "
                                   f"{detail}")
        return self.record("train = eval", tokens.shape[1], Difference(), SAME_SHAPE, "")

    def gradients(self, training: Training, tokens: Tensor, named: Mapping[str, Tensor], live: set[str]) -> bool:
        """Loss and gradients are finite. Where noise cannot be silenced, several draws see what one leaves out."""
        for draw in range(8):
            training.draw = draw
            try:
                with torch.enable_grad(), training.silenced():
                    logits, _ = training(tokens)
                    loss = F.cross_entropy(logits[:, :-1].float().flatten(0, 1), tokens[:, 1:].flatten())
                    loss = loss + sum(training.model.auxiliary_losses().values())
                    wanted = list(named.values()) if loss.requires_grad else []
                    grads = torch.autograd.grad(loss, wanted, allow_unused=True) if wanted else ()
            except (torch.OutOfMemoryError, MemoryError, ContractBroken):
                raise
            except Exception as error:
                action = f"the backward pass of {tokens.shape[0]} x {tokens.shape[1]} tokens"
                raise ContractBroken.by(error, action, training.model) from error
            found = {name: grad for name, grad in zip(named, grads, strict=False) if grad is not None}
            bad = [name for name, grad in found.items() if not grad.isfinite().all()]
            live |= {name for name, grad in found.items() if grad.any()}
            if bad or not loss.isfinite() or not training.drew or live >= set(named):
                break
        size = 0.0 if loss.isfinite() and not bad else float("inf")
        return self.record("gradients", tokens.shape[1], Difference(size), 0.0, f"the loss is {loss.item()}" if not bad
                           else f"NaN or infinite gradients in {', '.join(bad)}")
