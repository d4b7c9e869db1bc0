"""The command `harness`: run the command line, print an error as one line, exit with a documented code."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    from .errors import FileError, HarnessError

    try:
        if not _here():
            raise FileError("the current folder does not exist any more; go to one that does")
        from .cli import app

        try:
            code = app(standalone_mode=False) or 0
        finally:
            sys.stdout.flush()
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:                 # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except OSError as error:                # of the place, not of the program: a full disk, a folder taken away
        place = f"{error.filename}: " if error.filename else ""
        print(f"harness: {place}{error.strerror or error}", file=sys.stderr)
        code = FileError.exit_code
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        reason = error.format_message().rstrip(".")         # a mistake of the command line, told by its parser
        print(f"harness: {reason}; see harness --help", file=sys.stderr)
        code = 2
    if code == 130:
        print("harness: interrupted", file=sys.stderr)
    sys.exit(code)


def _here() -> bool:
    try:
        return Path.cwd().exists()
    except OSError:
        return False


if __name__ == "__main__":
    main()
