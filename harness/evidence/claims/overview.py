"""Verdicts by system: what each claims, what holds of it, and a plot of how near it comes. (no torch)

A row is a claim: the source's words, then the verdicts on the published system and on our redesign of it. Those that
were given by an earlier rule say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...registry import Registry
from ..drawing.drawing import Drawing
from ..drawing.grids import dots
from ..drawing.points import Label, Point
from .claim import SUBJECTS, Claim, Rule
from .standing import EARLIER, standing_counts, stands
from .verdict import NOT_A_CLAIM, RuleFinding, Verdict

NEAR = 1e3                              # times what was claimed, beyond which a point is left out of a plot


def by_system(claims: dict[str, Claim], verdicts: Sequence[Verdict]) -> dict[str, tuple[list[Claim], list[Verdict]]]:
    """The claims that each plugin's file holds, and their verdicts."""
    systems: dict[str, tuple[list[Claim], list[Verdict]]] = {}
    for claim in claims.values():
        systems.setdefault(claim.origin, ([], []))[0].append(claim)
    for verdict in verdicts:
        if verdict.claim in claims:
            systems[claims[verdict.claim].origin][1].append(verdict)
    return systems


def overview(registry: Registry, claims: dict[str, Claim], verdicts: Sequence[Verdict]) -> str:
    """The sections of all systems."""
    parts = ["\n".join(f"- {line}" for line in standing_counts(claims, verdicts))]
    for system, (own, found) in by_system(claims, verdicts).items():
        parts.append("\n".join(_section(registry, system, own, found)))
    return "\n\n".join(parts)


def _section(registry: Registry, system: str, claims: Sequence[Claim], verdicts: Sequence[Verdict]) -> Iterator[str]:
    sources = ", ".join(dict.fromkeys(claim.source for claim in claims))
    summary = registry.models[system].summary if system in registry.models else ""
    yield from (f"## {system}", "", f"{sources}." + f" Our model of it: {summary}." * bool(summary), "")
    yield from (f"- {line}" for line in standing_counts({claim.id: claim for claim in claims}, verdicts))
    if claims_drawing(system, claims, verdicts):
        yield from ("", f"![{system}: measured over claimed]({system}.svg)")
    yield from ("", "| it claims | of the published system | of our redesign |", "|---|---|---|")
    for claim in claims:
        own = [one for one in verdicts if one.claim == claim.id]
        words = f"`{claim.id}`: “{claim.quote}”" + " (composed)" * claim.composed
        cells = ["<br>".join(_cell(claim, one) for one in own if one.subject == subject) or "–" for subject in SUBJECTS]
        yield "| " + " | ".join(one.replace("|", "\\|").replace("\n", " ") for one in (words, *cells)) + " |"


def _cell(claim: Claim, verdict: Verdict) -> str:
    """ "by default: **refuted** at 100k parameters: 0.91 ± 0.05×", and that it is by an earlier rule."""
    form = ", ".join(filter(None, [verdict.form, verdict.scale * (verdict.scale == "gpu")]))
    numbers = "; ".join(one.number for one in verdict.findings)
    told = "not a claim" if verdict.verdict == NOT_A_CLAIM else verdict.told
    word, _, scale = told.partition(" at ")
    text = f"**{word}**" + f" at {scale}" * bool(scale) + ": " + (numbers or verdict.reason)
    return ": ".join(filter(None, [form, text])) + f" ({EARLIER})" * (not stands(claim, verdict))


def claims_drawing(system: str, claims: Sequence[Claim], verdicts: Sequence[Verdict]) -> Drawing | None:
    """What was measured over what was claimed, a row per finding; None where nothing has such a ratio."""
    rules = {str(test.rule): test.rule for claim in claims for test in claim.tests}
    places = []
    for verdict in verdicts:
        for finding in verdict.findings:
            point = _beside_claimed(rules.get(finding.rule), finding)
            if point:
                name = ", ".join(filter(None, [verdict.claim, verdict.form]))
                places.append((name, SUBJECTS.index(verdict.subject), point))
    if not places:
        return None
    label = Label("times what is claimed; right of 1 it is surpassed", "x")
    title = f"{system}: how near its claims come (● published system, ▲ our redesign)"
    return dots(places, title=title, label=label, width=760)


def _beside_claimed(rule: Rule | None, finding: RuleFinding) -> Point | None:
    """How far towards the claim: 1 as stated, more where it is surpassed. None of what has no positive ratio."""
    if not rule or rule.threshold <= 0 or finding.value is None or finding.value <= 0:
        return None
    ends = [end / rule.threshold if end and end > 0 else None for end in (finding.value, finding.low, finding.high)]
    if rule.confirms == "below":
        ends = [1 / end if end else None for end in (ends[0], ends[2], ends[1])]
    value, low, high = ends
    if value is None or not 1 / NEAR <= value <= NEAR:
        return None
    both = low is not None and high is not None
    return Point(0.0, value, low if both else None, high if both else None, title=f"{finding.rule}: {finding.verdict}")
