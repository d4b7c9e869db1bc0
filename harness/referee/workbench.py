"""The workbench of a sealed cell: the suite, the text, the loss, the clock and the rows are here, the model is not.

Three rooms are forked before anything is read. Two are built and locked first, and know nothing of the training; the
third trains and is scored. Held-out text reaches it when its weights have been taken, and the others only up to the
places that they are asked about.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..audit.findings import AuditReport
from ..bench.exercises import Exercises
from ..bench.limits import Flops, Phase
from ..bench.readout import Readout
from ..bench.recall import Recall
from ..bench.score import Score, target_losses
from ..bench.search import Trial
from ..bench.train import Batch, TrainResult
from ..bench.weights import hold_to_vocabulary, read_tensors
from ..bench.workbench import TorchWorkbench
from ..data.abilities.sizes import task_named
from ..data.batches import ScoreBatch, uniform_tokens
from ..data.corpora import DEFAULT, load_documents
from ..data.faithful import Faithful
from ..data.tokenizers import Tokenizer, vocabulary
from ..errors import Unsupported
from ..registry import load
from ..selector import parse_selector
from ..untrusted import Count, held_to
from .given import REMEMBERED, Given
from .ledger import Ledger, everywhere
from .resident import Lease
from .room import Room, RoomFailed
from .rooms import Rooms
from .seal import Sealed, check
from .sources import texts_among_libraries, texts_of
from .taken import Weights, take
from .tokenizer import TokenizerAway
from .trainee import TraineeAway

SHARE, MOST_SECONDS, LEAST_SECONDS = 0.07, 15.0, 0.5        # of the cell's time so far; of a check
ANSWER_SECONDS = 120.0
IDLE_STEPS = 6                          # of training at rate 0, beside the first


@dataclass(frozen=True)
class Away:
    """A model in another process."""

    number: int


class SealedWorkbench(TorchWorkbench):
    """One cell's tools, the model behind a wall. Its models are `Away`."""

    def __init__(self, plugin_files: Sequence[str], notes: Sequence[str], *arguments: Any):
        self.rooms = Rooms(self._note)
        super().__init__(*arguments)
        self.plugin_files = plugin_files
        own = not self.cell.tokenizer or parse_selector(self.cell.tokenizer).name in self.registry.tokenizers
        self.tokenizer_room = None if own else Room()
        for note in notes:
            self._note(note)
        self._take_in_foreign_code()
        self.ledger, self.weights = Ledger(), dict[int, Weights]()      # of models that were trained
        self.begun = dict[int, Weights]()                               # as they were built
        self.practice: list[tuple[Tensor, Tensor]] = []                 # the first batches of the last training
        self.asked_how = "infer"                                        # what the ledger is of, unless it was scored
        self.searching = False                              # nothing is scored then, so one fresh room is enough
        self.sealing = 0.0                                  # seconds

    def _take_in_foreign_code(self) -> None:
        """A corpus of another plugin is code that has to run here, beside the text."""
        text = self.cell.corpus
        if text and parse_selector(text, argument=True).name not in self.registry.corpora:
            self.registry = load([Path(file) for file in self.plugin_files])
            self._note(f"the code of {text} ran beside the referee")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        if self.tokenizer_room is None:
            return super().tokenizer
        room = self.tokenizer_room
        opened = room.call("open_tokenizer", self.cell.tokenizer, list(self.plugin_files),
                           [str(path) for path in self._hidden()], str(room.folder))
        for missing in held_to(opened["notes"], list[str]):
            self._note(f"not enforced here: {missing}")
        return Faithful(TokenizerAway(room, self._training, held_to(opened["learns"], bool)))

    def _training(self) -> tuple[Sequence[bytes] | None, Any]:
        """What a tokenizer learns from: documents, or what it has learned before."""
        if self.checkpoint:
            return None, self.checkpoint.learned
        documents = self.documents if self.cell.corpus else load_documents(*self.registry.corpus(DEFAULT))
        return documents.train, None

    @cached_property
    def learned(self) -> Any:
        if self.tokenizer_room is None:
            return super().learned
        away = cast(TokenizerAway, cast(Faithful, self.tokenizer).own)
        return away.learned

    def close(self) -> None:
        """End the rooms."""
        self.rooms.close()
        if self.tokenizer_room:
            self.tokenizer_room.close()

    # The model

    @cached_property
    def home(self) -> Room:
        """The room that trains and is scored."""
        cell, stored = self.cell, self.checkpoint
        if stored:
            hold_to_vocabulary(stored, self.tokenizer)
        lease = Lease(
            cell.plugin, self.spec.target, list(self.plugin_files),
            dict(stored.config.model) if stored else self.options(), vocabulary(self.tokenizer), "",
            [str(path) for path in self._hidden()], False, cell.preset, cell.params, cell.state_bytes, cell.seq_len,
            cell.device, cell.dtype, str(stored.weights) if stored else "")
        self.rooms.make_ready(lease, self._stored, fresh=1 if self.searching else len(self.rooms.fresh))
        self.sealing += self.rooms.seconds
        return self.rooms.scored

    def _hidden(self) -> list[Path]:
        """Where the text of the cell lies: its corpus is not the model's to read."""
        own = texts_of(self.registry.corpus(self.cell.corpus)[1]) if self.cell.corpus else []
        return [*texts_among_libraries(), *own]

    @cached_property
    def _stored(self) -> dict[str, Tensor] | None:
        return read_tensors(self.checkpoint.weights) if self.checkpoint else None

    def build(self, seed: int | None = None, choice: str = "") -> Any:
        facts = self.home.call("build", self.cell.seed if seed is None else seed, self._stored, self._form(choice))
        if choice and facts["options"] is not None:
            self._solved[choice] = held_to(facts["options"], dict[str, str])
        if "params" not in self._facts:
            self._facts |= {"params": held_to(facts["non_embedding"], Count),
                            "params_embedding": held_to(facts["embedding"], Count)}
        model = Away(held_to(facts["number"], int))
        self.begun[model.number] = take(self.home, model.number)
        if self.checkpoint:
            self.weights[model.number] = self.begun[model.number]
        return model

    def _form(self, choice: str) -> dict[str, Any] | None:
        """Of the lease, what is another for a choice: its options, and the size unless that was solved for before."""
        cell = self.cell
        if choice in self._solved:
            return {"options": self._solved[choice], "preset": "", "params": 0, "state_bytes": 0}
        return {"options": self.options(choice), "preset": cell.preset, "params": cell.params,
                "state_bytes": cell.state_bytes} if choice else None

    def flops(self, model: Any, batch: int, seq_len: int, phase: Phase) -> Flops:
        return held_to(self.home.call("flops", model.number, batch, seq_len, phase), Flops)

    # Quality

    def tokens(self, batch: int, seq_len: int, seed: int = 0) -> Tensor:
        return uniform_tokens(self.tokenizer.vocab_size, batch, seq_len, seed)

    @cached_property
    def recall(self) -> Recall:
        return Recall(self.cell.seq_len, self.cell.batch_size)

    def exercises(self, task: str, size: str, length: int = 0) -> Exercises:
        return Exercises(task_named(task, size, length), self.cell.batch_size)

    def search(self, *given: Any, **named: Any) -> list[Trial]:
        self.searching = True
        return super().search(*given, **named)

    def _drop(self, model: Any) -> None:
        self.home.call("drop", model.number)
        del self.begun[model.number], self.weights[model.number]

    def train(
        self, model: Any, lr: float, budget_bytes: int, heldout: Sequence[bytes] = (),
        stream: Callable[[int], Iterable[Batch]] | None = None, seed: int | None = None,
    ) -> TrainResult:
        unit = "bits/answer" if stream else "bits/byte"
        given = Given((stream or self.stream)(self.cell.seed if seed is None else seed), budget_bytes)
        result = self._trained(model, given, unit, "train", lr, budget_bytes, self.cell.dtype, bool(heldout))
        if heldout and not result.diverged:
            result.validation = [(seen, self._curve_point(model, index, heldout))
                                 for index, (seen, _) in enumerate(result.validation)]
        return result

    def _trained(self, model: Any, given: Given, unit: str, command: str, *arguments: Any) -> TrainResult:
        """What a command that trains leads to, on the batches that are given."""
        started = time.perf_counter()
        claimed = self.home.call(command, model.number, *arguments, answers={
            "batch": given.batch,
            "progress": lambda seen, bits: self.progress(f"{seen / given.budget:.0%}, {bits:.3f} {unit}")})
        self.practice = given.first
        result = held_to(claimed, TrainResult)
        result.seconds = time.perf_counter() - started
        result.bytes_seen, result.tokens_seen, result.steps = given.bytes, given.tokens, given.steps
        self.weights[model.number] = take(self.home, model.number)
        return result

    def train_readout(
        self, model: Any, lr: float, budget_bytes: int, stream: Callable[[int], Iterable[Batch]],
        seed: int | None = None,
    ) -> TrainResult:
        seed = self.cell.seed if seed is None else seed
        given = Given(stream(seed), budget_bytes)
        try:
            return self._trained(model, given, "bits/answer", "train_readout", lr, budget_bytes, self.cell.dtype,
                                 self.cell.seq_len, seed)
        except RoomFailed as failed:
            if failed.status == Unsupported.status:
                raise Unsupported(str(failed)) from None
            raise

    def readout(self, model: Any) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
        self.ledger, self.asked_how = Ledger(), "hidden"
        ledger, tensors = self.ledger, held_to(self.home.call("readout", model.number), dict[str, Tensor])
        width = tensors["first.weight"].shape[-1] if "first.weight" in tensors else 0
        away = Readout(width, self.cell.seq_len, self.tokenizer.vocab_size)
        try:
            away.load_state_dict(tensors)
        except (RuntimeError, TypeError) as error:
            raise RoomFailed(f"its readout is none: {error}", "error") from None

        def forward(tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            hidden, after = self.home.call("forward", model.number, tokens, state, "hidden")
            shape = tuple(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
            if shape != (*tokens.shape, width):
                raise RoomFailed(f"hidden states of shape {shape}, not {(*tokens.shape, width)}", "audit_failed")
            ledger.note(tokens, hidden, everywhere(tokens), ["a text"] * len(tokens))
            with torch.no_grad():
                return away(hidden[:, -1].float()), after

        return forward

    def trainee(self, model: Any) -> TraineeAway:
        return TraineeAway(self.home, model.number)

    def train_branch(self, model: Any, *arguments: Any, **options: Any) -> TrainResult:
        result = super().train_branch(model, *arguments, **options)
        self.weights[model.number] = take(self.home, model.number)
        self.practice = [batch[:2] for batch in itertools.islice(self.stream(self.cell.seed), REMEMBERED)]
        return result

    def _curve_point(self, model: Any, index: int, heldout: Sequence[bytes]) -> float:
        """Bits per byte with the weights of a moment of the training, which is over by now."""
        self.home.call("use", model.number, index)
        return self._scored(model, heldout, None).bits_per_byte

    def audit(
        self, model: Any, lengths: Sequence[int], *, jitter: float = 0.0, text: bool = True,
        sample: Tensor | None = None,
    ) -> AuditReport:
        sample = self.audit_sample(max(lengths)) if sample is None and text else sample
        found = self.home.call("examine", model.number, list(lengths), self.cell.seed, sample, jitter)
        report = held_to(found, AuditReport)
        self.note_rounding(report)
        return report

    def score(self, model: Any, documents: Sequence[bytes], window: int = 0, further: bool = False) -> Score:
        if not further:
            self.ledger = Ledger()
        return self._scored(model, documents, self.ledger, window)

    def _scored(self, model: Any, documents: Sequence[bytes], ledger: Ledger | None, window: int = 0) -> Score:
        def forward(batch: ScoreBatch) -> Tensor:
            logits: Tensor = self._forward(model, batch.inputs, None, "score")[0]
            if ledger:
                names = [f"held-out document {document}" for document in batch.document.tolist()]
                ledger.note(batch.inputs, logits, batch.mask, names, batch.targets)
            return logits

        return target_losses(forward, self._windows(documents, window), token_bytes=self.tokenizer.token_bytes)

    def inference(self, model: Any) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
        self.ledger = ledger = Ledger()
        self.asked_how = "infer"

        def forward(tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            logits, after = self._forward(model, tokens, state, "infer")
            if state is None:
                ledger.note(tokens, logits, everywhere(tokens), ["a text"] * len(tokens))
            else:
                ledger.note_call(tokens, state, logits)
            return logits, after

        return forward

    def _forward(self, model: Any, tokens: Tensor, state: Any, how: str) -> tuple[Tensor, Any]:
        logits, after = self.home.call("forward", model.number, tokens, state, how)
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if shape != (*tokens.shape, self.tokenizer.vocab_size):
            raise RoomFailed(f"logits of shape {shape} for {tuple(tokens.shape)} tokens of "
                             f"{self.tokenizer.vocab_size}", "audit_failed")
        return logits, after

    def diagnostics(self, model: Any) -> dict[str, float]:
        tokens = self.tokenizer.encode(self.documents.heldout[0])[: self.cell.seq_len]
        found = self.home.call("diagnostics", model.number, torch.from_numpy(tokens.copy()).long()[None])
        return held_to(found, dict[str, float])

    def keep(self, model: Any, bytes_seen: int) -> int:
        return self.keep_tensors(self.weights[model.number].tensors, self.rooms.solved, bytes_seen)

    # The check

    def seal(self, model: Any) -> Sealed:
        started = time.monotonic()
        taken = self.weights[model.number]
        how = "score" if self.ledger.places and self.ledger.places[0].target is not None else self.asked_how
        self.rooms.wake()
        try:
            self._recount(model, taken)
            for room in self.rooms.fresh if not self.checkpoint else ():         # else they have what was stored
                room.call("restore", 0, taken.tensors)
            elapsed = time.monotonic() - self._started
            seconds = min(MOST_SECONDS, max(LEAST_SECONDS, SHARE * elapsed - self.sealing))
            sealed = check([_asked(room) for room in self.rooms.fresh], self.ledger.places, self.ledger.calls,
                           self.tokenizer.vocab_size, how=how, seconds=seconds, secret=self.ledger.secret,
                           dtype="float32" if how == "score" else self.cell.dtype)
            if sealed.passed and self.practice:
                sealed = self._idle_steps(sealed)
        except RoomFailed as failed:
            if failed.status == "oom":
                raise
            sealed = Sealed(0, 0.0, f"in a fresh process, {failed}")
        self.sealing += time.monotonic() - started
        if sealed.note:
            self._note(sealed.note)
        self._facts["audited"] = "yes" if sealed.passed else "no"
        for row in self.rows:
            row.audited = row.audited or self._facts["audited"]
        if sealed.passed:
            self.row("sealed_places", sealed.places, "places", phase="score")
            self.row("sealed_unseen_share", sealed.unseen, "of targets", "lower", phase="score")
        self.row("sealed_seconds", self.sealing, "s", "lower", phase="score")
        return sealed

    def _recount(self, model: Any, taken: Weights) -> None:
        """Count what a fresh process needs beside the source: parameters, and buffers that training has moved."""
        moved = [name for name in taken.moved(self.begun[model.number]) if name not in taken.parameters]
        total, embedding = taken.count(taken.parameters), taken.count(taken.embedding)
        if moved and not self.checkpoint:
            self._note(f"buffers that training moved count as parameters: {taken.count(moved):,} numbers")
            total += taken.count(moved)
        self._facts |= {"params": total - embedding, "params_embedding": embedding}
        for row in self.rows:
            row.params, row.params_embedding = total - embedding, embedding

    def _idle_steps(self, sealed: Sealed) -> Sealed:
        """Steps of training at learning rate 0 move no parameter, unless the model trains itself on the side. The first
        may settle what forward itself holds to a bound, norms say."""
        room = self.rooms.fresh[-1]
        batches = itertools.cycle(self.practice)
        room.call("step", 0, *next(batches), 0.0)
        settled = take(room, 0)
        for _ in range(IDLE_STEPS):
            room.call("step", 0, *next(batches), 0.0)
        moved = [name for name in settled.moved(take(room, 0)) if name in settled.parameters]
        if not moved:
            return sealed
        return Sealed(sealed.places, sealed.seconds, f"a step of training at learning rate 0 moves "
                      f"{settled.count(moved)} parameters: the model trains itself within forward")


def _asked(room: Room) -> Callable[[Tensor, Any, str], tuple[Tensor, Any]]:
    def ask(tokens: Tensor, state: Any, how: str) -> tuple[Tensor, Any]:
        logits, after = room.call("forward", 0, tokens, state, how, seconds=ANSWER_SECONDS)
        return logits, after

    return ask
