"""Errors a user can mend, and the exit codes of the command.

| code | meaning |
|------|---------|
| 0    | everything asked for was done and every row is ok |
| 1    | done, but some rows are not ok (or an audit, a check failed, a training run diverged or was lost, --fail-on
|      | holds, a claim was not run, a score does not come again) |
| 2    | the command line is wrong: an unknown name, a malformed option, an impossible value |
| 3    | a selected plugin does not load, or a selected corpus or tokenizer misses a dependency |
| 4    | a file or a results directory cannot be used: missing, unwritable, corrupt or not ours |
| 5    | nothing that was to be compared is comparable: other text, tokenizer, size or machine, or nothing in common |
| 130  | interrupted; every finished cell is kept, and what a training run had reached |
| 143  | told to end by SIGTERM, as when a cluster preempts; the same is kept |
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

INTERRUPTED, TERMINATED = 130, 143          # by Ctrl-C, by SIGTERM
SHORT = 5                               # letters of a name in which two that are swapped are half of it


class HarnessError(Exception):
    """One clear line that names the mend. Printed without a traceback."""

    exit_code = 1


class UsageError(HarnessError):
    exit_code = 2


class PluginError(HarnessError):
    exit_code = 3


class FileError(HarnessError):
    exit_code = 4


class NotComparable(HarnessError):
    exit_code = 5


class Unsupported(HarnessError):
    """This machine or this model cannot give the number asked for; becomes a row of that status."""

    status = "unsupported"


class OutOfMemory(Unsupported):
    """There was no memory for it; becomes a row of the status that every lack of memory has."""

    status = "oom"


class AuditFailed(HarnessError):
    """What was to be scored is not what it says; becomes a row of that status."""

    status = "audit_failed"


def one_line(error: BaseException) -> str:
    """An exception as one line."""
    text = " ".join(str(error).split())
    if isinstance(error, HarnessError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not registered, with the nearest one that is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6 if len(name) > SHORT else 0.5)
    hint = f"did you mean {near[0]!r}?" if near else "known: " + (", ".join(names) or "none")
    return UsageError(f"unknown {kind} {name!r}; {hint}")
