"""The command `harness`: run the command line, print an error as one line, exit with a documented code."""

from __future__ import annotations

import os
import sys
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any


def main() -> None:
    from .terminal import text_streams

    with text_streams():
        code = _run()
    sys.exit(code)


def _run() -> int:
    """Run the command line and tell what went wrong on standard error; the exit code."""
    from .errors import INTERRUPTED, TERMINATED, FileError, HarnessError

    told = {INTERRUPTED: "interrupted", TERMINATED: "told to end"}
    try:
        if not _here():
            raise FileError("the current folder does not exist any more; go to one that does")
        from .cli import app

        try:
            code: int = app(standalone_mode=False) or 0
        finally:
            sys.stdout.flush()
        return _told(told[code], code) if code in told else code
    except HarnessError as error:
        return _told(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _told(told[INTERRUPTED], INTERRUPTED)
    except BrokenPipeError:                 # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:                # of the place, not of the program: a full disk, a folder taken away
        place = f"{error.filename}: " if error.filename else ""
        return _told(f"{place}{error.strerror or error}", FileError.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _told(_mistake(error), 2)


def _mistake(error: Any) -> str:
    """A mistake of the command line that its parser found, with the nearest option and where to look."""
    context = getattr(error, "ctx", None)
    name = context.info_name if context and context.parent else "".join(sys.argv[1:2])
    command = "harness" if name.startswith("-") or "command" in error.format_message() else f"harness {name}".strip()
    reason = error.format_message().rstrip(".")
    if near := getattr(error, "possibilities", None):
        option = error.option_name
        nearest = max(near, key=lambda name: SequenceMatcher(None, option, name).ratio())
        reason = f"no such option {option}; did you mean {nearest}?"
    return f"{reason} See {command} --help" if reason.endswith("?") else f"{reason}; see {command} --help"


def _told(text: str, code: int) -> int:
    print("harness:", " ".join(text.splitlines()), file=sys.stderr)
    return code


def _here() -> bool:
    try:
        return Path.cwd().exists()
    except OSError:
        return False


if __name__ == "__main__":
    main()
