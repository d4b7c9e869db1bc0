"""The workbench of a worker: what `harness.workbench` promises to suites, made of the engine's parts.

Everything that a row can know, such as parameters, corpus digest and device, is filled in here, so that a suite says
only metric, value and unit. What a method does, and what it raises, is documented at the face.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..audit.auditor import audit
from ..audit.findings import AuditReport
from ..build import Built, build, hold_to_count
from ..checkpoint import Checkpoint, model_options, open_checkpoint
from ..data.abilities.sizes import task_named
from ..data.batches import ScoreBatch, TrainStream, score_batches, uniform_tokens
from ..data.compressors import compressed_bits
from ..data.corpora import DEFAULT, load_documents
from ..data.documents import Documents
from ..data.faithful import Faithful, encode_documents
from ..data.tokenizers import Tokenizer, learn, make_tokenizer, vocabulary
from ..data.windows import first_visible_byte, limit_documents
from ..errors import HarnessError, Unsupported, UsageError
from ..model import LanguageModel, ParameterCount, state_bytes
from ..options import make_config
from ..registry import Registry
from ..run.cells import Cell, base_fields
from ..run.failures import classify
from ..selector import options_in
from ..sizing import count_on_meta, match_parameters
from ..specs import KernelCase, ModelSpec, resolve
from ..store import Row, now
from ..workbench import Workbench
from .artifact import artifact_bytes, kept_files
from .bare import bare_step
from .breakdown import Part, by_familiarity, by_position
from .continuation import beginning
from .contract import hold_to_contract
from .coordinates import Coordinates, coordinates
from .energy import meter
from .exercises import Exercises
from .graphs import graphed
from .holdings import peak_of_all
from .largest import Largest, largest_that_fits
from .limits import Flops, Phase, model_flops
from .measure import Clock, peak, peak_memory, release_memory, time_cases
from .operations import counted, disagreement
from .operators import Operators, profile
from .recall import Recall
from .rechecks import InferenceCheck, OtherFunction, TrainingCheck
from .rounds import Check, Inputs, Rounds
from .score import Score, score
from .search import Trial, search
from .train import Batch, TrainResult, TrainStep, autocast, train
from .trainee import Trained, Trainee
from .trunk import Cooling, Trunk, train_branch
from .vouching import audit_once
from .weights import model_tensors, packed

FEW_ROUNDS = 11
SLOW_START = "slow_start_s"
TOLD_OVERLAP = 0.05                         # share of held-out text in training text that rows tell


if TYPE_CHECKING:
    from ..referee.seal import Sealed


class TorchWorkbench(Workbench):
    """One cell's tools and its growing rows."""

    def __init__(
        self, cell: Cell, registry: Registry, spec: ModelSpec, context: dict[str, Any],
        turn: Callable[[], AbstractContextManager[Any]], progress: Callable[[str], None],
        hand_over: Callable[[dict[str, bytes]], None] = lambda files: None,
    ):
        self.cell, self.registry, self.spec = cell, registry, spec
        self.limits, self.needs, self.sources = context["limits"], context["needs"], context.get("sources", ())
        self.turn, self.progress, self.hand_over = turn, progress, hand_over
        self.trunks = Path(context["trunks"]) if context.get("trunks") else None
        self.rows, self.raw = [], {}
        self.built: Built | None = None
        self.chosen = ""                                    # options beside those of the cell
        self._solved: dict[str, Any] = {}                   # configs by choice
        self._facts: dict[str, Any] = {}
        self._unproven, self._first_call_s = True, 0.0
        self._doubts: list[str] = []
        self._counted: dict[int, int] = {}                  # operations of a forward pass by length
        self._secret = context.get("secret") or secrets.randbits(48)
        self._started, self._started_at = time.monotonic(), now()
        if cell.device == "cuda" and not torch.cuda.is_available():
            raise HarnessError("no usable CUDA device: torch.cuda.is_available() is false; use --device cpu")

    # Rows

    def row_fields(self) -> dict[str, Any]:
        """The columns that this cell fixes, with what is known of the model by now."""
        return base_fields(self.cell, self.spec) | self._facts | {
            "wall_s": round(time.monotonic() - self._started, 3), "started_at": self._started_at}

    def row(self, metric: str, value: float | None, unit: str = "", better: str = "", **fields: Any) -> None:
        given = {"metric": metric, "value": None if value is None else float(value), "unit": unit, "better": better}
        if fields.get("status", "ok") == "ok":              # a failure has one reason, a number all that is noted
            given["reason"] = "; ".join(filter(None, [self._facts.get("reason", ""), fields.pop("reason", "")]))
        row = Row(**self.row_fields() | given | fields)
        if row.value is not None and not math.isfinite(row.value):
            reasons = (f"{metric} is {'not a number' if math.isnan(row.value) else 'infinite'}", row.reason)
            row.value, row.status, row.reason = None, "error", "; ".join(filter(None, reasons))
        self.rows.append(row)

    def _note(self, text: str) -> None:
        """Tell it in every later row, once."""
        notes = [self._facts.get("reason", ""), text]
        if text not in notes[0]:
            self._facts["reason"] = "; ".join(filter(None, notes))

    def fail(self, metric: str, reason: str, status: str = "error", **fields: Any) -> None:
        if status == "audit_failed":
            fields = {"audited": "no"} | fields
        self.row(metric, None, status=status, reason=reason, **fields)

    def need(self, key: str) -> Any:
        for raw in self.needs.values():
            if key in raw["raw"]:
                return raw["raw"][key]
        raise HarnessError(f"the cell that finds {key!r} failed; see its row, or set --{key}")

    # The model

    @cached_property
    def tokenizer(self) -> Tokenizer:
        spec, _ = self.registry.tokenizer(self.cell.tokenizer or "bytes")
        return Faithful(make_tokenizer(spec, self.learned))

    @cached_property
    def learned(self) -> Any:
        """What the cell's tokenizer has learned, None for one that learns nothing."""
        spec, selector = self.registry.tokenizer(self.cell.tokenizer or "bytes")
        if not spec.learn:
            return None
        if self.checkpoint:
            return self.checkpoint.learned
        documents = self.documents if self.cell.corpus else load_documents(*self.registry.corpus(DEFAULT))
        return learn(spec, selector, documents.train)

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        return open_checkpoint(self.cell.checkpoint) if self.cell.checkpoint else None

    def choose(self, choice: str, note: str = "") -> None:
        self.chosen = choice
        if note:
            self._note(note)

    def options(self, choice: str = "") -> dict[str, str]:
        """Those of the cell, with what was chosen, or what `choice` says."""
        return dict(self.cell.options) | options_in(choice or self.chosen)

    def build(self, seed: int | None = None, choice: str = "") -> LanguageModel:
        cell = self.cell
        if self.checkpoint:
            from .weights import build_trained  # needs safetensors, which nothing else does

            built = build_trained(self.spec, self.checkpoint, self.tokenizer, cell.device)
        else:
            built = build(
                self.spec, self.options(choice), self.tokenizer.vocab_size, preset=cell.preset, params=cell.params,
                state_bytes=cell.state_bytes, seq_len=cell.seq_len,
                seed=cell.seed if seed is None else seed, device=cell.device, vocabulary=vocabulary(self.tokenizer),
                solved=self._solved.get(choice))
        if choice not in self._solved:
            self._solved[choice] = built.config
            hold_to_count(self.spec, built)
        if self.built is None:
            self.built = built
            self._facts |= {"params": built.count.non_embedding, "params_embedding": built.count.embedding}
            if built.note:
                self._note(built.note)
        return built.model

    def count(self) -> ParameterCount:
        spec, _ = self.registry.tokenizer(self.cell.tokenizer or "bytes")
        config = make_config(self.spec, self.options(), self.cell.preset)
        size = spec.vocab_size or self.tokenizer.vocab_size
        if self.cell.params and not self.cell.preset:
            config = match_parameters(self.spec, config, set(self.options()), size, self.cell.params).config
        found = count_on_meta(self.spec, config, size)
        self._facts |= {"params": found.non_embedding, "params_embedding": found.embedding}
        return found

    def _hold_to_contract(self, model: LanguageModel) -> LanguageModel:
        """Once in a cell, before a model is trained or timed."""
        if not self._unproven:
            return model
        self._unproven, started = False, time.perf_counter()
        held = hold_to_contract(model, self.spec, self.options(), self.cell.device,
                                solved=not (self.checkpoint or self.cell.preset))
        self._first_call_s = time.perf_counter() - started
        return held

    def flops(self, model: LanguageModel, batch: int, seq_len: int, phase: Phase) -> Flops:
        found = model_flops(model, batch, seq_len, phase)
        if not found.estimated and phase != "decode":
            if seq_len not in self._counted:
                with self.turn():
                    self._counted[seq_len] = counted(model, self.tokens(1, seq_len))
            if note := disagreement(model_flops(model, 1, seq_len, phase).value, self._counted[seq_len], phase):
                self._note(note)
        return found

    # Data

    @cached_property
    def documents(self) -> Documents:
        spec, selector = self.registry.corpus(self.cell.corpus)
        documents = load_documents(spec, selector)
        self._facts |= {"corpus": documents.name, "corpus_sha256": documents.sha256}
        if documents.note:
            self._note(documents.note)
        if documents.overlap > TOLD_OVERLAP:
            self._note(f"{documents.overlap:.0%} of the held-out text also stands in the training text")
        if self.checkpoint and self.checkpoint.config.corpus_sha256 != documents.sha256:
            self._note("trained on another corpus, which may hold some of this text")
        return documents

    def heldout(self, max_bytes: int) -> list[bytes]:
        return limit_documents(self.documents.heldout, max_bytes)

    def stream(self, seed: int) -> TrainStream:
        return TrainStream(self.documents.train, self.tokenizer, self.cell.seq_len, self.cell.batch_size, seed)

    @cached_property
    def _texts(self) -> TrainStream:
        return self.stream(self.cell.seed)

    def batch(self, number: int | None = None) -> tuple[Tensor, Tensor]:
        inputs, targets, _ = next(self.stream(self.cell.seed)) if number is None else self._texts.drawn(number)
        return inputs.to(self.cell.device), targets.to(self.cell.device)

    def tokens(self, batch: int, seq_len: int, seed: int = 0) -> Tensor:
        return uniform_tokens(self.tokenizer.vocab_size, batch, seq_len, seed).to(self.cell.device)

    # Quality

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

    def audit_sample(self, length: int) -> Tensor | None:
        """Tokens of the cell's corpus for an audit at a length, (N,) int64, BOS first; None without a corpus."""
        if not self.cell.corpus:
            return None
        tokens = self.tokenizer.encode(b"\n".join(self.documents.heldout)[: 16 * length + 4096])
        return torch.cat([torch.tensor([self.tokenizer.bos]), torch.from_numpy(tokens.copy()).long()])

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

    def _windows(self, documents: Sequence[bytes], window: int) -> Iterator[ScoreBatch]:
        """Held-out text in windows of the cell's length, or in other ones, about as many tokens at once."""
        cell, tokens = self.cell, encode_documents(self.tokenizer, documents, "held-out")
        if not window:
            return score_batches(tokens, self.tokenizer.bos, cell.seq_len, cell.get("stride", 0), cell.batch_size)
        rows = max(1, cell.batch_size * cell.seq_len // window)
        return score_batches(tokens, self.tokenizer.bos, window, batch_size=rows)

    def seal(self, model: LanguageModel) -> Sealed:
        raise Unsupported(f"suite {self.cell.suite} is not sealed: its model can reach all that it is held against")

    def compressed_bits(self, documents: Sequence[bytes]) -> dict[str, float]:
        return compressed_bits(self.documents.train, documents)

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

    def oracle_bits(self, documents: Sequence[bytes]) -> list[float]:
        """Bits of each document for whoever knows the corpus's source and sees the bytes that a window's tokens stand
        for. Raises HarnessError where the source is not known."""
        if self.documents.oracle is None:
            raise HarnessError(f"nobody knows the source of {self.documents.name}")
        lengths = [self.tokenizer.token_bytes[self.tokenizer.encode(document)] for document in documents]
        visible = [first_visible_byte(sizes, self.cell.seq_len, self.cell.get("stride", 0)) for sizes in lengths]
        return [float(bits.sum()) for bits in self.documents.oracle.log_loss(documents, visible)]

    @cached_property
    def recall(self) -> Recall:
        return Recall(self.cell.seq_len, self.cell.batch_size, self.cell.device)

    def exercises(self, task: str, size: str, length: int = 0) -> Exercises:
        return Exercises(task_named(task, size, length), self.cell.batch_size, self.cell.device)

    def train_readout(self, *_: Any, **__: Any) -> TrainResult:
        raise Unsupported(f"suite {self.cell.suite} is not sealed: it reads no hidden states")

    def readout(self, model: LanguageModel) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
        raise Unsupported(f"suite {self.cell.suite} is not sealed: it reads no hidden states")

    # Time and memory

    def train_step(self, model: LanguageModel) -> TrainStep:
        return TrainStep(self._hold_to_contract(model).train(), lr=1e-4, dtype=self.cell.dtype)

    def inference(self, model: LanguageModel) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
        self._hold_to_contract(model).eval()

        def forward(tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            with torch.inference_mode(), autocast(self.cell.device, self.cell.dtype):
                logits, after = model(tokens, state)
                return logits, after

        return forward

    def continuation(
        self, model: LanguageModel, state: Any,
    ) -> tuple[Callable[[Tensor, Any], tuple[Tensor, Any]], Callable[[], Any]]:
        self._hold_to_contract(model).eval()

        def forward(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
            with torch.inference_mode(), autocast(self.cell.device, self.cell.dtype):
                logits, after = model.advance(tokens, state)
                return logits, after

        return forward, lambda: beginning(model, state)

    def time(
        self, call: Callable[..., object], rounds: int = 0, *, inputs: Callable[[int], Any] | None = None,
        check: Check | None = None,
    ) -> list[float]:
        timed = Rounds(
            Clock(self.cell.device), self.turn, Inputs(inputs, self._secret) if inputs else None, check,
            torch.get_num_threads(), self._first_call_s)
        self._first_call_s = 0.0
        try:
            timed.run(call, rounds or self.cell.get("rounds") or FEW_ROUNDS)
        except OtherFunction as found:                      # of a model that never repeats itself it is no news
            if self.built is None or not any(
                    failure.check == "determinism" for failure in self._short_audit(self.built.model).failures):
                raise
            self._doubts.append(str(found))
        if timed.note:
            self._note(timed.note)
        if check and check.note:
            self._doubts.append(check.note)
        if timed.slow_start:
            self._add_slow_start(timed.slow_start)
        return timed.seconds

    def _add_slow_start(self, seconds: float) -> None:
        """To the row of the cell that tells of it."""
        told = next((row for row in self.rows if row.metric == SLOW_START), None)
        if told is None:
            self.row(SLOW_START, seconds, "s", "lower", reason="of calls before the rounds, beyond those of the rounds")
        else:
            told.value = (told.value or 0.0) + seconds

    def _short_audit(self, model: LanguageModel) -> AuditReport:
        cell = self.cell
        with self.turn():
            return audit_once(f"{cell.label} {cell.preset} {cell.params} {cell.state_bytes}", model, cell.device)

    def vouch(self, model: LanguageModel) -> None:
        report = self._short_audit(model)
        reasons = [*([] if report.passed else [report.summary()]), *self._doubts]
        for row in self.rows:
            row.audited = "no" if reasons else "yes"
            row.reason = "; ".join(filter(None, [row.reason, *(f"not audited: {reason}" for reason in reasons)]))

    def inference_check(self, model: LanguageModel, prefix: Tensor | None = None) -> InferenceCheck:
        return InferenceCheck(model, self.cell.dtype, self.cell.seq_len, prefix)

    def training_check(self, step: TrainStep) -> TrainingCheck:
        return TrainingCheck(step, self.cell.dtype, self.cell.seq_len)

    def time_cases(
        self, cases: dict[str, Callable[[], object]], rounds: int = 0, limit: float = math.inf,
    ) -> dict[str, list[float]]:
        rounds = rounds or self.cell.get("rounds") or FEW_ROUNDS
        return time_cases(cases, rounds, seed=self.cell.seed, clock=Clock(self.cell.device), limit=limit)

    def kernels(self) -> list[KernelCase]:
        return resolve(self.spec.kernels)(self.cell.device) if self.spec.kernels else []

    def circuits(self) -> Any:
        if not self.spec.circuits:
            raise Unsupported(f"skipped: {self.spec.name} has no circuits")
        return resolve(self.spec.circuits)(make_config(self.spec, self.options(), self.cell.preset))

    def peak_memory(
        self, call: Callable[[], object], short: Callable[[], object] | None = None, held: Iterable[Tensor] = (),
    ) -> dict[str, int]:
        if short is None or self.cell.device != "cpu":
            return peak(call, self.cell.device)
        release_memory()
        found, older = peak_of_all(peak_memory, call, short, list(held))
        if older:
            self._note(f"{older / 1e6:.0f} MB of a peak lie in memory that was held before")
        return {"process": found}

    def largest_length(
        self, call: Callable[[int], object], first: int, most: int, *, share: float = 1 / 32, step: int = 1,
        limit: float = math.inf,
    ) -> Largest:
        def fits(length: int) -> bool:
            try:
                call(length)
            except Exception as error:
                if classify(error)[0] != "oom":
                    raise
                return False
            finally:
                release_memory()
            return True

        return largest_that_fits(fits, first, most, share=share, step=step, limit=limit)

    def graphed(self, call: Callable[[], object]) -> Callable[[], object]:
        return graphed(call)

    def profile(self, call: Callable[[], object]) -> Operators:
        return profile(call, self.cell.device)

    def release_memory(self) -> None:
        release_memory()

    def state_bytes(self, state: Any) -> int:
        return state_bytes(state)

    def synchronize(self) -> None:
        if self.cell.device == "cuda":
            torch.cuda.synchronize()

    def bare_step(self, model: LanguageModel) -> Callable[[Tensor, Tensor], Tensor]:
        return bare_step(model, self.cell.device, self.cell.dtype)

    def tensor_bytes(self, tensors: Iterable[Tensor]) -> int:
        return sum(t.numel() * t.element_size() for t in {id(t): t for t in tensors}.values())

    def optimizer_bytes(self, step: TrainStep) -> int:
        return self.tensor_bytes(v for s in step.optimizer.state.values() for v in s.values() if isinstance(v, Tensor))

    def peak_name(self, what: str, method: str) -> str:
        headline = "allocated" if self.cell.device == "cuda" else "process"
        return f"{what}_bytes" if method == headline else f"{what}_{method}_bytes"

    def diagnostics(self, model: LanguageModel) -> dict[str, float]:
        tokens = self.tokenizer.encode(self.documents.heldout[0])[: self.cell.seq_len]
        self.inference(model)(torch.from_numpy(tokens.copy()).long()[None].to(self.cell.device), None)
        return model.diagnostics()

