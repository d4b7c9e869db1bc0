"""Every line of `harness check WHAT` as a test: `pytest --harness-check WHAT`. Installed, pytest finds it by itself.

In a plugin's own project, once and for all:

    [tool.pytest.ini_options]
    addopts = "--harness-check ."
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import HarnessError

if TYPE_CHECKING:
    from .result import CheckResult


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--harness-check", metavar="WHAT", action="append", default=[],
                     help="Check this plugin: a project's folder, a file, a package or a name; may be repeated.")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """The lines are made here, so that each has a name; they fail when their turn comes."""
    from .subjects import check, find

    for what in config.getoption("--harness-check"):
        try:
            lines = list(check(*find(what)))
        except HarnessError as error:
            raise pytest.UsageError(f"--harness-check: {error}") from None
        items.extend(_items(session, lines))


def _items(session: pytest.Session, lines: list[CheckResult]) -> Iterator[Conformance]:
    for line in lines:
        yield Conformance.from_parent(session, name=f"{line.subject}: {line.check}", line=line)


class Conformance(pytest.Item):
    """A line of the check: what fails tells its mend, what is unavailable here is skipped."""

    def __init__(self, *, line: CheckResult, **given: Any):
        super().__init__(**given)
        self.line = line

    def runtest(self) -> None:
        if self.line.status in ("unavailable", "skipped"):
            pytest.skip(self.line.detail)
        if not self.line.ok:
            raise FailedCheck(self.line)

    def repr_failure(self, excinfo: Any, *_: Any) -> Any:
        if not isinstance(excinfo.value, FailedCheck):
            return super().repr_failure(excinfo)
        return f"{self.line.detail}\n-> {self.line.mend}"

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


class FailedCheck(Exception):
    """A line that does not hold."""
