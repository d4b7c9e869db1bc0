"""Numbers as people write them on a command line: 300k parameters, 1.2MB of text, 1024,4096 tokens."""

from __future__ import annotations

import re

from .errors import UsageError

SCALE = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


def parse_count(text: str, flag: str) -> int:
    """ "300k", "1.2MB", "64KiB", "1e6" -> int. Raises UsageError naming the flag."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e\+?[0-9]+)?)\s*([kmg]i?)?b?\s*", text, re.IGNORECASE)
    if not match:
        raise UsageError(f"{flag} must be a number such as 300k, 1.2M or 65536, got {text!r}")
    value = float(match[1]) * SCALE[(match[2] or "").lower()]
    if not 1 <= value < 1e15:
        raise UsageError(f"{flag} must be at least 1 and less than 1e15, got {text!r}")
    if abs(value - round(value)) > 1e-6 * value:
        raise UsageError(f"{flag} must be a whole number, got {text!r}")
    return round(value)


def parse_counts(text: str, flag: str) -> tuple[int, ...]:
    """A comma-separated list of counts, without repetitions, in order."""
    return tuple(dict.fromkeys(parse_count(part, flag) for part in split(text)))


def split(text: str) -> list[str]:
    """The parts of a comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def format_number(count: int, noun: str) -> str:
    """ "1 row", "2 rows"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_count(value: float) -> str:
    """1234567 -> "1.23M"."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}"
