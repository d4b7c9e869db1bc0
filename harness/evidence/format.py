"""A number as people read it: SI prefix, unit, and no more digits than its interval supports. (no torch)"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

LOPSIDED = 1.5                          # an interval whose sides are further from alike tells both
TINY, GIANT = 1e-6, 1e9                 # what lies beyond is written with a power of ten
ROUNDING = 1e-9                         # of an interval: a bound so near to the value is the value
DEVIATION = "std"                           # the unit of what an audit finds: deviations of the logits
PREFIXES = {-9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
ASCII = str.maketrans({
    "µ": "u", "±": "+-", "×": "x", "≤": "<=", "≥": ">=", "–": "-", "·": "|", "…": "...", "²": "^2", "ᵀ": "^T",
    "†": "^+", "“": '"', "”": '"', "⊗": "(x)", "φ": "phi", "π": "pi", "∞": "inf"})


def supports_unicode(wanted: bool | None = None) -> bool:
    """Whether standard output can show more than ASCII, unless `wanted` decides."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf") if wanted is None else wanted


def format_value(value: float, unit: str = "", low: float | None = None, high: float | None = None,
                 joint: str = " ") -> str:
    """ "12.3 ms", "1.693 ± 0.012", "0.91 +0.07 -0.34", "0.85×": SI prefix, as many digits as the interval supports.

    An interval that lies to one side of the value tells how far it goes up and down. Seconds and bytes carry their
    unit, ratios (units that begin with "x") a cross; other units belong in a heading. With a `joint` other than a space
    the symbol stands before it: "12.3 ms", joint, "± 0.4".
    """
    if not math.isfinite(value):
        return str(value)
    power = _power(value, unit)
    scaled, half = float(f"{value / 10**power:.12g}"), ""
    up = down = 0.0
    if low is not None and high is not None and low < high:
        up, down = (side / 10**power if abs(side) > ROUNDING * (high - low) else 0.0
                    for side in (high - value, value - low))
    if scaled and not TINY <= abs(scaled) < GIANT:                               # no prefix reaches that far
        text = f"{scaled:.3g}"
        half = _sides(up, down, "{:.2g}".format) if up or down else ""
    elif up or down:
        width = (up + down) / 2
        leading = 1 if width / 10 ** _magnitude(width) < 3.55 else 0             # two digits of 1.2, one of 4
        digits = min(max(leading - _magnitude(width), 0), max(4 - _magnitude(scaled), 0))
        text = f"{scaled:.{digits}f}"
        half = _sides(up, down, lambda side: f"{side:.{digits}f}" if side * 10**digits >= 1 else f"{side:.1g}")
    elif scaled % 1 and abs(scaled) >= 0.1:
        text = f"{scaled:.{max(2 - _magnitude(scaled), 0)}f}"
    else:
        text = f"{scaled:.{max(3, _magnitude(scaled) + 1)}g}"
    symbol = PREFIXES[power] + (unit if unit in ("s", "B") else "")
    symbol = f" {symbol}" if symbol else "×" * unit.startswith("x")
    if not half:
        return text + symbol
    return f"{text} {half}{symbol}" if joint == " " else f"{text}{symbol}{joint}{half}"


def _sides(up: float, down: float, text: Callable[[float], str]) -> str:
    """ "± 0.4", "+0.07 -0.34": an interval by how far it reaches from the value."""
    if max(up, down) <= LOPSIDED * min(up, down):
        return f"± {text((up + down) / 2)}"
    return f"{'-' if up < 0 else '+'}{text(abs(up))} {'+' if down < 0 else '-'}{text(abs(down))}"


def span(seconds: float) -> str:
    """ "1 h 02 min", "3 min 05 s", "12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _power(value: float, unit: str) -> int:
    """The power of ten of the SI prefix: small ones for seconds, large ones for bytes, rates and large counts."""
    power = 3 * (_magnitude(value) // 3)
    if unit == "s":
        return max(-9, min(power, 0))
    return max(0, min(power, 15)) if unit == "B" or unit.endswith("/s") or abs(value) >= 10_000 else 0
