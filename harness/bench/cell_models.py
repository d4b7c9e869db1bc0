"""The models of a cell: built at the size that was solved for, counted, held to their contract, called."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..build import Built, build, hold_to_count
from ..data.tokenizers import vocabulary
from ..errors import Unsupported
from ..model import LanguageModel, ParameterCount
from ..options import make_config
from ..selector import options_in
from ..sizing import count_on_meta, match_parameters
from ..specs import KernelCase, resolve
from .bare import bare_step
from .cell_data import CellData
from .continuation import beginning
from .contract import hold_to_contract
from .limits import Flops, Phase, model_flops
from .operations import counted, disagreement
from .train import TrainStep, autocast


class CellModels(CellData):
    """Models, and calls of them in the cell's precision."""

    built: Built | None                                     # the first one
    chosen: str                                             # options beside those of the cell
    _solved: dict[str, Any]                                 # configs by choice
    _counted: dict[int, int]                                # operations of a forward pass by length
    _unproven: bool                                         # no model was held to the contract yet
    _first_call_s: float                                    # what that took, until a clock has heard of it

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

    def kernels(self) -> list[KernelCase]:
        return resolve(self.spec.kernels)(self.cell.device) if self.spec.kernels else []

    def circuits(self) -> Any:
        if not self.spec.circuits:
            raise Unsupported(f"skipped: {self.spec.name} has no circuits")
        return resolve(self.spec.circuits)(make_config(self.spec, self.options(), self.cell.preset))

    def train_step(self, model: LanguageModel) -> TrainStep:
        return TrainStep(self._hold_to_contract(model).train(), lr=1e-4, dtype=self.cell.dtype)

    def bare_step(self, model: LanguageModel) -> Callable[[Tensor, Tensor], Tensor]:
        return bare_step(model, self.cell.device, self.cell.dtype)

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

    def diagnostics(self, model: LanguageModel) -> dict[str, float]:
        tokens = self.tokenizer.encode(self.documents.heldout[0])[: self.cell.seq_len]
        self.inference(model)(torch.from_numpy(tokens.copy()).long()[None].to(self.cell.device), None)
        return model.diagnostics()
