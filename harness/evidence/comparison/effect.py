"""How far B lies from A: an effect with interval and p-value, from the raw measurements beside the cells. (no torch)

What was measured together is compared together: rounds of one timing group by round, scores by document. Timings of
two runs are not: what the machine did between them is in their ratio. Where a third system whose program did not change
was timed in both groups, each side is first divided by it, round by round; the interval is then widened by the noise of
both A/A controls, since neither run knows its own clock better than that. Two runs of the same programs on a shared
machine lay 14 % apart within a minute; so divided 7 %, within the noise that their controls had shown.

What was measured once has no spread, so no verdict rests on it, however large the factor: peaks of memory of one
program were seen 9 % apart, and how far they may lie nobody knows. What is counted is exact and needs none. Rounds
without an A/A control are not ranked within a factor UNCONTROLLED.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from ...quantities import format_number
from ...reading import Run
from ...store import CellResult
from ...suite import ByDocument, ByRound, ByValue, Counted
from ..statistics import contrast
from ..statistics import intervals as stats
from ..statistics.contrast import Contrast
from ..statistics.intervals import CONFIDENCE, Estimate
from . import timing
from .pairs import Reading, ReadingPair
from .seeds import variance_of_seeds

ALPHA = 1 - CONFIDENCE
UNCONTROLLED = 1.10
MARGIN, SCORE_MARGIN = 0.05, 0.01           # within which values, and scores in bits and counts, are the same
PROGRAM = ("plugin", "options", "preset", "params", "code", "weights", "engine")


class Incomparable(Exception):
    """The raw measurements of two rows are not of the same thing."""


@dataclass(frozen=True)
class Effect:
    """B over A (`ratio`) or B minus A.

    `tight` is the interval of the equivalence test, `p` that of no effect (None: nothing that decides repeats; the
    interval of `estimate` is then of what was measured alone), `floor` the factor
    below which nothing is ranked, `detectable` the factor that would be found with 80 % power. `exact`: counted, not
    measured; any difference is real.
    """

    estimate: Estimate
    tight: Estimate
    p: float | None
    ratio: bool
    how: str
    floor: float = 1.0
    detectable: float = math.inf
    exact: bool = False
    degrees: float = math.inf               # of freedom, of the estimate's variance

    def told(self, scale: float, p: float | None) -> bool:
        """Whether noise cannot explain the effect: `p` is that of no effect, corrected; None where there is none."""
        return self.beyond(scale) and (self.exact or (p is not None and p < ALPHA))

    def beyond(self, scale: float) -> bool:
        """Whether the value itself clears the floor; `scale` is the larger of the two values of a difference."""
        value = self.estimate.value
        if self.ratio:
            return max(value, 1 / value) > self.floor
        return abs(value) > (self.floor - 1) * scale

    def same(self, margin: float) -> bool:
        """Whether the equivalence test at 5 % holds: within the factor 1 + margin, or +- margin."""
        low, high = (1 / (1 + margin), 1 + margin) if self.ratio else (-margin, margin)
        return stats.within(self.tight, low, high)


def effect(pair: ReadingPair, a: Run, b: Run) -> Effect:
    """The effect of a pair that has readings on both sides. Raises Incomparable."""
    how = pair.a[0].compared
    if _measured_once(pair):
        one = Estimate(1.0, 1.0, 1.0, len(pair.a))
        return Effect(one, one, None, True, "one and the same measurement", exact=True)
    found = None
    if isinstance(how, ByRound):
        found = _by_round(pair, how.key, a, b)
    elif isinstance(how, ByDocument):
        found = _by_document(pair, how, a, b)
    return found or _by_value(pair, a, b)


def margin_of(pair: ReadingPair) -> float:
    """What differs by less counts as the same, unless told otherwise."""
    how = (pair.a or pair.b)[0].compared
    return SCORE_MARGIN if isinstance(how, Counted) or (isinstance(how, ByDocument) and how.size) else MARGIN


def _measured_once(pair: ReadingPair) -> bool:
    """Whether both sides are the same cells of the same run, as where a run is compared with itself."""
    ours, theirs = ([(r.row.run_id, r.row.cell_id, r.row.started_at, r.row.value) for r in side]
                    for side in (pair.a, pair.b))
    return ours == theirs and all(identity[0] for identity in ours)


# Rounds

def _by_round(pair: ReadingPair, key: str, a: Run, b: Run) -> Effect | None:
    one, other = pair.a[0].result, pair.b[0].result
    x, y = one.rounds(key), other.rounds(key)
    if not x or not y:
        return None
    noise_a, noise_b = control_noise(a, one, key), control_noise(b, other, key)
    if a is b and one.cell["group"] and one.cell["group"] == other.cell["group"] and len(x) == len(y):
        top, bottom = _oriented(pair, x, y)
        ratio = stats.paired_ratio(top, bottom)
        return Effect(ratio, stats.paired_ratio(top, bottom, 1 - 2 * ALPHA), stats.paired_p_value(top, bottom), True,
                      f"paired by round, {len(x)} rounds", noise_a, stats.minimum_detectable(ratio, noise_a))
    words = f"unpaired, {len(x)} and {len(y)} rounds"
    if third := unchanged(a, b, one, other, key):
        x, y = ([own / its for own, its in zip(rounds, cell.rounds(key), strict=True)]
                for rounds, cell in zip((x, y), third, strict=True))
        words += f"; each is divided by {third[0].label}, timed beside it"
    top, bottom, noise = *_oriented(pair, x, y), noise_a * noise_b
    return Effect(stats.unpaired_ratio(top, bottom, noise=noise),
                  stats.unpaired_ratio(top, bottom, 1 - 2 * ALPHA, noise),
                  stats.unpaired_p_value(top, bottom, noise), True, words, noise,
                  stats.minimum_detectable(stats.unpaired_ratio(top, bottom)) * noise)


def _oriented(pair: ReadingPair, x: Sequence[float], y: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Seconds of A and B in the order in which their ratio is B / A of the metric: a rate is inverse to them."""
    return (x, y) if pair.a[0].row.better == "higher" else (y, x)


def control_noise(run: Run, result: CellResult, key: str) -> float:
    """The factor by which identical code appeared to differ in the rounds of this cell, or UNCONTROLLED."""
    for member in run.groups.get(result.cell["group"], ()):
        own, twin = member.rounds(key), member.rounds(timing.CONTROL + key)
        if own and twin and len(own) == len(twin):
            return stats.noise_floor((own, twin))
    return UNCONTROLLED


def unchanged(a: Run, b: Run, one: CellResult, other: CellResult, key: str) -> tuple[CellResult, CellResult] | None:
    """Cells of one and the same third program, timed in the groups of two cells; the one with a control first."""
    groups = [run.groups.get(cell.cell["group"], []) for run, cell in ((a, one), (b, other))]
    found = [
        (here, there) for here in groups[0] for there in groups[1]
        if all(here.cell.get(name) == there.cell.get(name) for name in PROGRAM)
        and here.label not in (one.label, other.label)
        and all(len(cell.rounds(key)) == len(own.rounds(key)) for cell, own in ((here, one), (there, other)))]
    return min(found, key=lambda cells: timing.CONTROL + key not in cells[0].raw, default=None)


# Documents

def _by_document(pair: ReadingPair, how: ByDocument, run_a: Run, run_b: Run) -> Effect | None:
    import numpy as np

    sides = [{r.result.cell["seed"]: r for r in side} for side in (pair.a, pair.b)]
    if how.nested:
        common = sides[0].keys() & sides[1].keys()
        sides = [{seed: side[seed] for seed in sorted(common)} for side in sides]
    measured = [[r.result.documents(how.key, how.size) for r in side.values()] for side in sides]
    used = [one for side in measured for one in side]
    if not used or not all(values for values, _ in used):
        return None
    sizes = {tuple(size) if how.size else len(values) for values, size in used}
    if len(sizes) > 1:
        raise Incomparable("other documents were scored")
    a, b = (np.array([values for values, _ in side], float) for side in measured)                      # (S, N)
    ratio, same = bool(how.size) and min(a.min(), b.min()) > 0, _same_seeds(pair)
    known, source = (None, "") if same else variance_of_seeds(pair, how, run_a, run_b, ratio)
    found = contrast.by_document(a, b, np.array(sizes.pop(), float) if how.size else None, nested=how.nested,
                                 same_seeds=same, of_seed=known)
    documents = format_number(a.shape[1], "document") + " of each seed" * how.nested
    words = ", ".join(filter(None, [f"paired by document, {documents}, {_seeds(len(a), len(b))}", source]))
    if len(a) > 1 or len(b) > 1 or known or same or _of_given_weights(pair):
        return _contrasted(found, words)
    of_weights = _contrasted(found, words + " and an interval of these weights: what another would give is not known")
    return replace(of_weights, p=None, tight=replace(of_weights.tight, low=None, high=None), detectable=math.inf)


def _of_given_weights(pair: ReadingPair) -> bool:
    """Whether weights were scored that were trained before: these are the question, and no seed is."""
    return all(reading.result.cell.get("checkpoint") or reading.result.cell.get("weights")
               for reading in (*pair.a, *pair.b))


def _same_seeds(pair: ReadingPair) -> bool:
    """Whether a seed gives both sides the same weights and batches to start from."""
    return (pair.a[0].result.label == pair.b[0].result.label
            and [r.result.cell["seed"] for r in pair.a] == [r.result.cell["seed"] for r in pair.b])


def _seeds(a: int, b: int) -> str:
    return f"{a} and {b} seeds" if a != b else f"{a} seeds" if a > 1 else "one seed"


def _contrasted(found: Contrast, how: str, floor: float = 1.0) -> Effect:
    estimate = found.estimate()
    detectable = math.inf
    if found.ratio:
        detectable = stats.minimum_detectable(estimate, floor)
    elif estimate.low is not None and estimate.high is not None:
        detectable = math.log(stats.minimum_detectable(
            Estimate(1.0, math.exp(estimate.low - estimate.value), math.exp(estimate.high - estimate.value), 1)))
    return Effect(estimate, found.estimate(1 - 2 * ALPHA), None if found.student.variance is None else found.student.p,
                  found.ratio, how, floor, detectable, degrees=found.student.degrees or math.inf)


# Values

def _by_value(pair: ReadingPair, a: Run, b: Run) -> Effect:
    how = pair.a[0].compared
    x, y = ([r.row.value or 0.0 for r in side] for side in (pair.a, pair.b))
    if isinstance(how, Counted):
        found = contrast.of_intervals(*(Estimate(v, v, v, 1) for v in (fmean(x), fmean(y))))
        return replace(_contrasted(found, "counted"), p=None, detectable=math.inf, exact=True)
    if max(len(x), len(y)) > 1:
        return _contrasted(contrast.by_seed(x, y, same_seeds=_same_seeds(pair)), _seeds(len(x), len(y)))
    noise = 1.0
    if isinstance(how, ByRound) or (isinstance(how, ByValue) and how.machine):
        key = how.key if isinstance(how, ByRound) else pair.key.phase
        noise = control_noise(a, pair.a[0].result, key)
        noise *= 1.0 if a is b else control_noise(b, pair.b[0].result, key)
    found = contrast.of_intervals(*(_interval(side[0]) for side in (pair.a, pair.b)))
    if found.student.variance is not None:
        return _contrasted(found, "by the intervals of each", noise)
    return _contrasted(found, "one value each, no spread: not ranked", noise)


def _interval(reading: Reading) -> Estimate:
    row = reading.row
    return Estimate(row.value or 0.0, row.ci_low, row.ci_high, 1)
