"""What a claim is: the words of a source, the protocols that test it, the rules that decide. (no torch)

How they are written down: claim_file.py. What becomes of them: verdict.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

KINDS = {
    "ratio": "QUANTITY of `of` over that of `to`", "difference": "QUANTITY of `of` minus that of `to`",
    "bound": "QUANTITY of `of`", "slope": "exponent with which QUANTITY of `of` grows with length",
    "equality": "QUANTITY of `of` over that of `to`, the same within `margin`", "count": "QUANTITY of `of`, exact",
}
SCALES = ("cpu", "gpu")


@dataclass(frozen=True)
class Quantity:
    """SUITE.METRIC[@PHASE]."""

    suite: str
    metric: str
    phase: str = ""

    def __str__(self) -> str:
        return f"{self.suite}.{self.metric}" + (f"@{self.phase}" if self.phase else "")


@dataclass(frozen=True)
class Rule:
    """What number confirms: `quantity` of the plugin `of`, beside that of `to` (its `to_quantity`), at length `at`."""

    kind: str
    quantity: Quantity
    of: str
    confirms: str                           # below | above | equals
    threshold: float
    to: str = ""
    to_quantity: Quantity | None = None
    at: int = 0
    margin: float = 0.0

    @property
    def compares(self) -> bool:
        return bool(self.to or self.to_quantity)

    @property
    def other(self) -> tuple[str, Quantity]:
        """What `of` is compared with."""
        return self.to or self.of, self.to_quantity or self.quantity

    def __str__(self) -> str:
        where = f" at T={self.at}" if self.at else ""
        words = f"{self.quantity} of {self.of}{where}"
        if self.compares:
            sign = "-" if self.kind == "difference" else "/"
            other, quantity = self.other
            words += f" {sign} " + (f"{quantity} of " if self.to_quantity else "") + other
        if self.kind == "slope":
            words = f"growth of {words} with length"
        limit = f"{self.threshold:.4g}" + (f" ± {self.margin:g}" if self.margin and self.confirms == "equals" else "")
        return f"{words} {'=' if self.confirms == 'equals' else '<' if self.confirms == 'below' else '>'} {limit}"


@dataclass(frozen=True)
class ClaimTest:
    """One rule and the protocol that measures it. `plugins` take part; `flags` are those of `harness run`."""

    rule: Rule
    form: str = ""
    scale: str = "cpu"
    quick: bool = False
    plugins: tuple[str, ...] = ()
    flags: tuple[tuple[str, Any], ...] = ()
    to_flags: tuple[tuple[str, Any], ...] | None = None     # of what it is compared with, where they differ

    @property
    def suites(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self.rule.quantity.suite, self.rule.other[1].suite]))

    @property
    def words(self) -> str:
        """The protocol in words: "budget 300k, params 100k, seeds 3"."""
        def flags(given: tuple[tuple[str, Any], ...]) -> str:
            return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in given)

        return flags(self.flags) + (f" against {flags(self.to_flags)}" if self.to_flags else "")

    @property
    def sides(self) -> tuple[ClaimTest, ClaimTest]:
        """What measures `of`, and what measures `to`: one and the same, unless their protocols differ."""
        if self.to_flags is None:
            return self, self
        ours = replace(self, plugins=(self.rule.of,), to_flags=None)
        return ours, replace(ours, plugins=(self.rule.other[0],), flags=self.to_flags)


@dataclass(frozen=True)
class Claim:
    """What a source says. `origin` is the plugin whose file holds it; `unmeasurable` why nothing can test it, or ""."""

    id: str
    quote: str
    source: str
    section: str
    failure: str
    tests: tuple[ClaimTest, ...] = ()
    detail: str = ""
    unmeasurable: str = ""
    origin: str = ""


def tests_in_words(claim: Claim) -> list[str]:
    """How a claim is tested, a line a test; or why it cannot be."""
    lines = [f"unmeasurable: {claim.unmeasurable}"] if claim.unmeasurable else []
    return lines + [", ".join(filter(None, [test.form, test.scale, "quick" * test.quick])) + f": {test.rule}"
                    for test in claim.tests]
