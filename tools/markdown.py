"""Lines of Markdown."""

from __future__ import annotations

from collections.abc import Iterable


def fenced(lines: Iterable[str], language: str = "text") -> str:
    return "\n".join([f"```{language}", *lines, "```"])


def heading(*texts: str) -> tuple[str, str]:
    """The first two lines of a table."""
    return line(*texts), "|" + "---|" * len(texts)


def line(*texts: str) -> str:
    return "| " + " | ".join(texts) + " |"
