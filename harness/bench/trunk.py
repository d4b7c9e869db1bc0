"""One long training that serves several budgets: a branch of each budget cools down, the trunk goes on from there.

Notable:
- the rate rises over a fixed number of bytes, stays, and falls over the last share of each budget, so that the weights
  of a budget are those of a run of that budget alone (Hu et al. 2024, MiniCPM, section 4; the fall as 1 - sqrt:
  Hägele et al. 2024);
- what is kept on disk goes on to the last bit: weights, optimiser, random state and the place in the text. The state
  at every branch is kept for larger budgets, that of a cell at work about every minute.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..data.batches import TrainStream
from ..errors import FileError
from ..untrusted import Count, Finite, Malformed, held_to, parse_json
from .train import TrainResult
from .trainee import Lesson, Trained
from .weights import read_metadata, read_tensors, save

SAVE_S = 60.0
PARTS = 50                              # of a budget: points of the training curve, and moments at which to save


@dataclass(frozen=True)
class Cooling:
    """The rate of a trunk and its branches. `warmup` in bytes, `share` of a budget for its fall."""

    warmup: int
    share: float

    def branch(self, budget: int) -> int:
        """The bytes after which a budget's branch leaves the trunk."""
        return round((1 - self.share) * budget)

    def scale(self, before: int, after: int, budget: int) -> float:
        """Of a step from `before` bytes to `after`, as a share of the peak; on the trunk `budget` is 0."""
        rising = min(1.0, after / self.warmup) if self.warmup else 1.0
        if not budget:
            return rising
        start = self.branch(budget)
        return rising * (1 - math.sqrt(min(1.0, max(0, before - start) / max(1, budget - start))))


@dataclass(frozen=True)
class At:
    """How far a training has come. `cooling` is the budget of the branch, 0 on the trunk."""

    lr: Finite
    step: Count = 0
    bytes: Count = 0
    tokens: Count = 0
    seconds: Finite = 0.0
    joules: Finite | None = None
    cooling: Count = 0
    curve: list[list[Finite]] = field(default_factory=list)


@dataclass
class Trunk:
    """The states of one trunk on disk; without a folder nothing is kept. `cell` names the branch at work."""

    folder: Path | None
    cell: str
    lr: float

    @property
    def partial(self) -> Path | None:
        return self.folder / f"{self.cell}.safetensors" if self.folder else None

    def newest(self, trained: Trained, branch: int, budget: int) -> At:
        """Restore what has come furthest on the way to a budget, and say where that is. What cannot be read, or is of
        another rate, counts for nothing."""
        found: list[tuple[At, Path]] = []
        for path in sorted(self.folder.glob("*.safetensors")) if self.folder and self.folder.is_dir() else ():
            if path.is_file() and (path == self.partial or path.stem.startswith("at-")):
                at = _read_at(path)
                fits = at and at.lr == self.lr and (at.cooling == budget if at.cooling else at.bytes <= branch)
                found += [(at, path)] if at and fits else []
        for at, path in sorted(found, key=lambda one: (bool(one[0].cooling), one[0].bytes), reverse=True):
            try:
                trained.restore(read_tensors(path))
            except FileError:
                continue
            return at
        return At(self.lr)

    def keep(self, trained: Trained, at: At, branch: bool = False) -> None:
        """Raises FileError where it cannot be written."""
        if self.folder is None or self.partial is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"at-{at.bytes}.safetensors" if branch else self.partial
        save(path, trained.kept(), {"at": json.dumps(asdict(at))})


def _read_at(path: Path) -> At | None:
    try:
        return held_to(parse_json(read_metadata(path).get("at", "").encode(), dict[str, Any]), At)
    except (FileError, Malformed):
        return None


def train_branch(
    trained: Trained, stream: TrainStream, trunk: Trunk, cooling: Cooling, budget: int,
    progress: Callable[[int, float], None] = lambda seen, bits: None, meter: Callable[[], float] | None = None,
) -> TrainResult:
    """Go on with a trunk to where the branch of `budget` leaves it, and cool down.

    Seconds, and joules where there is a `meter` of them, are those that a run of this budget alone would have taken.
    `progress(bytes_seen, bits_per_byte)` is
    told every point of the curve.
    """
    branch = cooling.branch(budget)
    at = trunk.newest(trained, branch, budget)
    stream.skip(at.step)
    saved = time.monotonic()
    while at.bytes < budget:
        end = min(branch if at.bytes < branch else budget, (at.bytes * PARTS // budget + 1) * budget // PARTS + 1)
        part = _Part(stream, cooling, at, end)
        spent, started = meter() if meter else 0.0, time.perf_counter()
        nats = trained.follow(part)
        seconds = at.seconds + time.perf_counter() - started
        joules = (at.joules or 0.0) + meter() - spent if meter and (at.joules is not None or not at.step) else None
        bits = nats / math.log(2) * (part.at.tokens - at.tokens) / max(1, part.at.bytes - at.bytes)
        at = replace(part.at, seconds=seconds, joules=joules, curve=[*at.curve, [part.at.bytes, bits]])
        if not math.isfinite(bits):
            return _result(at, diverged=True)
        progress(at.bytes, bits)
        if not at.cooling and at.bytes >= branch:
            trunk.keep(trained, at, branch=True)
            at = replace(at, cooling=budget)
        if time.monotonic() - saved > SAVE_S or at.bytes >= budget:
            trunk.keep(trained, at)
            saved = time.monotonic()
    return _result(at)


class _Part:
    """The lessons from one place to the first at or beyond `end` bytes; `at` is where it has come to."""

    def __init__(self, stream: TrainStream, cooling: Cooling, at: At, end: int):
        self.stream, self.cooling, self.at, self.end = stream, cooling, at, end

    def __iter__(self) -> Iterator[Lesson]:
        while self.at.bytes < self.end:
            inputs, targets, size = next(self.stream)
            before = self.at.bytes
            self.at = replace(self.at, step=self.at.step + 1, bytes=before + size,
                              tokens=self.at.tokens + targets.numel())
            yield inputs, targets, self.at.lr * self.cooling.scale(before, self.at.bytes, self.at.cooling)


def _result(at: At, diverged: bool = False) -> TrainResult:
    return TrainResult(at.lr, at.step, at.bytes, at.tokens, at.seconds, diverged,
                       [(round(seen), bits) for seen, bits in at.curve], joules=at.joules)
