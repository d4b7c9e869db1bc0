"""The file of `--config`: read once, kept word for word beside what it led to. (no torch)"""

from __future__ import annotations

import codecs
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError

MOST = 1 << 20                              # bytes


@dataclass(frozen=True)
class ConfigFile:
    """A TOML file of options; `sha256` is of its bytes, `text` what they say."""

    path: Path
    text: str
    sha256: str
    table: dict[str, Any]

    @property
    def record(self) -> dict[str, str]:
        """What the manifest keeps of it: its name without the folder, its digest and its text."""
        return {"name": self.path.name, "sha256": self.sha256, "text": self.text}


def read_config(path: Path) -> ConfigFile:
    """Raises FileError where it cannot be read, is no TOML, or is too large to be options."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MOST:
        raise FileError(f"{path} has more than {MOST} bytes; --config takes a TOML file of options")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError(f"{path} is UTF-16 text; TOML is UTF-8: save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")                                 # some editors begin a file with a BOM
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FileError(f"{path} is not TOML: {error}") from None
    return ConfigFile(path, text, hashlib.sha256(data).hexdigest(), table)
