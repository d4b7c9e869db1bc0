"""The timed rounds of one call, as a suite asks for them: fresh inputs, secret looks at what came out, all processors.

No call gets an input that an earlier one had, so nothing that is remembered helps. Of some rounds, chosen in secret,
one call is looked at: its output is kept and checked once all rounds are over. What is kept, when, and what is timed
goes through the same lines of code in every round.
"""

from __future__ import annotations

import itertools
import secrets
import statistics
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from .measure import Clock, Turn, calibrate
from .processor import Meter

CHECKED = 2                             # rounds of which a call is looked at
SLOW_TIMES, SLOW_S = 10, 0.5            # medians, and seconds, beyond which a start is slow


class Check(Protocol):
    """Looks at calls: `begin` before the first, `arm` before one that is looked at, `take` behind it, `end` at last.

    `end` raises AuditFailed where an output was not what it should have been; `note` says what is told but no failure.
    """

    note: str

    def begin(self) -> None: ...
    def arm(self) -> None: ...
    def take(self, round: int, given: Any, output: Any) -> None: ...
    def end(self) -> None: ...


@dataclass
class Inputs:
    """`draw(number)`, with a number of each call's own, the same for whoever has the secret and is in the round."""

    draw: Callable[[int], Any]
    secret: int
    number: int = field(default=0, init=False)

    def begin(self, round: int) -> None:
        self.number = self.secret + (round << 20)

    def __next__(self) -> Any:
        self.number += 1
        return self.draw(self.number)


class Places:
    """Puts the tensors of every input into the same memory: who remembers an answer by its place is always wrong."""

    def __init__(self) -> None:
        self.held: dict[tuple[Any, ...], Tensor] = {}

    def __call__(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        number = itertools.count()

        def placed(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            key = next(number), leaf.shape, leaf.dtype, leaf.device
            if key not in self.held:
                self.held[key] = torch.empty_like(leaf, memory_format=torch.contiguous_format)
            return self.held[key].copy_(leaf)

        found: tuple[Any, ...] = pytree.tree_map(placed, arguments)
        return found


@dataclass
class Rounds:
    """How a call is timed. Afterwards `note` says what there is to tell beside, "" for nothing, and `slow_start` the
    seconds that calls before the rounds took beyond the median of the rounds, 0 where they are not worth telling. What
    `run` returns is in `seconds` as soon as all rounds are over."""

    clock: Clock
    turn: Turn = nullcontext
    inputs: Inputs | None = None
    check: Check | None = None
    threads: int = 1
    before: float = 0.0                 # seconds of earlier calls, which may have paid for what a first one needs
    note: str = field(default="", init=False)
    slow_start: float = field(default=0.0, init=False)
    seconds: list[float] = field(default_factory=list, init=False)
    _kept: deque[tuple[Any, Any]] = field(default_factory=lambda: deque(maxlen=0), init=False)
    _spent: list[tuple[float, int]] = field(default_factory=list, init=False)
    _places: Places = field(default_factory=Places, init=False)

    def run(self, call: Callable[..., object], rounds: int) -> list[float]:
        """Seconds per call, once a round, each in a turn of its own. `call` takes an input where there are some.

        Raises AuditFailed where the check does, or where more processors were at work than a round may have.
        """
        meter, check, secret = Meter(self.threads), self.check, secrets.SystemRandom()
        looked_at = secret.sample(range(rounds), min(CHECKED, rounds)) if check else []
        self._call, seconds = call, list[float]()
        if self.inputs:
            self.inputs.begin(0)
        with self.turn():
            started = time.perf_counter()
            if check:
                check.begin()
            spent = [(time.perf_counter() - started, 1)]
            calls = calibrate(call, self)                   # type: ignore[arg-type]
            spent += self._spent
        for number in range(rounds):
            if self.inputs:
                self.inputs.begin(number + 1)
            with self.turn(), meter:
                if check and number in looked_at:
                    seconds.append(self._look(check, number, calls, secret.randrange(calls)) / calls)
                else:
                    seconds.append(self.time(call, calls) / calls)
        with self.turn():
            self.note = meter.judge()
            median = statistics.median(seconds)
            lost = self.before + sum(max(0.0, took - calls * median) for took, calls in spent)
            self.slow_start = lost if lost > max(SLOW_S, SLOW_TIMES * median) else 0.0
            self.seconds = seconds
            if check:
                check.end()
        return seconds

    def time(self, call: Callable[..., object], calls: int = 1) -> float:
        """Seconds that `calls` calls take together; their inputs are drawn before the clock starts."""
        given = [(next(self.inputs),) if self.inputs else () for _ in range(calls)]
        kept = self._kept

        def once() -> None:
            arguments = given.pop()
            kept.append((arguments, call(*self._places(arguments))))

        seconds = self.clock.time(once, calls) if calls else 0.0
        self._spent.append((seconds, calls))
        return seconds

    def _look(self, check: Check, number: int, calls: int, place: int) -> float:
        """The seconds of a round whose call at `place` is looked at; the clock rests before and behind it."""
        call = self._call
        seconds = self.time(call, place)
        check.arm()
        self._kept = deque(maxlen=1)
        seconds += self.time(call)
        (given, output), self._kept = self._kept.pop(), deque(maxlen=0)
        check.take(number, given[0] if given else None, output)
        return seconds + self.time(call, calls - place - 1)
