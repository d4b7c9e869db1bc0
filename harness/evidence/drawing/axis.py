"""An axis: which place a value has, and which round values are its ticks; for the terminal and for SVG. (no torch)"""

from __future__ import annotations

import math
from collections.abc import Sequence

LARGEST = 1e100                         # what lies beyond is drawn there: its square, and a margin, are finite


class Axis:
    """Maps values to 0..1, linearly or by logarithm."""

    def __init__(self, values: Sequence[float], log: bool, margin: float = 0.0):
        self.log = log and min(values) > 0
        low, high = (self.scale(f(values)) for f in (min, max))
        if low == high:
            low, high = (low - 0.5, high + 0.5) if abs(low) < 1e9 else (0.9 * low, 1.1 * low) if low > 0 else (
                1.1 * low, 0.9 * low)
        self.low, self.high = low - margin * (high - low), high + margin * (high - low)

    def scale(self, value: float) -> float:
        value = max(-LARGEST, min(LARGEST, value))
        return math.log10(max(value, 1 / LARGEST)) if self.log else value

    def place(self, value: float) -> float:
        return (self.scale(value) - self.low) / (self.high - self.low)

    def round_values(self, count: int) -> list[float]:
        """Some `count` round values in range: decades, or 1-2-5 within them; multiples of 1, 2 or 5 on a short axis."""
        low, high = (10**self.low, 10**self.high) if self.log else (self.low, self.high)
        if self.log and high > 5 * low:
            decades = range(math.floor(self.low), math.ceil(self.high) + 1)
            for steps in ((1,), (1, 3), (1, 2, 5)):
                inside = [v for e in decades for step in steps if low <= (v := step * 10.0**e) <= high]
                if len(inside) >= min(count, 4) or (len(steps) == 3 <= len(inside)):
                    return inside[::math.ceil(len(inside) / (2 * count))]
        coarse = math.floor(math.log10((high - low) / count))
        step = next(m * 10.0**coarse for m in (1, 2, 5, 10) if m * 10.0**coarse * count >= high - low)
        return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
