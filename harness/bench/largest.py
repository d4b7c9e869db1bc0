"""The largest length that fits: doubled until one does not, then bisected. (no torch)"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Largest:
    """The largest length that did fit, 0 for none, and the smallest that did not, None where all that were tried did.
    """

    fits: int
    fails: int | None
    tried: int


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
    fit, fail, tried = 0, None, 0
    length, until = first - first % step, time.monotonic() + limit
    while (tried == 0 or time.monotonic() < until) and fail is None and fit < length <= most:
        tried += 1
        if fits(length):
            fit, length = length, min(2 * length, most - most % step)
        else:
            fail = length
    while time.monotonic() < until and fail is not None and fail - fit > max(step, share * fit):
        length = (fit + fail) // 2 // step * step
        if length <= fit:
            length = fit + step
        if length >= fail:
            break
        tried += 1
        if fits(length):
            fit = length
        else:
            fail = length
    return Largest(fit, fail, tried)
