"""What a cell's model costs: seconds in rounds with other cells, operators, bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..audit.findings import AuditReport
from ..model import LanguageModel, state_bytes
from ..run.failures import classify
from .cell_models import CellModels
from .continuation import held_bytes
from .graphs import graphed
from .holdings import peak_of_all
from .largest import Largest, largest_that_fits
from .measure import Clock, peak, peak_memory, release_memory, time_cases
from .operators import Operators, profile
from .rechecks import InferenceCheck, OtherFunction, TrainingCheck
from .rounds import Check, Inputs, Rounds
from .train import TrainStep
from .vouching import audit_once

FEW_ROUNDS = 11
SLOW_START = "slow_start_s"


class CellCosts(CellModels):
    """Time and memory."""

    _secret: int                                            # of the timing group: its inputs are drawn by it
    _doubts: list[str]                                      # of the function that was timed

    def time(
        self, call: Callable[..., object], rounds: int = 0, *, inputs: Callable[[int], Any] | None = None,
        check: Check | None = None,
    ) -> list[float]:
        timed = Rounds(
            Clock(self.cell.device), self.turn, Inputs(inputs, self._secret) if inputs else None, check,
            torch.get_num_threads(), self._first_call_s)
        self._first_call_s = 0.0
        with self._doubting(check):
            timed.run(call, rounds or self.cell.get("rounds") or FEW_ROUNDS)
        if timed.note:
            self._note(timed.note)
        if timed.slow_start:
            self._add_slow_start(timed.slow_start)
        return timed.seconds

    @contextmanager
    def _doubting(self, check: Check | None) -> Iterator[None]:
        """What a check finds is told in every row, unless it is a failure of the cell."""
        try:
            yield
        except OtherFunction as found:                      # of a model that never repeats itself it is no news
            if self.built is None or not any(
                    failure.check == "determinism" for failure in self._short_audit(self.built.model).failures):
                raise
            self._doubts.append(str(found))
        if check and check.note:
            self._doubts.append(check.note)

    def _add_slow_start(self, seconds: float) -> None:
        """To the row of the cell that tells of it."""
        told = next((row for row in self.rows if row.metric == SLOW_START), None)
        if told is None:
            self.row(SLOW_START, seconds, "s", "lower", reason="of calls before the rounds, beyond those of the rounds")
        else:
            told.value = (told.value or 0.0) + seconds

    def inference_check(self, model: LanguageModel, prefix: Tensor | None = None) -> InferenceCheck:
        return InferenceCheck(model, self.cell.dtype, self.cell.seq_len, prefix)

    def training_check(self, step: TrainStep) -> TrainingCheck:
        return TrainingCheck(step, self.cell.dtype, self.cell.seq_len)

    def check_step(self, step: TrainStep, inputs: Tensor, targets: Tensor) -> None:
        check, given = self.training_check(step), (inputs, targets)
        with self._doubting(check):
            try:
                check.begin()
                check.arm()
                check.take(0, given, step(*given))
                check.end()
            except (torch.OutOfMemoryError, MemoryError) as error:
                check.note = f"no step was looked at: {type(error).__name__}"

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

    def time_cases(
        self, cases: dict[str, Callable[[], object]], rounds: int = 0, limit: float = math.inf,
    ) -> dict[str, list[float]]:
        rounds = rounds or self.cell.get("rounds") or FEW_ROUNDS
        return time_cases(cases, rounds, seed=self.cell.seed, clock=Clock(self.cell.device), limit=limit)

    def graphed(self, call: Callable[[], object]) -> Callable[[], object]:
        return graphed(call)

    def profile(self, call: Callable[[], object]) -> Operators:
        return profile(call, self.cell.device)

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

    def peak_name(self, what: str, method: str) -> str:
        headline = "allocated" if self.cell.device == "cuda" else "process"
        return f"{what}_bytes" if method == headline else f"{what}_{method}_bytes"

    def tensor_bytes(self, tensors: Iterable[Tensor]) -> int:
        return sum(t.numel() * t.element_size() for t in {id(t): t for t in tensors}.values())

    def optimizer_bytes(self, step: TrainStep) -> int:
        return self.tensor_bytes(v for s in step.optimizer.state.values() for v in s.values() if isinstance(v, Tensor))

    def state_bytes(self, state: Any) -> int:
        return state_bytes(state)

    def held_bytes(self, state: Any) -> int:
        return held_bytes(state)

    def release_memory(self) -> None:
        release_memory()

    def synchronize(self) -> None:
        if self.cell.device == "cuda":
            torch.cuda.synchronize()
