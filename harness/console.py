"""The console that tables and progress are drawn on: `rich`, for which everything printed is plain text. (no torch)"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from .terminal import raw_stream, shown


class TextConsole(Console):
    """Draws its own colours and frames, but nothing of the text: names, paths and reasons come from elsewhere, hold
    brackets that are no markup, and control characters that are not for this terminal."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text, self.encoding), **options)

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        for segment in super().render(*arguments, **options):
            text = segment.text if segment.control else shown(segment.text, self.encoding)
            yield Segment(text, segment.style, segment.control)


def make_console(*, stderr: bool = False, width: int | None = None) -> TextConsole:
    """On standard output or standard error, as wide as its terminal unless told otherwise."""
    stream = raw_stream(sys.stderr if stderr else sys.stdout)
    return TextConsole(file=stream, width=width, highlight=False, markup=False, emoji=False)
