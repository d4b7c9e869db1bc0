"""What is asked of claim files: they parse, and what they name exists. (no torch)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..audit.findings import CHECKS
from ..errors import HarnessError, unknown
from ..evidence.claims.claim import Claim, Quantity
from ..evidence.claims.file import parse_claims
from ..options import make_config
from ..quantities import format_number
from ..registry import Registry
from ..run.digest import source_files
from ..run.identity import suite_modules
from ..selector import parse_selector
from ..specs import missing
from .lines import Lines
from .result import CheckFailed, CheckResult

DIAGNOSTIC = "diagnostic_"


def check_claims(registry: Registry, plugin: str, paths: Iterable[Path]) -> Iterator[CheckResult]:
    """Every line of a plugin's claim files."""
    for path in map(Path, paths):
        lines, claims = Lines(path.name, ""), list[Claim]()

        def parsed(path: Path = path, claims: list[Claim] = claims) -> str:
            claims += parse_claims(path, plugin)
            tests = sum(len(claim.tests) for claim in claims)
            return f"{format_number(len(claims), 'claim')}, {format_number(tests, 'test')}"

        yield lines.line("claims", parsed)
        yield lines.line("named", lambda claims=claims: _named(registry, claims))  # type: ignore[misc]


def _named(registry: Registry, claims: list[Claim]) -> str:
    """Plugins with their options, suites, and metrics that these make."""
    models, quantities = set[str](), set[str]()
    for claim in claims:
        for test in claim.tests:
            for name in test.plugins:
                try:
                    selector = parse_selector(name)
                    spec = registry.model(selector)
                    if not missing(spec):
                        make_config(spec, dict(selector.options))
                except HarnessError as error:
                    raise CheckFailed(f"claim {claim.id!r}: {error}") from None
            models |= set(test.plugins)
            for quantity in (one for rule in test.rules for one in (rule.quantity, rule.other[1])):
                _made(registry, claim.id, quantity)
                quantities.add(str(quantity))
    return f"{len(models)} forms of plugins, {len(quantities)} quantities"


def _made(registry: Registry, claim: str, quantity: Quantity) -> None:
    """Raise CheckFailed for a suite that there is not, or a metric that neither it declares nor its source names. What
    a model or a case of it names is known when it is measured."""
    if quantity.suite not in registry.suites:
        raise CheckFailed(f"claim {claim!r}: {unknown('suite', quantity.suite, registry.suites)}")
    suite, metric = registry.suites[quantity.suite], re.split("[:@]", quantity.metric)[0]
    if metric in suite.primary or metric.startswith(DIAGNOSTIC) or metric in CHECKS:
        return
    if not any(metric in path.read_text(encoding="utf-8") for path in source_files(*suite_modules(suite))):
        raise CheckFailed(f"claim {claim!r}: {unknown(f'metric of {suite.name}', metric, suite.primary)}")
