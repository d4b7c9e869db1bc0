"""A training run of its own: from checked flags to weights on disk, to be stopped and resumed at any step.

Notable:
- a resumed run is the run that was never stopped: weights, optimiser, random state and place in the text are kept, and
  nothing that a clock decides (log lines, saving) touches them; under a budget in minutes the clock sets the rate;
- the schedule spans the budget, whether that is bytes, epochs, minutes, or whichever of them ends first;
- the best weights are chosen on a tenth of the training text: what `harness run` scores later has decided nothing;
- what happens is told as events, the lines of log.jsonl.
"""

from __future__ import annotations

import math
import os
import platform
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..audit.probe import ContractBroken, Probe
from ..build import Built, build
from ..checkpoint import BEST, CONFIG, LAST, Checkpoint, RunConfig, learned_digest, model_options
from ..data.batches import TrainStream, score_batches
from ..data.corpora import load_documents
from ..data.documents import Documents
from ..data.faithful import Faithful, encode_documents
from ..data.files import hold_out
from ..data.tokenizers import Tokenizer, learn, make_tokenizer, vocabulary
from ..data.windows import limit_documents
from ..errors import FileError, HarnessError, Unsupported, UsageError, one_line
from ..model import LanguageModel
from ..registry import current
from ..run.identity import model_digest
from ..run.training import Job
from .distributed import Ranks
from .measure import status_bytes
from .score import score
from .sharding import share_weights, whole
from .train import Recipe, make_step
from .weights import (
    RANDOM,
    hold_to_size,
    model_tensors,
    optimizer_tensors,
    read_tensors,
    restore_model,
    restore_optimizer,
    save,
)

VALIDATIONS = 10                        # in a run, equally far apart; the last one at its end
VALIDATION_BYTES = 32 << 10
SAVE_S = 300.0                          # the longest that a crash can cost, a validation and a step apart
LOG_S, LOG_SHARE, LOG_MAX_S = 1.0, 0.01, 10.0           # between two lines: this share of the time, within bounds

Event = dict[str, Any]


@dataclass(frozen=True)
class Position:
    """Where a run stands. `seconds` is all of its time, `share` the part of its budget that this is, `best` the lowest
    validation loss in bits per byte."""

    step: int = 0
    bytes_seen: int = 0
    tokens_seen: int = 0
    seconds: float = 0.0
    share: float = 0.0
    best: float = math.inf


@dataclass(frozen=True)
class Budget:
    """What a run may use; 0 is no limit."""

    bytes: float
    seconds: float

    def share(self, bytes_seen: int, seconds: float) -> float:
        """The part of the run that is over, at most 1."""
        parts = [used / limit for used, limit in ((bytes_seen, self.bytes), (seconds, self.seconds)) if limit]
        return min(1.0, max(parts))

    def left(self, bytes_seen: int, seconds: float) -> float:
        """Seconds to the end of the run at its mean pace."""
        estimates = [seconds * (self.bytes / bytes_seen - 1)] if self.bytes else []
        return max(0.0, min([*estimates, self.seconds - seconds] if self.seconds else estimates))


def split_validation(train: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Every tenth training document apart, or the last tenth of the only one."""
    if len(train) > 1:
        return hold_out(list(train), "")
    cut = len(train[0]) * 9 // 10
    return [train[0][:cut]], [train[0][cut:]]


class TrainingRun:
    """A model, its data and its place in both. Raises UsageError where batches cannot be shared or filled.

    Every event goes to the `listeners` of rank 0.
    """

    def __init__(self, job: Job, directory: Path, ranks: Ranks, listeners: Sequence[Callable[[Event], object]] = ()):
        self.job, self.directory, self.ranks = job, directory, ranks
        self.listeners = listeners if ranks.first else ()
        options = job.options
        if options.batch_size % (ranks.world * options.accumulate):
            raise UsageError(f"--batch-size {options.batch_size} is not a multiple of {ranks.world} processes x "
                             f"--accumulate {options.accumulate}")
        if options.rule == "local" and ranks.world > 1:
            raise UsageError("--rule local updates weights in place and runs in one process; start it without torchrun")
        self.documents: Documents = load_documents(*job.corpus)
        train, validation = split_validation(self.documents.train)
        self.learned = learn(*job.tokenizer, train) if job.learned is None else job.learned
        self.tokenizer: Tokenizer = Faithful(make_tokenizer(job.tokenizer[0], self.learned))
        self.validation = limit_documents(validation, VALIDATION_BYTES)
        self.stream = TrainStream(train, self.tokenizer, options.seq_len, options.batch_size, options.seed)
        self.budget = _budget(job, sum(map(len, train)))
        built = self._build()
        self.model: LanguageModel = built.model
        self.facts: Event = {"plugin": options.plugin, "params": built.count.non_embedding, "note": built.note}
        with self._forked_random(), torch.no_grad():
            _hold_to_contract(self.model, job.device)
        if options.fsdp:
            share_weights(self.model, ranks, job.device)
        recipe = Recipe(warmup=options.warmup, clip=options.clip)
        average = None if options.fsdp else ranks.average       # FSDP averages gradients as it shares them out
        shared: dict[str, Any] = {"accumulate": options.accumulate, "average": average}
        try:
            self.step = make_step(self.model, options.rule, lr=options.lr, dtype=options.dtype, recipe=recipe,
                                  **shared if options.rule == "backprop" else {})
        except Unsupported as error:                        # here it is the command line that asked for too much
            raise UsageError(str(error)) from None
        model = model_options(job.spec, built.config)
        self.config = RunConfig(
            "r" + uuid.uuid4().hex[:12], job.spec.name, str(job.tokenizer[1]), self.tokenizer.vocab_size,
            self.documents.sha256, model_digest(current(), job.spec, model), model, asdict(options),
            learned_digest(self.learned))
        self.position = Position()
        torch.manual_seed(options.seed + ranks.rank)

    def _build(self) -> Built:
        """A new model, or the one whose weights the run goes on with. Raises FileError where those are fewer."""
        job, newest = self.job, self.directory / LAST
        options, preset, params = dict(job.selector.options), job.options.size, job.params
        if job.trained is not None and newest.exists():
            hold_to_size(job.spec, job.trained, self.tokenizer.vocab_size, read_tensors(newest), newest)
            options, preset, params = dict(job.trained), "", 0
        return build(job.spec, options, self.tokenizer.vocab_size, preset=preset, params=params,
                     seed=job.options.seed, device=job.device, vocabulary=vocabulary(self.tokenizer))

    def begin(self) -> None:
        """Write what rebuilds this run beside its weights. Raises FileError."""
        if self.ranks.first:
            self.config.write(self.directory, self.learned)

    def resume(self, config: RunConfig) -> None:
        """Go on from the newest weights, or from the start where there are none.

        A longer run takes the rate that a run of its budget has there. Raises FileError for weights that are corrupt or
        do not fit, UsageError where text or processes are others, or the budget is used up.
        """
        if config.corpus_sha256 != self.documents.sha256:
            raise UsageError(f"the corpus {self.job.options.corpus} is not what {self.directory} was trained on")
        if config.model != self.config.model:
            raise FileError(f"{self.directory / CONFIG} contradicts itself: its flags give another model than it names")
        if config.code != self.config.code:
            self.facts["note"] = f"the source of {config.plugin} has changed since this run began"
        self.config = config
        path = self.directory / LAST
        if not path.exists():
            return
        newest = Checkpoint(str(path), path, config)
        world, tensors = int(newest.fact("world")), read_tensors(path)
        if f"{RANDOM}cpu" not in tensors:
            raise FileError(f"{path} holds weights alone; nothing can go on from it exactly")
        if world != self.ranks.world:
            raise UsageError(f"{self.directory} runs on {world} processes, not {self.ranks.world}")
        restore_model(self.model, tensors, path)
        try:
            if optimizer := getattr(self.step, "optimizer", None):
                restore_optimizer(optimizer, tensors)
            random = {
                name: states[self.ranks.rank].clone() for name, states in tensors.items() if name.startswith(RANDOM)}
            torch.set_rng_state(random[f"{RANDOM}cpu"])     # which may crash on a row of a larger tensor
            if self._on_cuda and f"{RANDOM}cuda" in random:
                torch.cuda.set_rng_state(random[f"{RANDOM}cuda"], self.job.device)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise FileError(f"{path} is corrupt: {one_line(error)}") from None
        self.position = Position(
            int(newest.fact("step")), int(newest.fact("bytes_seen")), int(newest.fact("tokens_seen")),
            newest.fact("seconds"), newest.fact("share"), newest.fact("best"))
        if self.job.longer:
            self._lengthen()
        self.stream.skip(self.position.step)

    def _lengthen(self) -> None:
        """Put the run where it stands within its larger budget, and say so."""
        at = self.position
        share = self.budget.share(at.bytes_seen, at.seconds)
        if share >= 1:
            raise UsageError(f"{self.directory} has used up that budget, {at.bytes_seen} bytes in {at.seconds:.0f} s; "
                             "it goes on with a larger one")
        self.position = replace(at, share=share)
        longer = f"a larger budget, {share:.0%} of which is used; the learning rate is the one of its schedule there"
        self.facts["note"] = "; ".join(filter(None, [self.facts.get("note", ""), longer]))

    def run(self, stop: Callable[[], bool]) -> str:
        """Train to the end of the budget: "finished", "diverged", or "interrupted" once `stop()` is true."""
        self.tell({"event": "start", "pid": os.getpid(), "host": platform.node(), "step": self.position.step,
                   "device": self.job.device, "dtype": self.job.options.dtype, "world": self.ranks.world,
                   "validation_bytes": sum(map(len, self.validation)), **self.facts})
        outcome = self._loop(stop)
        at = self.position
        self.tell({"event": "end", "outcome": outcome, "step": at.step, "bytes": at.bytes_seen, "seconds": at.seconds,
                   "best": at.best})
        return outcome

    def _loop(self, stop: Callable[[], bool]) -> str:
        begun = time.perf_counter() - self.position.seconds
        last = 0.0                                                                  # seconds of the step before
        logged = saved = self.position
        bits = torch.zeros((), dtype=torch.float64, device=self.job.device)         # since the last line of the log
        self.model.train()
        while self.position.share < 1:
            inputs, targets, size = next(self.stream)
            now = time.perf_counter() - begun
            share, *decisions = self.ranks.decided([
                self.budget.share(self.position.bytes_seen + size, now + last), stop(), now - saved.seconds >= SAVE_S,
                now - logged.seconds >= min(LOG_MAX_S, max(LOG_S, LOG_SHARE * now)) or logged.step == 0])
            interrupted, save_due, log_due = map(bool, decisions)
            validation_due = math.floor(share * VALIDATIONS) > math.floor(self.position.share * VALIDATIONS)
            lr = self.job.options.lr * self.step.recipe.scale(share)
            self.step.set_lr(lr)
            loss = self.step(*(self.ranks.share(x).to(self.job.device, non_blocking=True) for x in (inputs, targets)))
            bits += loss.double() * (targets.numel() / self.ranks.world / math.log(2))
            last = time.perf_counter() - begun - now
            at = self.position
            self.position = Position(
                at.step + 1, at.bytes_seen + size, at.tokens_seen + targets.numel(), now + last, share, at.best)
            if not (log_due or validation_due or save_due or interrupted):
                continue
            total = self.ranks.sum(bits).item()
            self._log(logged, total, lr)
            if not math.isfinite(total):
                return "diverged"
            if validation_due:
                self._validate()
            self.position = replace(self.position, seconds=time.perf_counter() - begun)
            if validation_due or save_due or interrupted:
                self._save_last()
                saved = self.position
            if interrupted:
                return "interrupted"
            bits.zero_()
            logged = replace(self.position, seconds=time.perf_counter() - begun)
        return "finished"

    def tell(self, event: Event) -> None:
        for listen in self.listeners:
            listen(event)

    def _forked_random(self) -> AbstractContextManager[None]:
        """Within it draws leave the random state alone."""
        return torch.random.fork_rng([self.job.device] if self._on_cuda else [])

    @property
    def _on_cuda(self) -> bool:
        return self.job.device.startswith("cuda")

    def _log(self, before: Position, bits: float, lr: float) -> None:
        at = self.position
        seconds, tokens = at.seconds - before.seconds, at.tokens_seen - before.tokens_seen
        self.tell({
            "event": "train", "step": at.step, "bytes": at.bytes_seen, "seconds": at.seconds, "share": at.share,
            "bits_per_byte": bits / max(1, at.bytes_seen - before.bytes_seen), "loss": bits * math.log(2) / tokens,
            "left_s": self.budget.left(at.bytes_seen, at.seconds), "lr": lr,
            "tokens_per_s": tokens / seconds if seconds > 0 else None, "memory_bytes": self._memory_bytes()})

    def _memory_bytes(self) -> int | None:
        """Peak of the allocator on CUDA, resident memory of the process on a CPU."""
        if self._on_cuda:
            return torch.cuda.max_memory_allocated(self.job.device)
        try:
            return status_bytes("VmRSS")
        except (OSError, Unsupported):
            return None

    def _validate(self) -> None:
        """Score the validation text, leaving the random state alone; keep the weights if they are the best so far."""
        options = self.job.options
        tokens = encode_documents(self.tokenizer, self.validation, "validation")
        batches = score_batches(tokens, self.tokenizer.bos, options.seq_len, batch_size=options.batch_size)
        with self._forked_random():
            found = score(self.model, batches, token_bytes=self.tokenizer.token_bytes, dtype=options.dtype,
                          device=self.job.device).bits_per_byte
        best = self.ranks.decided([float(found < self.position.best)])[0] > 0
        at = self.position = replace(self.position, best=found if best else self.position.best)
        self.tell({
            "event": "validation", "step": at.step, "bytes": at.bytes_seen, "bits_per_byte": found, "best": best})
        if best:
            self._save(BEST, {}, bits_per_byte=found)

    def _save_last(self) -> None:
        random = {f"{RANDOM}cpu": self.ranks.gathered(torch.get_rng_state())}
        if self._on_cuda:
            random[f"{RANDOM}cuda"] = self.ranks.gathered(torch.cuda.get_rng_state(self.job.device))
        optimizer = getattr(self.step, "optimizer", None)
        self._save(LAST, random | (optimizer_tensors(optimizer) if optimizer else {}))
        self.ranks.wait()

    def _save(self, name: str, further: dict[str, Tensor], **metadata: object) -> None:
        tensors = whole({**model_tensors(self.model), **further})
        if not self.ranks.first:
            return
        facts = {"run_id": self.config.run_id, "world": self.ranks.world, **asdict(self.position), **metadata}
        save(self.directory / name, tensors, facts)
        self.tell({"event": "checkpoint", "step": self.position.step, "file": name})


def _hold_to_contract(model: LanguageModel, device: str) -> None:
    """One short call before training begins. Raises HarnessError where the model breaks the contract."""
    try:
        Probe(model.eval(), torch.device(device), "float32")(torch.zeros(2, 3, dtype=torch.int64, device=device))
    except ContractBroken as broken:
        raise HarnessError(f"the model breaks the contract: {broken.detail}") from broken


def _budget(job: Job, train_bytes: int) -> Budget:
    """The limits of a job; one epoch where none is set. An epoch is as many bytes as the training text has."""
    options = job.options
    limits = [limit for limit in (job.budget_bytes, options.epochs * train_bytes) if limit]
    if not limits and not options.minutes:
        limits = [train_bytes]
    return Budget(min(limits, default=0), 60 * options.minutes)
