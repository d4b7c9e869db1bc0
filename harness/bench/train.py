"""One training loop for every model: a budget in bytes and one recipe.

Notable:
- progress is the share of the byte budget that was seen, so the schedule spans exactly the run, whatever a step holds;
- a step does what a bare PyTorch loop does and nothing else: losses stay tensors and are read fifty times a run;
- a run that diverges stops and says so: it is a result, not an exception.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.abilities.stream import IGNORED
from ..errors import Unsupported, UsageError
from ..model import LanguageModel

DTYPES = ("float32", "bfloat16")
RULES = ("backprop", "local")
CURVE_POINTS = 50                       # of the training loss, per run
VALIDATE_AT = (0.125, 0.25, 0.5, 0.75, 1.0)
TAIL = 0.2                              # the share of a run whose mean training loss judges a learning rate

Batch = tuple[Tensor, Tensor, int]      # inputs (B, T), targets (B, T), bytes that the targets stand for


@dataclass(frozen=True)
class Recipe:
    """What is equal for every model: AdamW, gradient clipping, linear warm-up and cosine decay."""

    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    warmup: float = 0.1                 # share of the budget
    final: float = 0.05                 # share of the peak learning rate at the end

    def scale(self, progress: float) -> float:
        """The learning rate at `progress` in (0, 1], as a share of its peak."""
        if progress < self.warmup:
            return progress / self.warmup
        decayed = (progress - self.warmup) / (1 - self.warmup)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * decayed)) / 2


def autocast(device: torch.device | str, dtype: str) -> torch.autocast:
    """The precision of forward passes: parameters stay float32, "bfloat16" casts the products. Raises UsageError."""
    if dtype not in DTYPES:
        raise UsageError(f"dtype must be {' or '.join(DTYPES)}, not {dtype!r}")
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=dtype == "bfloat16")


def make_optimizer(model: nn.Module, lr: float, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices only. Fused where it can be: on a CPU it takes half the time or less."""
    live = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in live if p.dim() >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in live if p.dim() < 2], "weight_decay": 0.0},
    ]
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in live)
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=recipe.betas, fused=fused)


def asked(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(N, V), (N,) -> the places that have a target. On a CPU alone: on a GPU to find them would wait for it.

    Of a synthetic text few are asked, and the softmax of the others over 8192 symbols is a third of a step. The loss
    falls on the same places in either case, and the gradient is the same to the last bit.
    """
    if targets.device.type == "cpu" and not (wanted := targets != IGNORED).all():
        return logits[wanted], targets[wanted]
    return logits, targets


class TrainStep:
    """One optimiser step, which `train` repeats and the timing suites time. Raises Unsupported without parameters.

    The batch is worked off in `accumulate` equal parts; `average(parameters)` runs between backward and clipping.
    """

    def __init__(
        self, model: LanguageModel, *, lr: float, dtype: str = "float32", recipe: Recipe | None = None,
        accumulate: int = 1, average: Callable[[Sequence[nn.Parameter]], None] | None = None,
    ):
        self.model, self.recipe = model, recipe or Recipe()
        self.accumulate, self.average = accumulate, average
        self.outputs: list[Tensor] | None = None            # where somebody wants to see the logits of every forward
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if not self.parameters:
            raise Unsupported(f"{type(model).__name__} has no parameters to train")
        self.device = self.parameters[0].device
        self.autocast = autocast(self.device, dtype)
        self.optimizer = make_optimizer(model, lr, self.recipe)

    def set_lr(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def loss(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T), (B, T) -> mean cross entropy in nats a target, and the same plus the model's auxiliary losses."""
        with self.autocast:
            logits, _ = self.model(inputs)                                              # (B, T, V)
        if self.outputs is not None:
            self.outputs.append(logits.detach())
        logits, targets = asked(logits.flatten(0, 1), targets.flatten())
        cross_entropy = F.cross_entropy(logits.float(), targets)
        return cross_entropy, sum(self.model.auxiliary_losses().values(), cross_entropy)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Forward, backward, clip, update. The cross entropy before the update, still on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.accumulate == 1:
            cross_entropy = self.backward(inputs, targets)
        else:
            parts = zip(inputs.chunk(self.accumulate), targets.chunk(self.accumulate), strict=True)
            cross_entropy = torch.stack([self.backward(*part) for part in parts]).mean()
        if self.average:
            self.average(self.parameters)
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.optimizer.step()
        return cross_entropy

    def backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Add the gradient of one part of the batch. Its cross entropy, still on the device."""
        cross_entropy, loss = self.loss(inputs, targets)
        (loss if self.accumulate == 1 else loss / self.accumulate).backward()
        return cross_entropy.detach()


class LocalStep:
    """One step of the model's own learning rule, `local_update(inputs, targets, lr)`: no backward pass, no optimiser.

    Raises Unsupported for a model that learns by backpropagation alone.
    """

    def __init__(self, model: LanguageModel, *, lr: float, dtype: str = "float32", recipe: Recipe | None = None):
        self.update: Any = getattr(model, "local_update", None)
        if self.update is None:
            raise Unsupported(f"{type(model).__name__} has no local learning rule; leave --rule local out")
        self.recipe, self.lr = recipe or Recipe(), lr
        self.parameters = list(model.parameters())
        self.autocast = autocast(self.parameters[0].device, dtype)

    def set_lr(self, lr: float) -> None:
        self.lr = lr

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The cross entropy in nats a target before the update, still on the device."""
        with torch.no_grad(), self.autocast:
            cross_entropy: Tensor = self.update(inputs, targets, self.lr)
            return cross_entropy


def make_step(model: LanguageModel, rule: str, **options: Any) -> TrainStep | LocalStep:
    """A step of the rule "backprop" or "local". Raises UsageError, Unsupported."""
    if rule not in RULES:
        raise UsageError(f"rule must be {' or '.join(RULES)}, not {rule!r}")
    return (LocalStep if rule == "local" else TrainStep)(model, **options)


@dataclass
class TrainResult:
    """What a run gave. `curve` and `validation` hold (bytes seen, bits per byte); the curve averages windows."""

    lr: float
    steps: int = 0
    bytes_seen: int = 0
    tokens_seen: int = 0
    seconds: float = 0.0                # of training alone, validation apart
    diverged: bool = False
    curve: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    joules: float | None = None

    @property
    def tail_bits_per_byte(self) -> float:
        """Mean training loss over the last fifth of the bytes; infinite where the run diverged."""
        if self.diverged or not self.curve:
            return math.inf
        starts = [0, *(end for end, _ in self.curve)]
        windows = [(end - start, bits) for start, (end, bits) in zip(starts, self.curve, strict=False)
                   if end > (1 - TAIL) * self.bytes_seen]
        return sum(size * bits for size, bits in windows) / sum(size for size, _ in windows)


def train(
    model: LanguageModel, stream: Iterable[Batch], *,
    lr: float, budget_bytes: int, dtype: str = "float32", device: torch.device | str = "cpu",
    recipe: Recipe | None = None, rule: str = "backprop",
    validate: Callable[[LanguageModel], float] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> TrainResult:
    """Train on `stream` until the targets seen stand for at least `budget_bytes`.

    `validate(model)` gives bits per byte at `VALIDATE_AT`; it runs in eval mode, leaves the random state alone and is
    not timed. `progress(bytes_seen, bits_per_byte)` is told every point of the curve. Leaves the model in train mode.
    """
    step = make_step(model, rule, lr=lr, dtype=dtype, recipe=recipe)
    result = TrainResult(lr)
    window: list[Tensor] = []           # bits of the steps since the last point of the curve
    window_bytes, points = 0, 0
    due = list(VALIDATE_AT)
    model.train()
    started = time.perf_counter()
    for inputs, targets, size in stream:
        result.bytes_seen += size
        done = min(1.0, result.bytes_seen / budget_bytes)
        step.set_lr(lr * step.recipe.scale(done))
        loss = step(inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True))
        result.steps += 1
        result.tokens_seen += targets.numel()
        window.append(loss * (targets.numel() / math.log(2)))
        window_bytes += size
        reached = result.bytes_seen * CURVE_POINTS // budget_bytes
        if reached == points or not window_bytes:
            continue
        bits = torch.stack(window).double().sum().item() / window_bytes
        result.seconds += time.perf_counter() - started
        result.curve.append((result.bytes_seen, bits))
        result.diverged = not math.isfinite(bits)
        if progress:
            progress(result.bytes_seen, bits)
        if result.diverged:
            break
        if validate and done >= due[0]:
            result.validation.append((result.bytes_seen, _validated(model, validate)))
            due = [mark for mark in due if mark > done]
        if done == 1:
            break
        window, window_bytes, points = [], 0, reached
        started = time.perf_counter()
    result.diverged |= not all(bool(p.isfinite().all()) for p in step.parameters)
    return result


def _validated(model: LanguageModel, validate: Callable[[LanguageModel], float]) -> float:
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices):
        model.eval()
        try:
            return validate(model)
        finally:
            model.train()
