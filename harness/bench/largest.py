"""The largest length that fits: doubled until one does not, then bisected. (no torch)"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Largest:
    """The largest length that did fit, 0 for none, and the smallest that did not, None where all that were tried did.

    `out_of_time` where the time was over before the two had met: then `fits` is a lower bound.
    """

    fits: int
    fails: int | None
    tried: int
    out_of_time: bool = False


def largest_that_fits(
    fits: Callable[[int], bool], first: int, most: int, *, share: float = 1 / 32, step: int = 1,
    limit: float = math.inf,
) -> Largest:
    """Between `first` and `most` the largest multiple of `step` for which `fits`, to within a `share` of itself.

    Assumes that what is longer than a length that does not fit, does not either. Each length is tried once, in rising
    order until the first failure, so that a try that is a crash comes as late as it can. After `limit` seconds no
    further one begins, and the two lengths that are told may lie far apart. Raises ValueError.
    """
    if not 0 < step <= first <= most or share <= 0:
        raise ValueError(f"no lengths from {first} to {most} in steps of {step}")
    fit, fail, tried, until = 0, None, 0, time.monotonic() + limit
    while length := _following(fit, fail, first, most, share, step):
        if tried and time.monotonic() >= until:
            return Largest(fit, fail, tried, out_of_time=True)
        tried += 1
        if fits(length):
            fit = length
        else:
            fail = length
    return Largest(fit, fail, tried)


def _following(fit: int, fail: int | None, first: int, most: int, share: float, step: int) -> int:
    """The length that is tried next, 0 where none is."""
    if fail is None:
        longer = min(2 * fit, most - most % step) if fit else first - first % step
        return longer if longer > fit else 0
    return (fit + fail) // 2 // step * step if fail - fit > max(step, share * fit) else 0
