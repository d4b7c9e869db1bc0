"""The sealed check: fresh processes that cannot know the future are asked for logits that were scored.

Each place is asked with the text up to it and random tokens behind, in batches and lengths of the referee's own, some
of them cut, the state of a part then being serialised and given to another process. What a model of one function says
does not depend on any of this. Source of the bound that is printed: the binomial, as in the rule of three.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..audit.probe import Difference, spread
from ..audit.shapes import OTHER_SHAPE
from ..audit.suffixes import SAME_SHAPE
from .ledger import Call, Place, unseen_share

ROUND = 64                              # places between two looks at the clock
ROWS = (1, 4, 16, 32)                   # of a batch, the small ones rarely
CHANCE = (0.05, 0.1, 0.45, 0.4)
CUTS = 3
MOST_DOUBTFUL = 0.75                    # share of places: rounding that a model amplifies jumps at many, not at most
DOUBTFUL = 8                            # places looked at again in float64
NOTHING = 1e-4                          # bits a target that no table shows
ERRORS = 3                              # standard errors by which rounding may make a score better
LOOSE = OTHER_SHAPE["bfloat16"]


# A fresh model: (tokens, state, how) -> (logits, state), `how` as in resident.Resident.forward.
Asked = Callable[[Tensor, Any, str], tuple[Tensor, Any]]


@dataclass(frozen=True)
class Sealed:
    """What was asked, how long it took, and what did not come again ("" where all did)."""

    places: int
    seconds: float
    fault: str = ""
    note: str = ""

    @property
    def passed(self) -> bool:
        return not self.fault

    @property
    def unseen(self) -> float:
        return unseen_share(self.places)

    def summary(self) -> str:
        """One line."""
        if self.fault:
            return f"sealed scoring: {self.fault}"
        return (f"sealed scoring: {self.places} places came again without their future; a leak at more than "
                f"{self.unseen:.2g} of the targets would have shown at 99 %")


def check(
    rooms: Sequence[Asked], places: Sequence[Place], calls: Sequence[Call], vocab_size: int, *, how: str, dtype: str,
    seconds: float, secret: np.random.Generator,
) -> Sealed:
    """Ask for `places` in their secret order until all are done or `seconds` have passed, at least one round.

    `how` is the mode they were scored in, "hidden" where hidden states stand for logits, `dtype` its precision. Raises
    whatever a room raises.
    """
    started, asked = time.monotonic(), 0
    gains: list[float] = []                 # bits by which bulk scoring did better, at targets that are known
    order = [places[i] for i in secret.permutation(len(places))]
    unit = spread(torch.stack([place.logits for place in order[:ROUND]])[:, None]) if order else 1.0
    asker = _Asker(rooms, vocab_size, how, unit, secret)
    doubtful: list[Place] = []
    while asked < len(order) and (not asked or time.monotonic() - started < seconds):
        part = sorted(order[asked:asked + ROUND], key=lambda place: place.at)
        asked += len(part)
        for batch in _batches(part, secret):
            for place, logits in zip(batch, asker.ask(batch), strict=True):
                apart = _apart(place.logits, logits, unit)
                if apart > LOOSE or not math.isfinite(apart):
                    return Sealed(asked, time.monotonic() - started, _fault(place, logits, apart))
                if apart > OTHER_SHAPE[dtype]:
                    doubtful.append(place)
                if place.target is not None:
                    gains.append(_bits(logits, place.target) - _bits(place.logits, place.target))
    for call in calls:
        logits = rooms[int(secret.integers(len(rooms)))](call.tokens, call.state, how)[0]
        found = Difference.between(call.logits, logits, spread(call.logits), LOOSE)
        if found.size > LOOSE:
            return Sealed(asked, time.monotonic() - started, "with the same state, a fresh process gives other logits "
                          f"({found.size:.2g} std apart): something besides the state was kept")
    note = ""
    if fault := _flattered(gains):
        return Sealed(asked, time.monotonic() - started, fault)
    if len(doubtful) > MOST_DOUBTFUL * asked:
        return Sealed(asked, time.monotonic() - started, f"{len(doubtful)} of {asked} places differ by more than "
                      f"{dtype} rounds, by less than {LOOSE} std each")
    if doubtful:
        fault = asker.in_doubt(doubtful[:DOUBTFUL])
        if fault:
            return Sealed(asked, time.monotonic() - started, fault)
        note = f"{len(doubtful)} of {asked} sealed places differ by rounding of {dtype}"
    return Sealed(asked, time.monotonic() - started, note=note)


class _Asker:
    """Puts places to fresh models, turn by turn."""

    def __init__(
        self, rooms: Sequence[Asked], vocab_size: int, how: str, unit: float, secret: np.random.Generator,
    ):
        self.rooms, self.vocab_size, self.how, self.unit, self.secret = rooms, vocab_size, how, unit, secret

    def ask(self, batch: Sequence[Place]) -> Tensor:
        """The logits (B, V) of places: their text up to them, random tokens behind, in cuts between the rooms.

        No text is longer than those that were scored: a model may know no position beyond them.
        """
        longest, scored = max(place.at for place in batch) + 1, max(len(place.tokens) for place in batch)
        longest = min(scored, longest + int(self.secret.integers(max(1, longest // 8))))
        tokens = torch.from_numpy(self.secret.integers(self.vocab_size, size=(len(batch), longest)))
        for row, place in enumerate(batch):
            tokens[row, :place.at + 1] = place.tokens[:place.at + 1]
        cuts = {int(cut) for cut in self.secret.integers(1, longest, size=self.secret.integers(CUTS + 1))} \
            if longest > 1 else set()
        bounds, state, parts = [0, *sorted(cuts), longest], None, []
        turn = int(self.secret.integers(len(self.rooms)))
        for number, (start, end) in enumerate(itertools.pairwise(bounds)):
            room = self.rooms[(turn + number) % len(self.rooms)]
            logits, state = room(tokens[:, start:end], state, self.how)
            parts.append(logits)
        whole = torch.cat(parts, 1)
        return whole[torch.arange(len(batch)), [place.at for place in batch]]

    def in_doubt(self, places: Sequence[Place]) -> str:
        """What is wrong at places that differ by what may be rounding: "" where float64 knows no difference between
        the whole text and the text up to there."""
        room, how = self.rooms[0], "exact hidden" if self.how == "hidden" else "exact"
        for place in places:
            tokens = torch.from_numpy(self.secret.integers(self.vocab_size, size=len(place.tokens)))
            tokens[:place.at + 1] = place.tokens[:place.at + 1]
            whole, prefix = (room(text[None], None, how)[0][0, place.at] for text in (place.tokens, tokens))
            apart = _apart(whole, prefix, self.unit)
            if not apart <= SAME_SHAPE:
                return _fault(place, prefix, apart, " in float64")
        return ""


def _batches(places: Sequence[Place], secret: np.random.Generator) -> list[Sequence[Place]]:
    found, first = [], 0
    while first < len(places):
        rows = int(secret.choice(ROWS, p=CHANCE))
        found.append(places[first:first + rows])
        first += rows
    return found


def _apart(bulk: Tensor, sealed: Tensor, unit: float) -> float:
    """The largest difference of logits (V,), in `unit`, their std; infinite where one is no number."""
    if bulk.shape != sealed.shape:
        return math.inf
    found = float((bulk.double() - sealed.double()).abs().max()) / unit
    return found if math.isfinite(found) else math.inf


def _bits(logits: Tensor, target: int) -> float:
    return float(-torch.log_softmax(logits.double(), -1)[target]) / math.log(2)


def _flattered(gains: Sequence[float]) -> str:
    """What is wrong where bulk scoring was better on average than rounding explains, which knows no direction; ""."""
    if len(gains) < 2:
        return ""
    found, error = float(np.mean(gains)), float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    if found <= ERRORS * error + NOTHING:
        return ""
    return (f"bulk scoring is {found:.2g} bits a target better than a fresh process, where {ERRORS * error:.1g} might "
            "be chance")


def _fault(place: Place, sealed: Tensor, apart: float, where: str = "") -> str:
    """The place, and the logit that differs most."""
    if place.logits.shape != sealed.shape:
        return f"{place.where}, position {place.at}: logits of {tuple(sealed.shape)} in a fresh process"
    token = int((place.logits.double() - sealed.double()).abs().nan_to_num(math.inf).argmax())
    return (f"{place.where}, position {place.at}: the scored logit of token {token} is "
            f"{float(place.logits[token]):.4g}, that of a fresh process without the future {float(sealed[token]):.4g} "
            f"({apart:.2g} std apart{where})")
