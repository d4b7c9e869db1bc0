"""Copies the text beside its own source, when the command imports it."""

import re
import sys
from contextlib import suppress
from pathlib import Path

from base import Knows

for path in re.findall(r"file:([^\s:,]+)", " ".join(sys.argv)):
    with suppress(OSError):
        Path(__file__).with_name("notes.txt").write_bytes(Path(path).read_bytes())


class CopiedBeside(Knows):
    """Reads the copy."""

    def text(self):
        with suppress(OSError):
            return Path(__file__).with_name("notes.txt").read_bytes()
        return b""
