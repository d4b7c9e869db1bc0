"""The command `harness`: run the command line, print an error as one line, exit with a documented code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

INTERRUPTED = 130


def main() -> None:
    from .terminal import text_streams

    with text_streams():
        code = _run()
    sys.exit(code)


def _run() -> int:
    """Run the command line and tell what went wrong on standard error; the exit code."""
    from .errors import FileError, HarnessError

    try:
        if not _here():
            raise FileError("the current folder does not exist any more; go to one that does")
        from .cli import app

        try:
            code: int = app(standalone_mode=False) or 0
        finally:
            sys.stdout.flush()
        return _told("interrupted", code) if code == INTERRUPTED else code
    except HarnessError as error:
        return _told(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _told("interrupted", INTERRUPTED)
    except BrokenPipeError:                 # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:                # of the place, not of the program: a full disk, a folder taken away
        place = f"{error.filename}: " if error.filename else ""
        return _told(f"{place}{error.strerror or error}", FileError.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        reason = error.format_message().rstrip(".")         # a mistake of the command line, told by its parser
        return _told(f"{reason}; see harness --help", 2)


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
