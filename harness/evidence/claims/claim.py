"""What a claim is: the words of a source, the protocols that test it, the rules that decide. (no torch)

How they are written down: file.py. What becomes of them: verdict.py.
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
SUBJECTS = ("published", "redesign")        # whose system is judged: the one of the source, or ours after it
SOURCE = "source"                           # in the place of a reason: the threshold is the source's own number


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
    """One rule and the protocol that measures it. `plugins` take part; `flags` are those of `harness run`.

    `because` says why its threshold is what it is. The controls are the rule with another model or quantity in its
    place: of `positive` it must be confirmed, of `negative` refuted; `uncontrolled` says why neither is needed.
    """

    rule: Rule
    form: str = ""
    scale: str = "cpu"
    quick: bool = False
    plugins: tuple[str, ...] = ()
    flags: tuple[tuple[str, Any], ...] = ()
    to_flags: tuple[tuple[str, Any], ...] | None = None     # of what it is compared with, where they differ
    subject: str = SUBJECTS[0]
    because: str = ""
    positive: Rule | None = None
    negative: Rule | None = None
    uncontrolled: str = ""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rule, then those of its controls."""
        return tuple(rule for rule in (self.rule, self.positive, self.negative) if rule)

    @property
    def suites(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(
            suite for rule in self.rules for suite in (rule.quantity.suite, rule.other[1].suite)))

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
        ours = replace(self, plugins=tuple(dict.fromkeys(rule.of for rule in self.rules)), to_flags=None)
        others = tuple(dict.fromkeys(rule.other[0] for rule in self.rules))
        return ours, replace(ours, plugins=others, flags=self.to_flags)


@dataclass(frozen=True)
class Claim:
    """What a source says. `origin` is the plugin whose file holds it.

    `unmeasurable` says why nothing can test it, `no_claim` why it is nothing that a measurement decides; else "".
    `composed`: the quote is stitched from several places.
    """

    id: str
    quote: str
    source: str
    section: str
    failure: str
    tests: tuple[ClaimTest, ...] = ()
    detail: str = ""
    unmeasurable: str = ""
    origin: str = ""
    composed: bool = False
    no_claim: str = ""


def tests_in_words(claim: Claim) -> list[str]:
    """How a claim is tested, a line a test; or why it cannot be."""
    untested = (("unmeasurable", claim.unmeasurable), ("not a claim", claim.no_claim))
    return [f"{word}: {why}" for word, why in untested if why] + [
        ", ".join(filter(None, [test.form, "our redesign" * (test.subject != SUBJECTS[0]), test.scale,
                                "quick" * test.quick])) + f": {test.rule}" for test in claim.tests]
