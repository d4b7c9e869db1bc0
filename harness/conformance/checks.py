"""What a plugin's author wants to know before others use it: every promise of the contract as a line, with its mend.

The checks of the audit are among them. Beyond it: the spec is cheap and complete, options are refused in one line, the
size can be solved for, no parameter is dead, the state is measured, and a checkpoint gives the same logits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..audit.auditor import audit
from ..audit.findings import AuditReport
from ..audit.probe import ContractBroken, Probe, add_noise
from ..audit.randomness import Sources
from ..bench.train import TrainStep
from ..bench.weights import build_trained, model_tensors, save
from ..build import SIZE_TO_BLAME, Built, blame_size, build
from ..checkpoint import BEST, RunConfig, model_options, open_checkpoint
from ..data.batches import uniform_tokens
from ..data.corpora import DEFAULT, load_documents
from ..data.tokenizers import make_tokenizer, vocabulary
from ..errors import UsageError, one_line
from ..frames import place
from ..model import LanguageModel, count_parameters, state_bytes
from ..options import make_config, step_of, width_of
from ..registry import Registry
from ..sizing import StepRefused, count_on_meta, match_parameters
from ..specs import ModelSpec, missing, resolve
from .advance_checks import check_advance
from .lines import Lines
from .option_checks import check_options
from .placement import CPU, Devices, Dtypes, Misplaced
from .result import CheckFailed, CheckResult, Status

SIZES = (20_000, 60_000)                # non-embedding parameters that are solved for; the first is what is checked
PREFILL = 17                            # tokens of a first call
STATE_LENGTHS, BATCH = (16, 32, 64), 5
JITTER = 0.02                           # so that branches behind a zero are open
LONGEST_SUMMARY = 110

OF_THE_AUDIT = {                        # line -> the checks of the audit that it stands for
    "contract": ("raises", "contract", "finite"), "determinism": ("determinism",),
    "causality": ("suffix perturbation",), "batch independence": ("batch independence",), "split law": ("split law",),
    "train = eval": ("train = eval",), "gradients": ("gradients",), "live parameters": ("live parameters",),
    "beyond the length": ("beyond the length",),
}


@dataclass(frozen=True)
class Conditions:
    """Under which a model is checked: the lengths that are audited, the device, and the dtype that it computes in."""

    lengths: tuple[int, ...] = (17, 64)
    device: str = "cpu"
    dtype: str = "float32"


def check_model(registry: Registry, spec: ModelSpec, conditions: Conditions) -> Iterator[CheckResult]:
    """Every line of one model, in order. What a check raises is its failure; what rests on a failed one is skipped."""
    checks = _Checks(registry, spec, conditions)
    yield checks.line("summary", checks.summary)
    if reason := missing(spec):
        yield CheckResult(spec.name, "builds", "unavailable", reason)
        return
    yield checks.line("builds", checks.builds)
    yield checks.line("options", checks.options)
    yield checks.line("sizing", checks.sizing)
    yield from checks.audited()
    yield checks.line("device", checks.on_another_device)
    yield checks.line("dtype", checks.in_bfloat16)
    yield checks.line("state", checks.state)
    yield checks.line("advance", checks.advance)
    yield checks.line("checkpoint", checks.checkpoint)


class _Checks(Lines):
    def __init__(self, registry: Registry, spec: ModelSpec, conditions: Conditions):
        super().__init__(spec.name, spec.target.partition(":")[0])
        self.spec, self.conditions = spec, conditions
        self.tokenizer = make_tokenizer(registry.tokenizers["bytes"])
        documents = load_documents(*registry.corpus(DEFAULT))
        self.text = torch.from_numpy(self.tokenizer.encode(b"\n".join(documents.heldout)[:8192]).copy()).long()
        self.refused = ""                                   # why the size that is to be checked cannot be
        self.callable = True
        self.built: Built

    def build(self, seed: int = 0, device: str = "") -> Built:
        sized = not self.refused and bool(width_of(make_config(self.spec, {})))
        return build(self.spec, {}, self.tokenizer.vocab_size, params=SIZES[0] if sized else 0, seed=seed,
                     device=device or self.conditions.device, vocabulary=vocabulary(self.tokenizer))

    def tokens(self, batch: int, length: int) -> Tensor:
        return uniform_tokens(self.tokenizer.vocab_size, batch, length, 0).to(self.conditions.device)

    def summary(self) -> str:
        for name in ("summary", "source"):
            text = getattr(self.spec, name)
            if not text.strip() or "\n" in text:
                raise CheckFailed(f"its {name} is {'empty' if not text.strip() else 'longer than a line'}")
        if len(self.spec.summary) > LONGEST_SUMMARY:
            raise CheckFailed(f"its summary has {len(self.spec.summary)} characters; a listing shows {LONGEST_SUMMARY}")
        return self.spec.summary

    def options(self) -> str:
        return check_options(self.spec, self.tokenizer.vocab_size)

    def builds(self) -> str:
        """At a size that is solved for; where that is what it does not take, at its default size."""
        try:
            self.built = self.build()
            self._short_call(self.built.model)
        except (StepRefused, UsageError) as error:          # no such size; what is wrong by default is raised again
            self.refused = str(error)
        except ContractBroken as broken:
            blame = blame_size(self.spec, {}, self.tokenizer.vocab_size, self.built.config, self._short_call)
            self.refused, self.callable = f"{broken.detail}; {blame}" if blame else "", bool(blame)
        except ModuleNotFoundError as error:
            raise CheckFailed(f"{one_line(error)}, which requires of its ModelSpec does not name") from None
        if self.refused:
            self.built = self.build()
        count = self.built.count
        name = type(self.built.model).__name__
        return f"{name}: {count.non_embedding:,} parameters and {count.embedding:,} of vocabulary tables"

    @torch.no_grad()
    def _short_call(self, model: LanguageModel) -> None:
        device = self.conditions.device
        Probe(model.eval().to(device), torch.device(device), "float32")(self.tokens(2, 3))

    def sizing(self) -> str | CheckResult:
        config, vocab = make_config(self.spec, {}), self.tokenizer.vocab_size
        if not width_of(config):
            raise CheckFailed("its config has no dim or width, so no size can be solved for")
        if self.refused:
            raise CheckFailed(self.refused)
        meta = count_on_meta(self.spec, self.built.config, vocab)
        if meta != count_parameters(self.built.model):
            raise CheckFailed(
                f"it has {meta.total:,} parameters on the meta device and {self.built.count.total:,} when built")
        matches = [match_parameters(self.spec, config, set(), vocab, size) for size in SIZES]
        for match in matches if self.callable else ():      # else the contract is broken whatever the size
            self._takes(match.config)
        if notes := [match.note for match in matches if match.note]:
            return CheckResult(self.spec.name, "sizing", "note", "; ".join(notes))
        return ", ".join(f"{match.target:,} -> {match.count.non_embedding:,}" for match in matches)

    def _takes(self, config: Any) -> None:
        """Raise CheckFailed where a model of a width that was solved for, or of the next one, cannot be called."""
        width = width_of(config)
        wider = replace(config, **{width: getattr(config, width) + step_of(config, width)})
        for one in (config, wider):
            try:
                self._short_call(resolve(self.spec.target)(one, self.tokenizer.vocab_size))
            except ContractBroken as broken:
                raise CheckFailed(f"{width}={getattr(one, width)}: {broken.detail}; {SIZE_TO_BLAME}") from None

    def audited(self) -> Iterator[CheckResult]:
        """The lines that the audit of fresh weights gives, what others rest on before them."""
        report: AuditReport | None = None

        def run() -> str | CheckResult:
            nonlocal report
            at = self.conditions
            report = audit(self.built.model, at.lengths, device=at.device, dtype=at.dtype, corpus_tokens=self.text,
                           jitter=JITTER)
            return self._judged("contract", report)

        yield self.line("contract", run)
        for name in OF_THE_AUDIT:
            if name != "contract":
                yield self.line(name, lambda name=name: self._judged(name, report))  # type: ignore[misc]

    def _judged(self, name: str, report: AuditReport | None) -> str | CheckResult:
        assert report is not None                           # else the contract failed, which every other line needs
        found = [finding for finding in report.findings if finding.check in OF_THE_AUDIT[name]]
        bad = [finding for finding in found if not finding.passed]
        if bad:
            status: Status = "note" if name == "beyond the length" else "fail"
            return CheckResult(self.spec.name, name, status, f"T={bad[0].length}: {bad[0].detail}")
        return self._passed(name, found)

    def _passed(self, name: str, found: list[Any]) -> str:
        if name == "live parameters":
            return f"a gradient reaches all {sum(1 for _ in self.built.model.parameters())}"
        size = max((finding.size for finding in found), default=0.0)
        return f"T={', '.join(map(str, self.conditions.lengths))}" + (f"; within {size:.1g} std" if size else "")

    def on_another_device(self) -> str | CheckResult:
        model, tokens = self.build(device="cpu").model.eval(), self.tokens(2, PREFILL).cpu()
        book = Devices(model, tokens)
        try:
            with book:
                logits = self._called(model, tokens)
        except Misplaced as error:
            raise CheckFailed(f"{error} ({place(error, self.module)})") from None
        except Exception as error:                          # the device is pretended, which not all code bears
            return CheckResult(self.spec.name, "device", "note", f"cannot be followed: {self.told(error)}")
        if book.side(logits) is CPU:
            raise CheckFailed(f"{book.origin(logits)} lies on the CPU, and so do the logits")
        return "what a call makes lies where the weights lie"

    def in_bfloat16(self) -> str:
        model = self.build(device="cpu").model.eval()
        try:
            with torch.autocast("cpu", torch.bfloat16), Dtypes(model):
                self._called(model, self.tokens(2, PREFILL).cpu())
        except Misplaced as error:
            raise CheckFailed(f"{error} ({place(error, self.module)})") from None
        try:
            self._train_in_bfloat16()
        except Exception as error:                          # some kernels have no backward pass there
            raise CheckFailed(f"a training step in bfloat16 raises {self.told(error)}") from None
        return "what a call makes leaves bfloat16 as it is, and a training step works there"

    def _train_in_bfloat16(self) -> None:
        step, tokens = TrainStep(self.build(device="cpu").model.train(), lr=1e-3, dtype="bfloat16"), self.tokens(2, 9)
        step(tokens.cpu()[:, :-1], tokens.cpu()[:, 1:])

    @torch.no_grad()
    def _called(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        """The logits of a text, after which it goes on twice, and of a token alone."""
        logits: Tensor
        logits, state = model(tokens)
        for _ in range(2):
            _, state = model(tokens[:, :1], state)
        model(tokens[:, :1])
        return logits

    @torch.no_grad()
    def state(self) -> str:
        model = self.built.model.eval()
        sizes = []
        for length in STATE_LENGTHS:
            _, state = model(self.tokens(BATCH, length))
            leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor) and leaf.ndim]
            for leaf in leaves:
                if leaf.shape[0] != BATCH:
                    raise CheckFailed(f"a tensor of shape {tuple(leaf.shape)} is in the state of a batch of {BATCH}")
                if leaf.requires_grad:
                    raise CheckFailed("the state asks for gradients where none are computed")
            sizes.append(state_bytes(model(self.tokens(1, length))[1]))
        if len(set(sizes)) == 1:
            return f"{sizes[0]:,} bytes a sequence, whatever the length" if sizes[0] else "none: it remembers nothing"
        grown = (sizes[-1] - sizes[-2]) / (STATE_LENGTHS[-1] - STATE_LENGTHS[-2])
        if grown > 0:
            return f"grows: {sizes[-1]:,} bytes at T={STATE_LENGTHS[-1]}, {grown:,.0f} more a token"
        return f"grows to {sizes[-1]:,} bytes at T={STATE_LENGTHS[-1]}"

    def advance(self) -> str:
        return check_advance(self.built.model.eval(), JITTER, self.conditions.dtype)

    def checkpoint(self) -> str:
        """Trained a little, kept, and built anew from the file: the same logits to the last bit, in training too."""
        model, tokenizer = self.build(seed=1).model, self.tokenizer
        tokens = self.tokens(2, PREFILL + 1)
        add_noise(model, JITTER, torch.Generator().manual_seed(0))
        TrainStep(model.train(), lr=1e-2)(tokens[:, :-1], tokens[:, 1:])
        with tempfile.TemporaryDirectory() as folder:
            config = RunConfig("check", self.spec.name, "bytes", tokenizer.vocab_size, "",
                               model=model_options(self.spec, model.config))
            config.write(Path(folder))
            save(Path(folder) / BEST, model_tensors(model), {"run_id": "check", "bytes_seen": 0})
            again = build_trained(self.spec, open_checkpoint(folder), tokenizer, self.conditions.device).model
        for training, give in ((False, "give"), (True, "train with")):
            ours, theirs = (self._drawn_alike(m.train(training), tokens) for m in (model, again))
            if not torch.equal(ours, theirs):
                largest = (ours - theirs).abs().max()
                raise CheckFailed(f"weights that were kept and read {give} logits that differ by {largest:.2g}")
        return "the same logits to the last bit"

    @torch.no_grad()
    def _drawn_alike(self, model: LanguageModel, tokens: Tensor) -> Tensor:
        """Logits for which whatever is drawn at random comes from one seed."""
        sources = Sources(model, tokens.device)
        with sources.kept():
            sources.seed(0)
            logits: Tensor = model(tokens)[0]
            return logits
