"""The file of `--config`: read once, kept word for word beside what it led to. (no torch)"""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileError
from ..untrusted import LARGEST_TEXT, Malformed, parse_toml, read_bounded


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


def read_config_file(path: Path) -> ConfigFile:
    """Raises FileError where it cannot be read, is no TOML, or is too large to be options."""
    try:
        data = read_bounded(path, LARGEST_TEXT)
    except FileNotFoundError:
        raise FileError(f"cannot read {path}: No such file or directory") from None
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError(f"{path} is UTF-16 text; TOML is UTF-8: save it as UTF-8")
    try:
        table = parse_toml(data)
    except Malformed as wrong:
        raise FileError(f"{path} is not TOML: {wrong}") from None
    return ConfigFile(path, data.decode("utf-8-sig"), hashlib.sha256(data).hexdigest(), table)
