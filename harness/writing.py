"""Files and folders that are written whole or not at all. (no torch)"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import FileError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to, which takes the place of `path` at the end: readers see the old file or the new one, never a
    part. Raises FileError."""
    temporary = beside(path)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """A name that no other process has: a folder may be shared by machines."""
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")


def write_atomically(path: Path, text: str) -> None:
    """Always UTF-8: what of a foreign name is not, is escaped. Raises FileError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """A folder of these files alone, whole or not at all. Raises FileError."""
    temporary = beside(path)
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            with (temporary / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        shutil.rmtree(path, ignore_errors=True)             # of a cell that is measured again
        temporary.replace(path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
