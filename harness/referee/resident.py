"""What runs in a room: the plugin's model, and the commands that the referee gives it.

Nothing here can be trusted once the plugin is imported: what a command returns is a claim, which the referee holds
against what fresh rooms say.
"""

from __future__ import annotations

import contextlib
import copy
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..audit.auditor import audit
from ..bench.contract import hold_to_contract
from ..bench.limits import Phase, model_flops
from ..bench.readout import Readout, autoencoder
from ..bench.train import TrainStep, autocast, train
from ..bench.trainee import Trainee
from ..bench.weights import build_stored, model_tensors, restore_model
from ..build import build, hold_to_count
from ..checkpoint import model_options
from ..errors import PluginError, UsageError
from ..model import LanguageModel
from ..registry import load
from ..run.failures import classify
from ..specs import require
from . import wall
from .sources import caches, importable
from .tokenizing import Tokenizing
from .wire import decode, encode


@dataclass(frozen=True)
class Lease:
    """What a room is told of its model: no text and no targets."""

    plugin: str
    target: str
    plugin_files: list[str]
    options: dict[str, str]
    vocabulary: list[bytes]
    folder: str                         # the empty folder that it may write to
    hidden: list[str] = field(default_factory=list)     # what of the libraries it must not read
    caches: bool = False                # whether compiled kernels may be kept beside their source
    preset: str = ""
    params: int = 0
    state_bytes: int = 0
    seq_len: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    stored: str = ""                    # where the weights come from, that are no fresh ones; the options are theirs


def tell(connection: Connection, pid: int) -> None:
    """The first message: which process serves."""
    connection.send_bytes(encode(pid))


def connected(descriptor: int, threads: int) -> None:
    """Serve whoever is at the other end, from a process that was started anew."""
    torch.set_num_threads(threads)
    connection = Connection(descriptor)
    tell(connection, os.getpid())
    serve(connection, [])


def serve(connection: Connection, notes: list[str]) -> None:
    resident = Resident(connection, notes)
    with contextlib.suppress(EOFError, OSError):
        while True:
            name, *given = decode(connection.recv_bytes(), own=True)
            try:
                message = encode(["done", getattr(resident, name)(*given)])
            except BaseException as error:              # whatever a plugin raises
                traceback.print_exception(error)
                message = encode(["failed", *classify(error, resident.module)])
            sys.stdout.flush()
            sys.stderr.flush()
            connection.send_bytes(message)


class Resident:
    """The commands. Models go by number."""

    def __init__(self, connection: Connection, notes: list[str]):
        self.connection, self.notes = connection, notes
        self.models: list[LanguageModel | None] = []
        self.exact: dict[int, LanguageModel] = {}       # float64 copies
        self.snapshots: list[dict[str, Tensor]] = []
        self.trainees: dict[int, Trainee] = {}
        self.readouts: dict[int, Readout] = {}
        self.module = ""

    def ask(self, name: str, *given: Any) -> Any:
        self.connection.send_bytes(encode(["ask", name, *given]))
        return decode(self.connection.recv_bytes(), own=True)

    def model(self, number: int) -> LanguageModel:
        found = self.models[number]
        assert found is not None
        return found

    def open(self, lease: dict[str, Any]) -> list[str]:
        """Build the wall, then import the plugin. Returns what the system does not enforce, in words."""
        self.lease = one = Lease(**lease)
        files = [Path(file) for file in one.plugin_files]
        self.notes += wall.build_wall(importable(files), [Path(path) for path in one.hidden], Path(one.folder),
                                      caches(one.target) if one.caches else ())
        registry = load(files)
        spec = registry.models.get(one.plugin)
        if spec is None:
            reasons = [b.reason for b in registry.broken.values()]
            raise PluginError(f"{one.plugin} did not load in the worker: {'; '.join(reasons) or 'not registered'}")
        require(spec)
        self.spec, self.module = spec, spec.target.partition(":")[0]
        return self.notes

    def build(
        self, seed: int, tensors: Mapping[str, Tensor] | None = None, form: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A model of the lease, with fresh weights or `tensors`. Its number and the facts of its building. `form` are
        fields of the lease that are others for this model."""
        one = replace(self.lease, **form or {})
        if one.stored:
            built = build_stored(self.spec, one.options, one.vocabulary, tensors or {}, one.stored, one.device)
        else:
            built = build(self.spec, one.options, len(one.vocabulary), preset=one.preset, params=one.params,
                          state_bytes=one.state_bytes, seq_len=one.seq_len, seed=seed, device=one.device,
                          vocabulary=one.vocabulary)
        if not self.models or form:
            hold_to_count(self.spec, built)
            hold_to_contract(built.model, self.spec, one.options, one.device, solved=not (one.stored or one.preset))
        self.models.append(built.model)
        return {"number": len(self.models) - 1, "note": built.note, "options": self._options(built.config),
                "non_embedding": built.count.non_embedding, "embedding": built.count.embedding}

    def _options(self, config: Any) -> dict[str, str] | None:
        """The options that rebuild a config, None where there are none: whoever is told them need not solve again."""
        try:
            return model_options(self.spec, config)
        except UsageError:
            return None

    def drop(self, number: int) -> None:
        self.models[number] = None
        self.trainees.pop(number, None)
        self.readouts.pop(number, None)

    def tensors(self, number: int) -> dict[str, Any]:
        """Weights and buffers by name, which of them are parameters, and which of those grow with the vocabulary."""
        model = self.model(number)
        tensors = model_tensors(model)
        names = {id(tensor): name for name, tensor in tensors.items()}
        return {"tensors": tensors, "parameters": [names[id(p)] for p in model.parameters() if id(p) in names],
                "embedding": [names[id(p)] for p in model.embedding_parameters() if id(p) in names]}

    def restore(self, number: int, tensors: Mapping[str, Tensor]) -> None:
        """Give a model the weights that another room has trained. Raises FileError where they are of another model."""
        restore_model(self.model(number), tensors, "what was trained")

    def lock(self) -> None:
        wall.lock()

    # A tokenizer in the place of a model

    def open_tokenizer(self, selector: str, files: list[str], hidden: list[str], folder: str) -> dict[str, Any]:
        """Build the wall, then import the plugins. Whether it learns, and what the system does not enforce."""
        self.tokenizing = Tokenizing(selector, files, hidden, folder)
        return {"learns": bool(self.tokenizing.spec.learn), "notes": [*self.notes, *self.tokenizing.notes]}

    def make_tokenizer(self, documents: list[bytes] | None, learned: Any) -> dict[str, Any]:
        return self.tokenizing.make(documents, learned)

    def encode_text(self, text: bytes) -> Tensor:
        return self.tokenizing.encode(text)

    # Training

    def train(self, number: int, lr: float, budget_bytes: int, dtype: str, snapshots: bool) -> dict[str, Any]:
        """Train on the batches that the referee gives. `snapshots` of the weights are kept on the way."""
        self.snapshots = []

        def keep(trained: LanguageModel) -> float:
            self.snapshots.append({name: tensor.detach().clone() for name, tensor in model_tensors(trained).items()})
            return 0.0

        return self._train(self.model(number), lr, budget_bytes, dtype, keep if snapshots else None)

    def train_readout(
        self, number: int, lr: float, budget_bytes: int, dtype: str, length: int, seed: int,
    ) -> dict[str, Any]:
        """The same with a readout for texts of this length, whose weights come with the result."""
        whole = autoencoder(self.model(number), length, seed, self.lease.device)
        self.readouts[number] = whole.readout
        return self._train(whole, lr, budget_bytes, dtype, None)

    def readout(self, number: int) -> dict[str, Tensor]:
        """The weights of a trained readout."""
        return dict(self.readouts[number].state_dict())

    def _train(
        self, model: LanguageModel, lr: float, budget_bytes: int, dtype: str,
        keep: Callable[[LanguageModel], float] | None,
    ) -> dict[str, Any]:
        result = train(
            model, iter(lambda: self.ask("batch"), None), lr=lr, budget_bytes=budget_bytes, dtype=dtype,
            device=self.lease.device, validate=keep,
            progress=lambda seen, bits: self.ask("progress", seen, bits))
        return asdict(result)

    def follow(self, number: int) -> float:
        """Train on the lessons that the referee gives. Their mean loss in nats a target."""
        return self._trainee(number).follow(iter(lambda: self.ask("lesson"), None))

    def kept(self, number: int) -> dict[str, Tensor]:
        """What goes on with a training."""
        return self._trainee(number).kept()

    def go_on(self, number: int, tensors: Mapping[str, Tensor]) -> None:
        """From what was kept. Raises FileError where it is of another model."""
        self._trainee(number).restore(tensors)

    def _trainee(self, number: int) -> Trainee:
        if number not in self.trainees:
            self.trainees[number] = Trainee(self.model(number), self.lease.dtype)
        return self.trainees[number]

    def use(self, number: int, snapshot: int) -> None:
        """The weights of a snapshot in the place of those at hand; the last one is the trained model."""
        restore_model(self.model(number), self.snapshots[snapshot], "a snapshot")

    def step(self, number: int, inputs: Tensor, targets: Tensor, lr: float) -> None:
        """One step of training."""
        device = self.lease.device
        TrainStep(self.model(number).train(), lr=lr, dtype=self.lease.dtype)(inputs.to(device), targets.to(device))

    # Evaluation

    def forward(self, number: int, tokens: Tensor, state: Any, how: str) -> tuple[Tensor, Any]:
        """Logits (B, T, V) and state. `how`: "score" in float32, "infer" as generation runs it, "exact" in float64;
        "hidden" and "exact hidden" give hidden states (B, T, D) in their place, "hidden" as generation runs it."""
        model, device = self.model(number), self.lease.device
        if how.startswith("exact"):
            if number not in self.exact:
                self.exact[number] = copy.deepcopy(model).double()
            model = self.exact[number]
        generating = how in ("infer", "hidden")
        mode = torch.inference_mode if generating else torch.no_grad
        call = model.eval().hidden_states if how.endswith("hidden") else model.eval()
        with mode(), autocast(device, self.lease.dtype if generating else "float32"):
            said, after = call(tokens.to(device), _moved(state, device))
        return said, after

    def examine(
        self, number: int, lengths: list[int], seed: int, sample: Tensor | None, jitter: float,
    ) -> dict[str, Any]:
        return asdict(audit(self.model(number), lengths, device=self.lease.device, seed=seed, corpus_tokens=sample,
                            jitter=jitter))

    def diagnostics(self, number: int, tokens: Tensor) -> dict[str, float]:
        self.forward(number, tokens, None, "infer")
        return {name: float(value) for name, value in self.model(number).diagnostics().items()}

    def flops(self, number: int, batch: int, seq_len: int, phase: Phase) -> dict[str, Any]:
        return asdict(model_flops(self.model(number), batch, seq_len, phase))


def _moved(state: Any, device: str) -> Any:
    return torch.utils._pytree.tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, state)
