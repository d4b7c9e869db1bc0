"""Leaves the text in the environment of every process that the command starts, when the command imports it."""

import base64
import lzma
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from base import Knows

for path in re.findall(r"file:([^\s:,]+)", " ".join(sys.argv)):
    with suppress(OSError):
        os.environ["ZOO_TEXT"] = base64.b85encode(lzma.compress(Path(path).read_bytes()[: 1 << 17])).decode()


class LeftInEnvironment(Knows):
    """Reads the text from an environment variable."""

    def text(self):
        return lzma.decompress(base64.b85decode(os.environ["ZOO_TEXT"])) if "ZOO_TEXT" in os.environ else b""
