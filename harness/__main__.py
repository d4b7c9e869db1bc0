"""The command `harness`: run the command line, print an error as one line, exit with a documented code."""

from __future__ import annotations

import os
import sys


def main() -> None:
    from .errors import HarnessError

    try:
        from .cli import app

        code = app(standalone_mode=False)
        sys.stdout.flush()
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("harness: interrupted; every finished cell is kept", file=sys.stderr)
        code = 130
    except BrokenPipeError:                 # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except Exception as error:
        if not hasattr(error, "format_message"):            # a mistake of the command line, told by its parser
            raise
        print(f"harness: {error.format_message()}; see harness --help", file=sys.stderr)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
