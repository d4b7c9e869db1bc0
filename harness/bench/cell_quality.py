"""How well a cell's model predicts: searched, trained, audited, scored, and kept."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..audit.auditor import audit
from ..audit.findings import AuditReport
from ..checkpoint import model_options
from ..errors import Unsupported, UsageError
from ..model import LanguageModel
from .artifact import artifact_bytes, kept_files
from .breakdown import Part, by_familiarity, by_position
from .cell_models import CellModels
from .coordinates import Coordinates, coordinates
from .energy import meter
from .score import Score, score
from .search import Trial, search
from .train import Batch, TrainResult, train
from .trainee import Trained, Trainee
from .trunk import Cooling, Trunk, train_branch
from .weights import model_tensors, packed

if TYPE_CHECKING:
    from ..referee.seal import Sealed


class CellQuality(CellModels):
    """Training and scores."""

    trunks: Path | None                                     # where trainings lie that cells share
    sources: Iterable[Path]                                 # the files that its artifact counts
    hand_over: Callable[[dict[str, bytes]], None]

    def search(
        self, grid: Sequence[float], trials: int, budget_bytes: int, choices: Sequence[str] = ("",),
        stream: Callable[[int], Iterable[Batch]] | None = None,
        train: Callable[[Any, float, int], TrainResult] | None = None,
    ) -> list[Trial]:
        def run(choice: str, lr: float, seed: int) -> TrainResult:
            model, seed = self.build(self.cell.seed + seed, choice), self.cell.seed + seed
            found = train(model, lr, seed) if train else self.train(model, lr, budget_bytes, stream=stream, seed=seed)
            self._drop(model)
            return found

        return search(run, grid, trials, choices)

    def _drop(self, model: LanguageModel) -> None:
        """Forget a model of a search."""

    def train(
        self, model: LanguageModel, lr: float, budget_bytes: int, heldout: Sequence[bytes] = (),
        stream: Callable[[int], Iterable[Batch]] | None = None, seed: int | None = None,
    ) -> TrainResult:
        texts, unit = stream or self.stream, "bits/answer" if stream else "bits/byte"
        return train(
            self._hold_to_contract(model), texts(self.cell.seed if seed is None else seed), lr=lr,
            budget_bytes=budget_bytes,
            dtype=self.cell.dtype, device=self.cell.device,
            validate=(lambda trained: self.score(trained, heldout).bits_per_byte) if heldout else None,
            progress=lambda seen, bits: self.progress(f"{seen / budget_bytes:.0%}, {bits:.3f} {unit}"))

    def train_branch(
        self, model: LanguageModel, lr: float, budget_bytes: int, *, warmup_bytes: int, cooling: float, trunk: str = "",
        seed: int | None = None,
    ) -> TrainResult:
        kept = Trunk(self.trunks / trunk if self.trunks and trunk else None, self.cell.id, lr)
        stream = self.stream(self.cell.seed if seed is None else seed)
        return train_branch(
            self.trainee(model), stream, kept, Cooling(warmup_bytes, cooling), budget_bytes,
            lambda seen, bits: self.progress(f"{seen / budget_bytes:.0%}, {bits:.3f} bits/byte"),
            meter(self.cell.device))

    def trainee(self, model: LanguageModel) -> Trained:
        """The model as somebody who can be left and gone on with."""
        return Trainee(self._hold_to_contract(model), self.cell.dtype)

    def coordinates(self, model: LanguageModel, lr: float, steps: int) -> Coordinates:
        device, stream = self.cell.device, itertools.islice(self.stream(self.cell.seed), steps)
        batches = [(inputs.to(device), targets.to(device)) for inputs, targets, _ in stream]
        return coordinates(self._hold_to_contract(model), batches, lr, self.cell.dtype)

    def audit(
        self, model: LanguageModel, lengths: Sequence[int], *, jitter: float = 0.0, text: bool = True,
        sample: Tensor | None = None,
    ) -> AuditReport:
        sample = self.audit_sample(max(lengths)) if sample is None and text else sample
        report = audit(
            model, lengths, device=self.cell.device, seed=self.cell.seed, corpus_tokens=sample, jitter=jitter)
        self.note_rounding(report)
        return report

    def note_rounding(self, report: AuditReport) -> None:
        """Later rows mention rounding that the model amplifies."""
        for found in report.warnings:
            if found.check == "rounding":
                self._note(str(found))

    def score(
        self, model: LanguageModel, documents: Sequence[bytes], window: int = 0, further: bool = False,
    ) -> Score:
        return score(model, self._windows(documents, window), token_bytes=self.tokenizer.token_bytes,
                     device=self.cell.device)

    def breakdown(self, score: Score, documents: Sequence[bytes] = ()) -> list[Part]:
        return [*by_position(score),
                *(by_familiarity(score, documents, self.documents.familiarity) if documents else ())]

    def seal(self, model: LanguageModel) -> Sealed:
        raise Unsupported(f"suite {self.cell.suite} is not sealed: its model can reach all that it is held against")

    def keep(self, model: LanguageModel, bytes_seen: int) -> int:
        assert self.built is not None
        options = None
        with suppress(UsageError):
            options = model_options(self.spec, self.built.config)
        return self.keep_tensors(model_tensors(model), options, bytes_seen)

    def keep_tensors(self, tensors: Mapping[str, Tensor], options: Mapping[str, str] | None, bytes_seen: int) -> int:
        """What `keep` does, with the weights of a model and the options that rebuild its config, None without any."""
        weights = packed(tensors, {"run_id": self.cell.id, "bytes_seen": bytes_seen})
        if options is None:
            self._note("its weights are not kept: no options rebuild its config")
        elif not self.checkpoint:
            self.raw["weights_sha256"] = hashlib.sha256(weights).hexdigest()
            self.hand_over(kept_files(
                self.cell, options, self.tokenizer.vocab_size, self.documents.sha256, self.learned, weights))
        return artifact_bytes(weights, self.sources)

    def train_readout(self, *_: Any, **__: Any) -> TrainResult:
        raise Unsupported(f"suite {self.cell.suite} is not sealed: it reads no hidden states")

    def readout(self, model: LanguageModel) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
        raise Unsupported(f"suite {self.cell.suite} is not sealed: it reads no hidden states")
