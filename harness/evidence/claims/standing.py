"""Which verdicts stand: those by the rules that the claim files hold today. (no torch)

A file of verdicts outlives the rules that they were given by. What was judged by another rule, or under another
protocol, is no verdict on the claim as it is tested now; it is shown as such, and counted by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .claim import Claim
from .table import counts
from .verdict import NOT_A_CLAIM, NOT_RUN, UNMEASURABLE, Verdict

EARLIER = "by an earlier rule"


def stands(claim: Claim, verdict: Verdict) -> bool:
    """Whether a verdict is by just the present rules and protocols of its form, beside its present controls.

    Of one without findings: whether the claim still says that nothing tests it, or has a test at that scale.
    """
    if verdict.verdict in (UNMEASURABLE, NOT_A_CLAIM) and not verdict.findings:
        return verdict.reason == (claim.no_claim if verdict.verdict == NOT_A_CLAIM else claim.unmeasurable)
    if not verdict.findings:
        return any(test.scale == verdict.scale for test in claim.tests)
    form = (verdict.form, verdict.subject, verdict.scale)
    present = {(str(test.rule), test.words): _rules(test.positive, test.negative) for test in claim.tests
               if (test.form, test.subject, test.scale) == form}
    found = {(one.rule, one.protocol): one for one in verdict.findings}
    return found.keys() == present.keys() and all(
        one.verdict == NOT_RUN or _rules(*(control and control.rule for control in (one.positive, one.negative)))
        == present[key] for key, one in found.items())


def _rules(*controls: object) -> tuple[str, ...]:
    """The texts of the controls' rules, "" of none."""
    return tuple(str(control or "") for control in controls)


def standing_counts(claims: Mapping[str, Claim], verdicts: Sequence[Verdict]) -> list[str]:
    """The lines of `counts` over verdicts that stand, then how many do not. Verdicts on claims that are gone are passed
    over."""
    known = [one for one in verdicts if one.claim in claims]
    standing = [one for one in known if stands(claims[one.claim], one)]
    earlier = len(known) - len(standing)
    return counts(standing) + [f"by earlier rules, not measured anew since: {earlier}"] * bool(earlier)
