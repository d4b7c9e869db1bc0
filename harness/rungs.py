"""The rungs of a ladder by name: so many parameters, so many bytes of text. (no torch)"""

from __future__ import annotations

import math

from .errors import UsageError
from .quantities import format_count, parse_count


def rung_name(size: int, budget: int = 0) -> str:
    """ "N=300k D=1MB"; what is 0 is left out."""
    parts = [f"N={format_count(size)}"] * bool(size) + [f"D={format_count(budget)}B"] * bool(budget)
    return " ".join(parts)


def rung_extent(name: str) -> int:
    """The product of what a name has: a larger rung has more. 0 for what is no rung."""
    try:
        return math.prod(parse_count(part.partition("=")[2], part) for part in name.split()) if name else 0
    except UsageError:
        return 0
