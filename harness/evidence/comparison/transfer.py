"""Whether a learning rate may be carried from one width to another: what was measured of a model at several. (no torch)

That activations and updates keep their size is a reason to expect it (Yang et al. 2022), the drift of the optimum is
the test: a rate is carried where the optimum moves, with its interval, by no more than half the window of rates that
lose 1 % at the largest width. A parametrisation is neither asked for nor presumed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...store import CellResult, Row
from ..format import format_value

FLAT = 0.25                             # power of the width: muP keeps sizes, a sum of aligned terms has 1/2 or 1
KINDS = {"activation_rms": "activation", "update_ratio": "update"}


@dataclass(frozen=True)
class AtWidth:
    """What the search found at one width; `open`: the window is at least so wide."""

    params: int
    width: int
    lr: float
    low: float | None
    high: float | None
    window: float                       # octaves
    open: bool
    note: str


@dataclass(frozen=True)
class PartGrowth:
    """How the size of a part's activations, or of its updates, goes with the width: as width^`power`."""

    kind: str
    part: str
    sizes: tuple[float, ...]
    power: float

    @property
    def word(self) -> str:
        return "flat" if abs(self.power) <= FLAT else "grows" if self.power > 0 else "shrinks"


@dataclass(frozen=True)
class Transfer:
    """A plugin at several widths. `drift` is that of the optimum from the smallest to the largest, in octaves."""

    plugin: str
    widths: tuple[AtWidth, ...]
    growths: tuple[PartGrowth, ...]
    drift: float
    low: float | None
    high: float | None
    verdict: str                        # carried | not carried | undecided
    reason: str


def transfer(results: Sequence[CellResult]) -> Transfer | None:
    """Of the cells of one plugin, a width each. None where fewer than two were measured."""
    found = sorted((pair for result in results if (pair := _at_width(result))), key=lambda pair: pair[0].width)
    widths = tuple(at for at, _ in found)
    if len({at.width for at in widths}) < 2:
        return None
    growths = []
    for metric in found[0][1]:
        kind, _, part = metric.partition("@")
        sizes = tuple(own.get(metric, 0.0) for _, own in found)
        if kind in KINDS and min(sizes) > 0:
            growths.append(PartGrowth(KINDS[kind], part, sizes, power_of_width(widths, sizes)))
    least, most = widths[0], widths[-1]
    drift, low, high = drifted(least, most)
    verdict, reason = _verdict(least, most, drift, low, high)
    return Transfer(results[0].label, widths, tuple(growths), drift, low, high, verdict, reason)


def _at_width(result: CellResult) -> tuple[AtWidth, dict[str, float]] | None:
    rows = {row.metric: row for row in result.rows if row.status == "ok" and row.value is not None}
    values = {metric: float(row.value or 0) for metric, row in rows.items()}
    if not {"width", "learning_rate", "lr_window_octaves"} <= rows.keys():
        return None
    rate: Row = rows["learning_rate"]
    return AtWidth(rate.params or 0, round(values["width"]), values["learning_rate"], rate.ci_low, rate.ci_high,
                   values["lr_window_octaves"], bool(rows["lr_window_octaves"].reason), rate.reason), values


def power_of_width(widths: Sequence[AtWidth], sizes: Sequence[float]) -> float:
    """The slope of log size against log width, by least squares."""
    return float(np.polyfit(np.log([at.width for at in widths]), np.log(sizes), 1)[0])


def drifted(a: AtWidth, b: AtWidth) -> tuple[float, float | None, float | None]:
    """The octaves from the optimum of A to that of B, with the interval that theirs give (Zou and Donner 2008)."""
    drift = math.log2(b.lr / a.lr)
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return drift, None, None
    down = math.hypot(math.log2(b.lr / b.low), math.log2(a.high / a.lr))
    up = math.hypot(math.log2(b.high / b.lr), math.log2(a.lr / a.low))
    return drift, drift - down, drift + up


def _verdict(a: AtWidth, b: AtWidth, drift: float, low: float | None, high: float | None) -> tuple[str, str]:
    half = b.window / 2
    moved = f"from {format_value(float(a.params))} to {format_value(float(b.params))} the optimum moves by {drift:+.1f}"
    if low is None or high is None:
        why = next(filter(None, (a.note, b.note)), "trials do not repeat, or diverge beside it")
        return "undecided", f"{moved} octaves, without an interval: {why}"
    told = f"{moved} ({low:+.1f} to {high:+.1f}) octaves, and the window at {format_value(float(b.params))} is " \
           f"{'at least ' * b.open}{b.window:.1f} octaves wide"
    if max(abs(low), abs(high)) <= half:
        return "carried", told
    outside = low > half or high < -half
    return ("not carried" if outside and not b.open else "undecided"), told
