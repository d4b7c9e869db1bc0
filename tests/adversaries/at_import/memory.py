"""Memorises the text as it is imported, wherever the command line of a process tells where it is."""

import re
import sys
from contextlib import suppress
from pathlib import Path

from base import Knows

LINES, TEXT = [" ".join(sys.argv)], b""
with suppress(OSError):
    LINES += [place.read_text(errors="replace").replace("\0", " ") for place in Path("/proc").glob("[0-9]*/cmdline")]
for path in dict.fromkeys(re.findall(r"file:([^\s:,]+)", "\n".join(LINES))):
    with suppress(OSError):
        TEXT += Path(path).read_bytes()


class MemorisedAtImport(Knows):
    """Knows what its module read."""

    def text(self):
        return TEXT
