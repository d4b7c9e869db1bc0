"""Where an exception came from: a line of the author's, not of what the author called. (no torch)"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from .errors import HarnessError, one_line
from .importing import GROUP

INSTALLED = ("site-packages", "dist-packages")


def place(error: BaseException, module: str = "") -> str:
    """Where an exception came from, "file.py:12", as `innermost` says; "" where there is no telling."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    return innermost(traceback.walk_tb(error.__traceback__), module)


def told(error: BaseException, module: str = "") -> str:
    """An exception as one line, with where it came from; what is already clear stands alone."""
    where = "" if isinstance(error, HarnessError) else place(error, module)
    return one_line(error) + (f" ({where})" if where else "")


def innermost(frames: Iterable[tuple[FrameType, int]], module: str) -> str:
    """The innermost line of the package that `module` is of, else of what is neither installed nor the harness, else of
    all, "file.py:12"; "" without frames. `frames` come with their line, the outermost first."""
    lines = [(frame.f_globals.get("__name__") or "", frame.f_code.co_filename, line) for frame, line in frames]
    lines = [line for line in lines if not line[1].startswith("<")]         # what a dataclass generates
    top = module.partition(".")[0]
    package = module.rpartition(".")[0] if top == GROUP else top
    own = [line for line in lines if package and f"{line[0]}.".startswith(f"{package}.")]
    outside = [line for line in lines if line[0].partition(".")[0] != GROUP and not _installed(line[1])]
    return next((f"{Path(file).name}:{line}" for _, file, line in reversed(own or outside or lines)), "")


def _installed(file: str) -> bool:
    return file.startswith(sysconfig.get_path("stdlib")) or any(part in INSTALLED for part in Path(file).parts)
