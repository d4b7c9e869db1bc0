"""`harness check`: the conformance kit for authors of plugins, a line for each promise with what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..run import flags
from ..run.flags import CheckOptions
from .listing import Entry, print_listing
from .options import Json, Verbose, with_flags

if TYPE_CHECKING:
    from ..conformance.result import CheckResult

WORDS = {"ok": "ok", "note": "note", "fail": "FAIL", "skipped": "skipped", "unavailable": "unavailable"}


@with_flags
def check(
    options: CheckOptions,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print what does not hold and the sum alone.")] = False,
    verbose: Verbose = False,
) -> None:
    """Check a plugin against everything that the harness asks of one, before others use it.

    Exit code 1 where a line fails, 3 where the plugin does not load or something that it needs is not installed.

    Example: harness check mymodel.py
    """
    import torch

    from ..conformance.subjects import check as lines_of
    from ..conformance.subjects import find
    from ..quantities import parse_counts
    from ..run.request import resolve_device, resolve_dtype

    flags.check(options)
    lengths, device = parse_counts(options.seq_len, "--seq-len"), resolve_device(options.device)
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch.cuda.is_available() is false; use --device cpu")
    torch.set_num_threads(1)
    lines: list[CheckResult] = []
    for line in lines_of(*find(options.plugin), lengths, device, resolve_dtype(options.dtype, device)):
        lines.append(line)
        if verbose:
            print(f"{line.subject}: {line.check} {WORDS[line.status]}", file=sys.stderr, flush=True)
        if as_json and not (quiet and line.ok):
            record = {"kind": "check", "subject": line.subject, "check": line.check, "status": line.status,
                      "detail": line.detail, "mend": line.mend}
            print(json.dumps({key: value for key, value in record.items() if value}))
    if not as_json:
        print_lines(lines, quiet)
    raise typer.Exit(exit_code(lines))


def exit_code(lines: Sequence[CheckResult]) -> int:
    if any(line.status == "unavailable" or (line.check == "loads" and not line.ok) for line in lines):
        return 3
    return 0 if all(line.ok for line in lines) else 1


def print_lines(lines: Sequence[CheckResult], quiet: bool) -> None:
    """Every line with the mend below what fails, then the sum; `quiet` leaves out what holds."""
    print_listing([Entry((f"{line.subject}: {line.check}", WORDS[line.status], line.detail),
                         (f"-> {line.mend}",) if line.mend else ()) for line in lines if not (quiet and line.ok)])
    failed = [line for line in lines if line.status in ("fail", "unavailable")]
    print(f"{sum(line.ok for line in lines)} of {len(lines)} lines hold"
          + (f"; look at {', '.join(dict.fromkeys(line.check for line in failed))}" if failed else ""))
