"""What an audit found: one finding per check and length, and the report a score must carry. (no torch)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

# The most telling check first: the summary names the first that failed.
CHECKS = (
    "raises", "contract", "finite", "determinism", "suffix perturbation", "batch independence", "train = eval",
    "split law", "gradients", "live parameters", "beyond the length", "rounding", "sensitivity",
)


@dataclass(frozen=True)
class Finding:
    """The outcome of one check at one length.

    `size` is the largest difference in standard deviations of the logits (infinite where there is nothing to compare),
    `position` the earliest position at which it exceeds `tolerance`. A warning does not fail the audit.
    """

    check: str
    passed: bool
    length: int
    position: int | None = None
    size: float = 0.0
    tolerance: float = 0.0
    detail: str = ""
    severity: Literal["error", "warning"] = "error"

    @property
    def failed(self) -> bool:
        """Whether it fails the audit."""
        return not self.passed and self.severity == "error"

    def __str__(self) -> str:
        return f"{self.check} at length {self.length}: {self.detail or 'passed'}"


@dataclass(frozen=True)
class AuditReport:
    """Every finding of an audit, and the parameters that no gradient reaches."""

    findings: tuple[Finding, ...]
    dead: tuple[str, ...] = ()          # names of parameters whose gradient is missing or exactly zero
    dead_count: int = 0                 # their real degrees of freedom

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """What fails the audit, worst first."""
        return tuple(sorted((f for f in self.findings if f.failed), key=lambda f: (CHECKS.index(f.check), -f.size)))

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if not f.passed and not f.failed)

    def summary(self) -> str:
        """One line: the worst failure with its position and size, or what was passed."""
        if self.failures:
            worst, *others = self.failures
            return f"{worst} (and {len(others)} more)" if others else str(worst)
        lengths = sorted({f.length for f in self.findings})
        split = max((f.size for f in self.findings if f.check == "split law"), default=math.nan)
        note = "".join(f"; {warning}" for warning in self.warnings)
        return f"passed at length {', '.join(map(str, lengths))}; split law within {split:.1g} std{note}"
