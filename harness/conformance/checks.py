"""What a plugin's author wants to know before others use it: every promise of the contract as a line, with its mend.

The checks of the audit are among them. Beyond it: the spec is cheap and complete, options are refused in one line, the
size can be solved for, no parameter is dead, the state is measured, and a checkpoint gives the same logits.
"""

from __future__ import annotations

import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ..audit.auditor import audit
from ..audit.findings import AuditReport
from ..audit.probe import add_noise
from ..bench.train import TrainStep
from ..bench.weights import build_trained, model_tensors, save
from ..build import Built, build
from ..checkpoint import BEST, RunConfig, model_options, open_checkpoint
from ..data.batches import uniform_tokens
from ..data.corpora import DEFAULT, load_documents
from ..data.tokenizers import make_tokenizer, vocabulary
from ..errors import HarnessError, one_line
from ..model import count_parameters, state_bytes
from ..options import config_class, describe_options, make_config, width_of
from ..registry import Registry
from ..sizing import count_on_meta, match_parameters
from ..specs import ModelSpec, missing
from .result import CheckResult, Status

SIZES = (20_000, 60_000)                # non-embedding parameters that are solved for; the first is what is checked
LENGTHS = (17, 64)                      # that are audited
STATE_LENGTHS, BATCH = (16, 32, 64), 5
JITTER = 0.02                           # so that branches behind a zero are open
LONGEST_SUMMARY = 110

OF_THE_AUDIT = {                        # line -> the checks of the audit that it stands for
    "contract": ("raises", "contract", "finite"), "causality": ("suffix perturbation",),
    "batch independence": ("batch independence",), "split law": ("split law",), "determinism": ("determinism",),
    "train = eval": ("train = eval",), "gradients": ("gradients",), "live parameters": ("live parameters",),
    "beyond the length": ("beyond the length",),
}


class CheckFailed(Exception):
    """A promise that is not kept; the text says how."""


def check_model(registry: Registry, spec: ModelSpec) -> Iterator[CheckResult]:
    """Every line of one model, in order. What a check raises is its failure; what needs a built model then ends."""
    checks = _Checks(registry, spec)
    yield checks.line("summary", checks.summary)
    if reason := missing(spec):
        yield CheckResult(spec.name, "builds", "unavailable", reason)
        return
    built = checks.line("builds", checks.builds)
    yield built
    if not built.ok:
        return
    yield checks.line("options", checks.options)
    yield checks.line("sizing", checks.sizing)
    yield from checks.audited()
    yield checks.line("state", checks.state)
    yield checks.line("checkpoint", checks.checkpoint)


class _Checks:
    def __init__(self, registry: Registry, spec: ModelSpec):
        self.spec = spec
        self.tokenizer = make_tokenizer(registry.tokenizers["bytes"])
        documents = load_documents(*registry.corpus(DEFAULT))
        self.text = torch.from_numpy(self.tokenizer.encode(b"\n".join(documents.heldout)[:8192]).copy()).long()
        self.built: Built

    def line(self, name: str, check: Callable[[], str | CheckResult]) -> CheckResult:
        """The check's line: it returns what was found, raises CheckFailed, or breaks."""
        try:
            found = check()
        except CheckFailed as fail:
            return CheckResult(self.spec.name, name, "fail", str(fail))
        except Exception as error:
            return CheckResult(self.spec.name, name, "fail", where(error))
        return found if isinstance(found, CheckResult) else CheckResult(self.spec.name, name, "ok", found)

    def build(self, seed: int = 0) -> Built:
        sized = bool(width_of(make_config(self.spec, {})))
        return build(self.spec, {}, self.tokenizer.vocab_size, params=SIZES[0] if sized else 0, seed=seed,
                     vocabulary=vocabulary(self.tokenizer))

    def tokens(self, batch: int, length: int) -> Tensor:
        return uniform_tokens(self.tokenizer.vocab_size, batch, length, 0)

    def summary(self) -> str:
        for name in ("summary", "source"):
            text = getattr(self.spec, name)
            if not text.strip() or "\n" in text:
                raise CheckFailed(f"its {name} is {'empty' if not text.strip() else 'longer than a line'}")
        if len(self.spec.summary) > LONGEST_SUMMARY:
            raise CheckFailed(f"its summary has {len(self.spec.summary)} characters; a listing shows {LONGEST_SUMMARY}")
        return self.spec.summary

    def options(self) -> str:
        kind = config_class(self.spec)
        config = make_config(self.spec, {})
        model_options(self.spec, config)
        for preset in getattr(kind, "PRESETS", {}):
            count_on_meta(self.spec, make_config(self.spec, {}, preset), self.tokenizer.vocab_size)
        refused = 0
        for f in fields(kind):
            for text in ("no such value", "0", "-1"):
                if not isinstance(getattr(config, f.name), int | float) and text != "no such value":
                    continue
                refused += self._refuses(f.name, text)
        names = ", ".join(name for name, _, _ in describe_options(kind)) or "none"
        return f"{names}; {refused} bad values refused in a line"

    def _refuses(self, name: str, text: str) -> bool:
        """Whether an option's value is refused, by the config or with a ValueError by the model. Else it must build."""
        try:
            config = make_config(self.spec, {name: text})
        except HarnessError as error:
            if "\n" in str(error):
                raise CheckFailed(f"{name}={text} is refused in several lines") from None
            return True
        try:
            with warnings.catch_warnings(action="ignore"):
                count_on_meta(self.spec, config, self.tokenizer.vocab_size)
        except (HarnessError, ValueError):
            return True
        except Exception as error:
            raise CheckFailed(f"{name}={text} is accepted, and then building raises {one_line(error)}") from None
        return False

    def builds(self) -> str:
        try:
            self.built = self.build()
        except ModuleNotFoundError as error:
            raise CheckFailed(f"{one_line(error)}, which requires of its ModelSpec does not name") from None
        count = self.built.count
        name = type(self.built.model).__name__
        return f"{name}: {count.non_embedding:,} parameters and {count.embedding:,} of vocabulary tables"

    def sizing(self) -> str | CheckResult:
        config, vocab = make_config(self.spec, {}), self.tokenizer.vocab_size
        if not width_of(config):
            raise CheckFailed("its config has no dim or width, so no size can be solved for")
        meta = count_on_meta(self.spec, self.built.config, vocab)
        if meta != count_parameters(self.built.model):
            raise CheckFailed(
                f"it has {meta.total:,} parameters on the meta device and {self.built.count.total:,} when built")
        matches = [match_parameters(self.spec, config, set(), vocab, size) for size in SIZES]
        if notes := [match.note for match in matches if match.note]:
            return CheckResult(self.spec.name, "sizing", "note", "; ".join(notes))
        return ", ".join(f"{match.target:,} -> {match.count.non_embedding:,}" for match in matches)

    def audited(self) -> Iterator[CheckResult]:
        """The lines that the audit of fresh weights gives; one that it never came to is missing."""
        report: AuditReport | None = None

        def run() -> str:
            nonlocal report
            report = audit(self.built.model, LENGTHS, corpus_tokens=self.text, jitter=JITTER)
            return ""

        broken = self.line("contract", run)
        if report is None:
            yield broken
            return
        for name, checks in OF_THE_AUDIT.items():
            found = [finding for finding in report.findings if finding.check in checks]
            bad = [finding for finding in found if not finding.passed]
            if bad:
                status: Status = "note" if name == "beyond the length" else "fail"
                yield CheckResult(self.spec.name, name, status, f"T={bad[0].length}: {bad[0].detail}")
            elif found or name == "live parameters":
                yield CheckResult(self.spec.name, name, "ok", self._passed(name, found))

    def _passed(self, name: str, found: list[Any]) -> str:
        if name == "live parameters":
            return f"a gradient reaches all {sum(1 for _ in self.built.model.parameters())}"
        size = max((finding.size for finding in found), default=0.0)
        return f"T={', '.join(map(str, LENGTHS))}" + (f"; within {size:.1g} std" if size else "")

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

    def checkpoint(self) -> str:
        """Trained a little, kept, and built anew from the file: the same logits to the last bit."""
        model, tokens, tokenizer = self.build(seed=1).model, self.tokens(2, LENGTHS[0] + 1), self.tokenizer
        add_noise(model, JITTER, torch.Generator().manual_seed(0))
        TrainStep(model.train(), lr=1e-2)(tokens[:, :-1], tokens[:, 1:])
        with tempfile.TemporaryDirectory() as folder:
            config = RunConfig("check", self.spec.name, "bytes", tokenizer.vocab_size, "",
                               model=model_options(self.spec, model.config))
            config.write(Path(folder))
            save(Path(folder) / BEST, model_tensors(model), {"run_id": "check", "bytes_seen": 0})
            again = build_trained(self.spec, open_checkpoint(folder), tokenizer).model
        with torch.no_grad():
            ours, theirs = (m.eval()(tokens)[0] for m in (model, again))
        if not torch.equal(ours, theirs):
            largest = (ours - theirs).abs().max()
            raise CheckFailed(f"weights that were kept and read give logits that differ by {largest:.2g}")
        return "the same logits to the last bit"


def where(error: Exception) -> str:
    """An exception with the last place that it came from."""
    if isinstance(error, HarnessError):
        return one_line(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{one_line(error)} ({Path(frame.filename).name}:{frame.lineno})"


