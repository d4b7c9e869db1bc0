"""How a finding depends on what was chosen: where its verdict turns, what its design could have seen. (no torch)"""

from __future__ import annotations

import math

from ..format import format_value
from ..statistics.detectable import confirmable_margin, detectable_effect
from .claim import Rule
from .measured import Measurement


def sensitivity(rule: Rule, measured: Measurement) -> str:
    """ "confirmed for every threshold above 1.03, refuted below 0.98"; "" without an interval."""
    low, high = measured.estimate.low, measured.estimate.high
    if low is None or high is None:
        return ""
    if rule.confirms == "equals":
        return _of_margins(rule, measured)
    beyond, short = ("above", "below") if rule.confirms == "below" else ("below", "above")
    confirmed, refuted = (high, low) if rule.confirms == "below" else (low, high)
    parts = [f"{word} for every threshold {side} {end:.4g}" for word, side, end in (
        ("confirmed", beyond, confirmed), ("refuted", short, refuted)) if math.isfinite(end)]
    return ", ".join(parts)


def _of_margins(rule: Rule, measured: Measurement) -> str:
    """The margin about what is claimed, from which on it is confirmed, and below which it is refuted."""
    tight, estimate, at = measured.tight, measured.estimate, rule.threshold
    ends = (tight.low, tight.high, estimate.low, estimate.high)
    by_ratio = rule.kind == "count" or measured.ratio
    if any(end is None or math.isinf(end) or (by_ratio and min(end, at) <= 0) for end in ends):
        return ""

    def away(end: float | None) -> float:
        assert end is not None
        return max(end / at, at / end) - 1 if by_ratio else abs(end)

    inside = (estimate.low or 0.0) <= (at if by_ratio else 0.0) <= (estimate.high or 0.0)
    needed, least = max(away(tight.low), away(tight.high)), min(away(estimate.low), away(estimate.high))
    return f"confirmed for every margin above {needed:.4g}" + (
        ", refuted for none" if inside else f", refuted for every margin below {least:.4g}")


def power_of(rule: Rule, measured: Measurement) -> str:
    """What so many repetitions see in four runs of five; why none is told where nothing was repeated."""
    found = measured.error
    if found is None:
        return "no interval: it was measured once"
    same = rule.confirms == "equals"
    effect = (confirmable_margin if same else detectable_effect)(*found)

    def words(value: float) -> str:
        if measured.ratio:
            return f"{100 * math.expm1(value):.2g} %" if value < math.log(10) else f"a factor of {math.exp(value):.2g}"
        return format_value(float(f"{value:.2g}"), measured.unit)

    known = f" ({words(effect.low)} to {words(effect.high)})" if effect.low and effect.high else ""
    repeats = f"{measured.estimate.n} {measured.repeats}" if measured.repeats else "so many repetitions"
    does = "tell what is the same to be so within" if same else "see a distance from the threshold of"
    return f"in 80 % of runs {repeats} {does} {words(effect.value)}{known}"
