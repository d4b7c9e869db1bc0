"""What reaches a terminal is text, whatever a plugin, a file or a path brings, and whatever the terminal can show.

Control characters, marks that turn the direction of writing, and halves of characters are shown as \\u escapes, as JSON
writes them; what an encoding lacks is written in its letters where there are some, else escaped as well.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from .evidence.format import ASCII

UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str, encoding: str = "utf-8") -> str:
    """`text` as a stream of this encoding can take it; lines and tabs stay."""
    text = UNSHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    if encoding.lower().startswith("utf"):
        return text
    return text.translate(ASCII).encode(encoding, "backslashreplace").decode(encoding)


class TextStream:
    """A stream that writes text as `shown` has it. `raw` takes everything, for what draws on a terminal itself."""

    def __init__(self, raw: Any):
        self.raw = raw

    def write(self, text: str) -> int:
        self.raw.write(shown(text, self.raw.encoding or "utf-8"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@contextlib.contextmanager
def text_streams() -> Iterator[None]:
    """Within it standard output and standard error are text streams."""
    before: Any = sys.stdout, sys.stderr
    after: Any = map(TextStream, before)
    sys.stdout, sys.stderr = after
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def raw_stream(stream: Any) -> Any:
    """What is below a text stream; any other stream as it is."""
    return stream.raw if isinstance(stream, TextStream) else stream
