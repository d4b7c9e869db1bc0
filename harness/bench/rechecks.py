"""Looks at outputs of timed calls: are they those of the function that is scored, however it is called?

What was timed ran in the cell's precision, many rows at once, with or without a graph. It is compared with the same
text in float32, one row by itself, cut in two with the state carried, and with a graph: a model that remembers, or does
less where it is timed, is another function there. Rounding differs as well, so the difference is a root mean square
over all logits, and where it is large it is set beside what rounded weights do: a model that amplifies the rounding of
its products amplifies that of its weights. A text that is read before the first timed call and behind the last shows a
function that has changed in between.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ..audit.probe import spread
from ..audit.randomness import Sources
from ..errors import AuditFailed
from ..model import LanguageModel
from .train import TrainStep

TOLERANCE = {"float32": 2e-3, "bfloat16": 0.1}          # std, root mean square of all logits, by the dtype timed in
ROUNDING = {"float32": 2.0**-20, "bfloat16": 2.0**-8}   # relative, of the weights of a copy
AMPLIFIED = 8                                           # times what rounded weights do
GRADIENT = {"float32": 0.02, "bfloat16": 0.1}           # of the norm of a gradient
ANCHOR = 1e-3                                           # std: the same call of the same weights
ANCHOR_SHARE = 4                                        # a quarter of the timed length


def read(model: LanguageModel, tokens: Tensor, cuts: Iterable[int] = ()) -> Tensor:
    """The logits (B, T, V) of a text as scores have them: evaluation in float32, here with a graph, in pieces."""
    mode, state, found = model.training, None, list[Tensor]()
    model.eval()
    try:
        with torch.enable_grad():
            for piece in torch.tensor_split(tokens, [cut for cut in cuts if cut], dim=1):
                logits, state = model(piece, state)
                found.append(logits.detach())
    finally:
        model.train(mode)
    return torch.cat(found, dim=1)


def apart(a: Tensor, b: Tensor) -> float:
    """The root mean square difference of two logits (B, T, V) in std; infinite where one is not finite."""
    size = float((a.float() - b.float()).square().mean().sqrt()) / spread(b)
    return size if size == size else float("inf")


def numbers(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, by name."""
    return {name: t.detach().clone() for name, t in chain(model.named_parameters(), model.named_buffers())}


def load_numbers(model: nn.Module, held: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, t in chain(model.named_parameters(), model.named_buffers()):
            t.copy_(held[name])


@contextmanager
def with_numbers(model: nn.Module, held: dict[str, Tensor]) -> Iterator[None]:
    """Within, the model has other parameters and buffers."""
    own = numbers(model)
    load_numbers(model, held)
    try:
        yield
    finally:
        load_numbers(model, own)


def rounded(model: nn.Module, dtype: str) -> dict[str, Tensor]:
    """Its numbers, each parameter off by up to half a unit of its last place in `dtype`."""
    draw = torch.Generator().manual_seed(0)
    off = numbers(model)
    for name, p in model.named_parameters():
        if p.is_floating_point() or p.is_complex():
            off[name] *= 1 + ROUNDING[dtype] * (torch.rand(p.shape, generator=draw) - 0.5).to(p.device)
    return off


def secret_tokens(model: LanguageModel, shape: Sequence[int]) -> Tensor:
    """Tokens that nobody can know before, on the model's device."""
    generator = torch.Generator().manual_seed(secrets.randbits(63))
    return torch.randint(model.vocab_size, tuple(shape), generator=generator).to(next(model.parameters()).device)


class OtherFunction(AuditFailed):
    """What was timed is not the function that is scored."""


class ForgetsItself(Exception):
    """The model does not repeat itself, so that no comparison is possible: the audit's business."""


@dataclass
class Anchor:
    """A text that nobody knows, read by the same weights before anything is timed and again behind it."""

    model: LanguageModel
    length: int

    def __post_init__(self) -> None:
        self.tokens = secret_tokens(self.model, (1, self.length))
        self.sources = Sources(self.model, self.tokens.device)
        self.logits = self.read()

    def read(self) -> Tensor:
        with self.sources.kept():
            self.sources.seed(0)
            return read(self.model, self.tokens)

    def hold(self) -> None:
        """Raises AuditFailed where the logits are others now, ForgetsItself where they are others every time."""
        now = self.read()
        if (size := apart(now, self.logits)) > ANCHOR:
            if apart(self.read(), now) > ANCHOR:
                raise ForgetsItself
            raise OtherFunction(f"behind its timed rounds the same weights give logits that are {size:.2g} std from "
                                "those before them")


@dataclass
class Recheck:
    """What all checks share. `note` tells afterwards what did not count as a failure, "" for nothing."""

    model: LanguageModel
    dtype: str
    length: int
    note: str = field(default="", init=False)
    taken: list[tuple[Any, ...]] = field(default_factory=list, init=False)

    def begin(self) -> None:
        self.anchor = Anchor(self.model, max(2, self.length // ANCHOR_SHARE))

    def arm(self) -> None:
        """For what a call is going to change."""

    def end(self) -> None:
        """Raises AuditFailed."""
        try:
            for looked_at in self.taken:
                self.hold(*looked_at)
            self.anchor.hold()
        except ForgetsItself:
            self.note = "the same call of the same weights gives other logits every time"
        except (torch.OutOfMemoryError, MemoryError) as error:
            self.note = f"its rounds were not looked at again: {type(error).__name__}"
        self.taken.clear()

    def hold(self, *looked_at: Any) -> None:
        raise NotImplementedError

    def compare(
        self, model: LanguageModel, text: Tensor, logits: Tensor, where: str, cuts: Sequence[int] = (),
    ) -> None:
        """The logits (B, t, V) of the end of a text (B, T), which was timed in pieces, are those that `read` gives.

        Where only one row, cut elsewhere, is another, that is the audit's business. Raises AuditFailed.
        """
        row, cut, end = secrets.randbelow(len(text)), secrets.randbelow(text.shape[1]), slice(-logits.shape[1], None)
        size = apart(logits[row : row + 1], read(model, text[row : row + 1], (cut,))[:, end])
        if size <= TOLERANCE[self.dtype]:
            return
        again = read(model, text, cuts)[:, end]
        if apart(read(model, secret_tokens(model, text.shape), cuts)[:, end], again) <= TOLERANCE[self.dtype]:
            raise OtherFunction(f"{where}: another text of that shape gives the same logits")
        if (of_all := apart(logits, again)) <= TOLERANCE[self.dtype]:
            self.note = f"{where}: row {row} alone, cut at {cut}, is {size:.2g} std from the timed logits"
            return
        with with_numbers(model, rounded(model, self.dtype)):
            rounding = apart(read(model, text, cuts)[:, end], again)
        if of_all > AMPLIFIED * rounding:
            if apart(read(model, text, cuts)[:, end], again) > ANCHOR:
                raise ForgetsItself
            raise OtherFunction(f"{where}: the timed logits are {of_all:.2g} std from those of the function that is "
                                f"scored, of which rounding explains {rounding:.1g}")


class InferenceCheck(Recheck):
    """Of calls of (B, T) tokens that return their logits (B, T, V), or a list of T (B, 1, V), after a prefix (B, P).

    What is given beside the tokens, as a tuple that they begin, is no part of the text.
    """

    def __init__(self, model: LanguageModel, dtype: str, length: int, prefix: Tensor | None = None):
        super().__init__(model, dtype, length)
        self.prefix = prefix

    def take(self, round: int, given: Any, output: Tensor | list[Tensor]) -> None:
        logits = torch.cat(output, dim=1) if isinstance(output, list) else output.clone()
        self.taken.append((round, given[0] if isinstance(given, tuple) else given, logits))

    def hold(self, round: int, given: Tensor, logits: Tensor) -> None:
        text, cuts = given, range(0)
        if self.prefix is not None:
            text = torch.cat([self.prefix, given], dim=1)
            cuts = range(self.prefix.shape[1], text.shape[1])
        self.compare(self.model, text, logits, f"round {round}, {given.shape[0]} x {given.shape[1]} tokens", cuts)


class TrainingCheck(Recheck):
    """Of training steps: logits and gradient are those of a copy of the model that has seen none of the timed calls."""

    def __init__(self, step: TrainStep, dtype: str, length: int):
        model: Any = step.model
        super().__init__(model, dtype, length)
        self.step = step

    def begin(self) -> None:
        try:
            self.copy = copy.deepcopy(self.model)
        except Exception:                                   # of what a model may hold not all can be copied
            self.copy = self.model
        self.start = numbers(self.model)
        super().begin()
        self.sources = self.anchor.sources
        if self.sources.held:                               # a copy would have generators of its own
            self.copy = self.model

    def arm(self) -> None:
        random = ExitStack()
        random.enter_context(self.sources.kept())
        self.before = numbers(self.model), random
        self.step.outputs = []

    def take(self, round: int, given: tuple[Tensor, Tensor], output: Tensor) -> None:
        logits, self.step.outputs = self.step.outputs, None
        self.taken.append((round, given, logits, gradients(self.step), *self.before))

    def end(self) -> None:
        with with_numbers(self.model, self.start):
            super().end()

    def hold(
        self, round: int, given: tuple[Tensor, Tensor], outputs: list[Tensor], gradient: Tensor,
        weights: dict[str, Tensor], random: ExitStack,
    ) -> None:
        inputs, targets = given
        where = f"round {round}, a step on {inputs.shape[0]} x {inputs.shape[1]} tokens"
        with with_numbers(self.copy, weights):
            again = TrainStep(self.copy.train(), lr=0.0, dtype=self.dtype)
            with self.sources.kept():
                random.close()                              # which brings back the random state of the timed step
                with self.sources.kept():
                    before = self.sources.state()
                    found = backward(again, inputs, targets)
                    noisy = before != self.sources.state()
                moved = {name for name, held in numbers(self.copy).items() if not torch.equal(held, weights[name])}
                if (size := apart(torch.cat(outputs), found)) > TOLERANCE[self.dtype]:
                    load_numbers(self.copy, weights)
                    if apart(backward(again, inputs, targets), found) > ANCHOR:
                        raise ForgetsItself
                    raise OtherFunction(f"{where}: the timed logits are {size:.2g} std from those of the same step by "
                                        "a copy of the model from before the rounds; what training counts belongs into "
                                        "a buffer")
            if weights_moved := moved & {name for name, _ in self.copy.named_parameters()}:
                self.note = f"parameters move within the forward and backward pass of a step: {min(weights_moved)}"
            nn.utils.clip_grad_norm_(again.parameters, again.recipe.clip)
            other = gradients(again)
            if (off := float((gradient - other).norm() / other.norm().clamp(min=1e-30))) > GRADIENT[self.dtype]:
                raise OtherFunction(f"{where}: the timed gradient is off by {off:.0%} from that of the same step by a "
                                    "copy of the model from before the rounds")
            if not noisy and not moved:                     # else training is another function, which the audit judges
                self.compare(self.copy, inputs, torch.cat(outputs), where)


def backward(step: TrainStep, inputs: Tensor, targets: Tensor) -> Tensor:
    """The gradient of a step alone, without the step. Its logits (B, T, V)."""
    step.optimizer.zero_grad()
    step.outputs = []
    step.backward(inputs, targets)
    return torch.cat(step.outputs)


def gradients(step: TrainStep) -> Tensor:
    """All of a step's gradient in one vector; a complex one twice as long."""
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in step.parameters]
    return torch.cat([(torch.view_as_real(g) if g.is_complex() else g).flatten().float() for g in found])
