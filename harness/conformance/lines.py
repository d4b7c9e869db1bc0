"""A line of the check from a function: what it returns was found, what it raises is the failure. (no torch)"""

from __future__ import annotations

from collections.abc import Callable

from ..frames import told
from ..interrupts import interrupts_told
from .result import NEEDS, CheckFailed, CheckResult, Status

Check = Callable[[], str | CheckResult]


class Lines:
    """The lines of one subject, whose code is in `module`; what rests on one that failed is skipped."""

    def __init__(self, subject: str, module: str):
        self.subject, self.module = subject, module
        self.failed: set[str] = set()                       # lines that failed, or were skipped

    def line(self, name: str, check: Check) -> CheckResult:
        found = self._line(name, check)
        if not found.ok:
            self.failed.add(name)
        return found

    def result(self, name: str, status: Status, detail: str) -> CheckResult:
        return CheckResult(self.subject, name, status, detail)

    def _line(self, name: str, check: Check) -> CheckResult:
        for needed in NEEDS.get(name, ()):
            if needed in self.failed:
                return self.result(name, "skipped", f"needs {needed}")
        with interrupts_told() as interrupted:
            try:
                found = check()
            except BaseException as error:                  # also what a plugin leaves by, such as SystemExit
                if isinstance(error, KeyboardInterrupt) and interrupted():
                    raise
                return self.result(name, "fail", str(error) if isinstance(error, CheckFailed) else self.told(error))
        return found if isinstance(found, CheckResult) else self.result(name, "ok", found)

    def told(self, error: BaseException) -> str:
        """An exception with the line of the author's that it came from."""
        return told(error, self.module)
