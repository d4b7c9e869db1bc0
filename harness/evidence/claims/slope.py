"""The exponent with which a quantity grows with length. (no torch)"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from ...reading import Run
from ...suite import ByRound
from ..comparison.pairs import Reading
from ..comparison.timing import ANCHOR, anchored
from ..statistics import growth
from ..statistics.intervals import Estimate
from .measured import Measurement, NoMeasurement, is_exact, rounds_of

LONGEST = 3                                 # lengths whose straight slope is told of values without rounds


def slope_of(readings: Sequence[Reading], run: Run) -> Measurement:
    """From rounds, over those of an anchor where the groups of the run have one; of counts the slope at the end, exact.
    Raises NoMeasurement."""
    by_length = {reading.row.seq_len or 0: reading for reading in readings}
    lengths = sorted(by_length)
    chosen = [by_length[length] for length in lengths]
    values = [reading.row.value or 0.0 for reading in chosen]
    exact, cells = all(map(is_exact, chosen)), tuple(reading.result.id for reading in chosen)
    if len(lengths) > 1 and not any(values) and exact:
        return _measurement(0.0, True, "counted: zero at every length", cells)
    if len(lengths) < 2 or min(values) <= 0:
        raise NoMeasurement("growth with length needs positive values at two lengths")
    if all(map(rounds_of, chosen)):
        return _of_rounds(lengths, chosen, run, cells)
    points = [(math.log(length), math.log(value)) for length, value in zip(lengths, values, strict=True)]
    if exact:
        slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairwise(points)]
        bent = f", since local slopes go from {slopes[0]:.2f} to {slopes[-1]:.2f}"
        bent *= max(slopes) - min(slopes) > 1e-9
        return _measurement(slopes[-1], True, f"T {lengths[-2]}-{lengths[-1]}, counted{bent}", cells)
    points = points[-LONGEST:]
    middle = fmean(x for x, _ in points)
    slope = sum((x - middle) * y for x, y in points) / sum((x - middle)**2 for x, _ in points)
    words = f"T {lengths[-LONGEST:][0]}-{lengths[-1]}, one value each, no spread"
    return _measurement(slope, False, words, cells)


def _of_rounds(lengths: Sequence[int], chosen: Sequence[Reading], run: Run, cells: tuple[str, ...]) -> Measurement:
    how = chosen[0].compared
    assert isinstance(how, ByRound)
    anchors = {group: one for group, members in run.groups.items() for one in members if one.rounds(ANCHOR)}
    costs, drift = anchored([reading.result for reading in chosen], anchors, how.key)
    found, bend = growth.growth_exponent(lengths, costs, drift)
    between = "the drift between lengths in the interval" if drift else "over an anchor in every group"
    words = f"T {lengths[0]}-{lengths[-1]}, {bend}, {found.n} rounds each, {between}"
    return Measurement(found, found, False, "", "rounds", words, cells)


def _measurement(slope: float, exact: bool, how: str, cells: tuple[str, ...]) -> Measurement:
    end = slope if exact else None
    found = Estimate(slope, end, end, 1)
    return Measurement(found, found, False, "", "", how, cells)

