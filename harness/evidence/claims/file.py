"""Claim files: what a source says, how it is tested, what number would confirm it. TOML beside a plugin. (no torch)

    [protocol.quality]                              # shared by the tests of a file; every key may stand in a test too
    params = "100k"
    budget = "300k"
    seeds = 3

    [[claim]]
    id = "wave-quality"
    quote = "Quality: Similar or better"            # the source's own words, short
    source = "seed 003"
    section = "Performance Characteristics"
    failure = "The cosine costs quality."           # what it means if the claim is refuted

    [[claim.test]]
    form = "by default"                             # which form of the plugin, where several are tested
    protocol = "quality"                            # or several, ["quality", "larger"]: a test of each
    kind = "ratio"                                  # of `quantity` of the plugin `of` over that of `to`
    quantity = "perplexity.bits_per_byte@score"     # SUITE.METRIC[@PHASE]
    of = "wave"
    to = "baseline"
    below = 1.01                                    # what confirms: below, above, or equals with a margin
    because = "source"                              # why this threshold; "source": it is the source's own number
    subject = "published"                           # whose system `of` is: the source's, or our "redesign" of it
    positive = "ssm"                                # controls: in the place of `of` one must show the effect,
    negative = "baseline:layers=1"                  # the other cannot

A claim without a test says why: `unmeasurable = "WHY"`, or `no_claim = "WHY"` of a definition, a design, a statement
about others. Tests of one form, subject and scale are one verdict: all must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from ...errors import FileError, HarnessError, one_line, unknown
from ...registry import Registry
from ...untrusted import LARGEST_TEXT, Malformed, held_to, parse_toml, read_bounded
from ..comparison.gate import PHASES
from .claim import KINDS, SCALES, SUBJECTS, Claim, ClaimTest, Quantity, Rule
from .fields import CONTROLS, FLAGS, ClaimsTable, ClaimTable, ProtocolTable, TestTable

DIRECTIONS = ("below", "above", "equals")
CLAIM = ("id", "quote", "source", "section", "failure")
UNTESTED = ("unmeasurable", "no_claim")


def load_claims(registry: Registry) -> tuple[dict[str, Claim], list[str]]:
    """Every claim that the hook `harness_claims` names, by id; and a line for every file that cannot be read."""
    claims: dict[str, Claim] = {}
    problems = []
    for hook in registry.manager.hook.harness_claims.get_hookimpls():
        name, brought = hook.plugin_name.rpartition(".")[2], cast(Callable[[], Iterable[Path]], hook.function)
        try:
            for path in brought():
                for claim in parse_claims(Path(path), name):
                    if claim.id in claims:
                        raise FileError(f"{path}, claim {claim.id!r}, id: {claims[claim.id].origin} has a claim of "
                                        "this id; choose another")
                    claims[claim.id] = claim
        except HarnessError as error:
            problems.append(str(error))
        except Exception as error:                          # a plugin's hook may raise anything
            problems.append(f"{name}: harness_claims() failed: {one_line(error)}")
    return claims, problems


def parse_claims(path: Path, origin: str = "") -> list[Claim]:
    """The claims of a file. Raises FileError with the file, the claim, the field and the mend."""
    try:
        table = parse_toml(read_bounded(path, LARGEST_TEXT))
    except FileNotFoundError:
        raise FileError(f"cannot read the claims {path}: No such file or directory") from None
    except Malformed as wrong:
        raise FileError(f"{path} is not TOML: {wrong}") from None
    where = ""
    try:
        found = held_to(table, ClaimsTable)
        for name, protocol in found.protocol.items():
            where = f", protocol {name!r}"
            held_to(protocol, ProtocolTable)
        claims = []
        for number, entry in enumerate(found.claim, 1):
            where = f", claim {entry.get('id', number)!r}"
            claims.append(_claim(entry, found.protocol, origin))
        ids = [claim.id for claim in claims]
        where = ""
        if twice := next((one for one in ids if ids.count(one) > 1), None):
            raise Malformed("id", f"{twice!r} is given twice; ids must differ")
        return claims
    except Malformed as wrong:
        place = f"{wrong.place}: " if wrong.place else ""
        raise FileError(f"{path}{where}, {place}{wrong.reason}") from None


def _claim(entry: Mapping[str, Any], protocols: Mapping[str, Any], origin: str) -> Claim:
    held_to(entry, ClaimTable)
    for name in CLAIM:
        if not entry.get(name):
            raise Malformed(name, "is missing; every claim has id, quote, source, section and failure")
    if any(sign.isspace() or sign in ",:" for sign in entry["id"]):
        raise Malformed("id", f"{entry['id']!r} must be one word without commas and colons, such as wave-quality")
    told = [name for name in ("test", *UNTESTED) if entry.get(name)]
    if len(told) != 1:
        raise Malformed("test", "give [[claim.test]] tables, or unmeasurable = \"WHY\", or no_claim = \"WHY\" (a "
                        f"definition, a design, a statement about others); got {' and '.join(told) or 'none'}")
    return Claim(**{name: entry[name] for name in CLAIM}, detail=entry.get("detail", ""), origin=origin,
                 tests=tuple(one for test in entry.get("test", []) for one in _tests(test, protocols)),
                 composed=entry.get("composed", False), **{name: entry.get(name, "") for name in UNTESTED})


def _tests(entry: Mapping[str, Any], protocols: Mapping[str, Any]) -> list[ClaimTest]:
    """One rule under each of its protocols."""
    held_to(entry, TestTable)
    named = entry.get("protocol", "")
    names = [named] if isinstance(named, str) else named
    if not names:
        raise Malformed("protocol", "names none; leave it out, or name one of [protocol.NAME]")
    return [_test({**entry, "protocol": name}, protocols) for name in names]


def _test(entry: Mapping[str, Any], protocols: Mapping[str, Any]) -> ClaimTest:
    for key in ("protocol", "to_protocol"):
        name = entry.get(key, "")
        if name and name not in protocols:
            raise Malformed(key, f"there is no [protocol.{name}]; known: {', '.join(protocols) or 'none'}")
    given = _overridden(protocols.get(entry.get("protocol", ""), {}), entry)
    for key, known in (("scale", SCALES), ("subject", SUBJECTS)):
        if given.get(key, known[0]) not in known:
            raise Malformed(key, f"must be {' or '.join(known)}, not {given[key]!r}")
    rule = _rule(entry)
    positive, negative = (_control(given, role, rule) for role in ("positive", "negative"))
    if positive and positive == negative:
        raise Malformed("negative", "is the positive control; it must be what cannot show the effect")
    rules = [one for one in (rule, positive, negative) if one]
    plugins = [*(given.get("plugins") or ()), *(name for one in rules for name in (one.of, one.other[0]))]
    if "to_protocol" in entry and not rule.compares:
        raise Malformed("to_protocol", f"a {rule.kind} is of one plugin under one protocol")
    other = _flags({**protocols[entry["to_protocol"]], **entry}) if "to_protocol" in entry else None
    return ClaimTest(rule, given.get("form", ""), given.get("scale", "cpu"), given.get("quick", False),
                     tuple(dict.fromkeys(plugins)), _flags(given), other, given.get("subject", SUBJECTS[0]),
                     given.get("because", ""), positive, negative, given.get("uncontrolled", ""))


def _overridden(protocol: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol with what the test says before it. Controls, and why there are none, replace each other."""
    for fields in (protocol, entry):
        if fields.get("uncontrolled") and (both := next((name for name in CONTROLS if fields.get(name)), "")):
            raise Malformed("uncontrolled", f"beside {both}: a test has controls, or says why it needs none")
    kept = dict(protocol)
    if entry.get("uncontrolled"):
        kept = {name: value for name, value in protocol.items() if name not in CONTROLS}
    elif any(entry.get(name) for name in CONTROLS):
        kept.pop("uncontrolled", None)
    return {**kept, **entry}


def _control(given: Mapping[str, Any], role: str, rule: Rule) -> Rule | None:
    """The rule with the control in its place; None where there is none."""
    of, quantity = given.get(role, ""), given.get(f"{role}_quantity", "")
    if not (of or quantity):
        return None
    if quantity:
        _quantity(given, f"{role}_quantity")
    control = _rule({**given, "of": of or rule.of, "quantity": quantity or str(rule.quantity)})
    if control == rule:
        raise Malformed(role, f"must be another than `of`, which is {rule.of!r} with {rule.quantity}")
    return control


def _flags(given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, value) for key, value in sorted(given.items()) if key in FLAGS)


def _rule(entry: Mapping[str, Any]) -> Rule:
    for name in ("kind", "quantity", "of"):
        if not entry.get(name):
            raise Malformed(name, "is missing; every test has kind, quantity and of")
    kind = entry["kind"]
    if kind not in KINDS:
        raise Malformed("kind", f"must be one of {', '.join(KINDS)}, not {kind!r}")
    given = [name for name in DIRECTIONS if name in entry]
    if len(given) != 1:
        raise Malformed("below", f"give one of {', '.join(DIRECTIONS)}; got {' and '.join(given) or 'none'}")
    confirms = given[0]
    if (confirms == "equals") != (kind in ("equality", "count")):
        raise Malformed(confirms, "equality and count take equals (and a margin), every other kind below or above")
    if "margin" in entry and (confirms != "equals" or not 0 <= entry["margin"] < 1):
        raise Malformed("margin", "must be a share of 1 beside equals")
    if kind == "equality" and not entry.get("margin"):
        raise Malformed("margin", "is missing; equality holds within a margin, such as 0.02")
    to = entry.get("to", entry["of"] if "to_protocol" in entry else "")
    rule = Rule(kind, _quantity(entry, "quantity"), entry["of"], confirms, float(entry[confirms]), to,
                _quantity(entry, "to_quantity") if "to_quantity" in entry else None, entry.get("at", 0),
                float(entry.get("margin", 0)))
    if kind in ("ratio", "difference", "equality") and not rule.compares:
        raise Malformed("to", f"is missing; a {kind} is to another plugin (to) or quantity (to_quantity)")
    if kind in ("bound", "slope", "count") and rule.compares:
        raise Malformed("to", f"a {kind} is of one plugin; use ratio, difference or equality")
    return rule


def _quantity(entry: Mapping[str, Any], name: str) -> Quantity:
    suite, dot, metric = entry[name].partition(".")
    if not (suite and dot and metric):
        raise Malformed(name, f"write it as SUITE.METRIC or SUITE.METRIC@PHASE, not {entry[name]!r}")
    before, at, phase = metric.rpartition("@")
    return Quantity(suite, before, phase) if at and phase in PHASES else Quantity(suite, metric)


def select(claims: Mapping[str, Claim], ids: Iterable[str] = (), source: str = "", plugin: str = "") -> list[Claim]:
    """Claims by id, by source (`seed 003`, or a part of it) and by the plugin that holds them. Raises UsageError."""
    for name in ids:
        if name not in claims:
            raise unknown("claim", name, claims)
    chosen = [claims[name] for name in dict.fromkeys(ids)] or list(claims.values())
    for given, attribute in ((source, "source"), (plugin, "origin")):
        found = [claim for claim in chosen if given.lower() in getattr(claim, attribute).lower()]
        if not found:
            raise unknown(attribute.replace("origin", "plugin") + " of claims", given,
                          {getattr(claim, attribute) for claim in chosen})
        chosen = found
    return chosen


