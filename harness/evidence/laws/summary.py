"""What two ladders come to, in sentences. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence

from ...quantities import format_count, format_number
from ..format import format_value
from ..statistics.student import CONFIDENCE, Estimate
from .comparison import Answer, LadderComparison, compare_ladders
from .heldout import HeldOut
from .multiplier import FURTHEST
from .point import RESOURCES, NoLaw, Point

UNITS = {"flops": "FLOP", "bytes": "B", "seconds": "s", "energy_j": "J", "state_bytes": "B", "params": ""}


def ladder_lines(points: Sequence[Point], baseline: str, other: str) -> list[str]:
    """Multipliers with intervals, the laws behind them, and the rungs held out; or the line that says why not."""
    try:
        return comparison_lines(compare_ladders(points, baseline, other))
    except NoLaw as reason:
        return [f"no law: {reason}"]


def comparison_lines(found: LadderComparison) -> list[str]:
    lines = [line for answer in found.answers for line in _answered(answer, found.sharing)]
    lines += [f"no multiplier: {reason}" if not reason.startswith("no ") else reason for reason in found.unanswered]
    lines += [held_out_line(rung) for rung in found.held_out]
    lines.append(f"law: L = E + A/N^alpha + B/D^beta, of {format_number(found.rungs, 'rung')} "
                 f"of {format_number(found.runs, 'run')}")
    lines += [f"law on {corpus}: E {interval_text(own['E'])} bits/byte, alpha {interval_text(own['alpha'])}, "
              f"beta {interval_text(own['beta'])}; the best size grows as compute^{interval_text(own['a'])}"
              for corpus, own in found.estimates.items()]
    worth = {name: interval_text(factor) for name, factor in found.factors.items()}
    verdict = "is not rejected" if sharing_holds(found.sharing) else "is rejected: each has its own above"
    lines.append(f"law: that both share exponents and factors {verdict} (p = {found.sharing:.2g}); shared, a parameter "
                 f"of {found.other} is worth {worth['rho_N']} of {found.baseline}, a byte {worth['rho_D']}")
    return lines


def _answered(answer: Answer, sharing: float) -> list[str]:
    """The answer that counts, and below it the other one."""
    shared, own = (answer.here, answer.further), (answer.own_here, answer.own_further)
    (here, further), (check, beyond) = (shared, own) if sharing_holds(sharing) else (own, shared)
    kind = "own" if sharing_holds(sharing) else "shared"
    what = RESOURCES[here.resource]
    return [
        f"{here.corpus}: {here.plugin} needs {interval_text(here.estimate)} times the {what} of {here.baseline} at "
        f"{here.loss:.4g} bits/byte, the lowest that both reach ({here.baseline}: "
        f"{amount_text(here.cost, here.resource)}); at {FURTHEST:g}x: {interval_text(further.estimate)}",
        f"  with {kind} exponents: {interval_text(check.estimate)}; at {FURTHEST:g}x: {interval_text(beyond.estimate)}"]


def sharing_holds(p: float) -> bool:
    """Whether one pair of exponents for all is not rejected."""
    return p >= 1 - CONFIDENCE


def held_out_line(rung: HeldOut) -> str:
    """ "held out: ssm at 1M parameters and 10 MB of text: …"."""
    verdict = {True: "inside", False: "outside", None: "no interval"}[rung.covered]
    return (f"held out: {rung.plugin} at {format_count(rung.params)} parameters and {format_value(rung.bytes, 'B')} of "
            f"{rung.corpus}: predicted {interval_text(rung.predicted)}, measured {rung.measured:.4g} "
            f"({format_number(rung.seeds, 'seed')}; {rung.deviation:+.1%}): {verdict}")


def amount_text(amount: float, resource: str) -> str:
    """ "1.5 TFLOP", "3 MB", "410 s": three digits of a resource, parameters or state."""
    unit, amount = UNITS[resource], float(f"{amount:.3g}")
    text = f"{amount:g} " if unit == "s" else format_value(amount, "B").removesuffix("B")
    return text + unit


def interval_text(estimate: Estimate) -> str:
    """ "0.80 [0.70, 0.95]"; an end that the points do not give is "open"."""
    low, high = ("open" if end is None else _digits(end) for end in (estimate.low, estimate.high))
    return f"{_digits(estimate.value)} [{low}, {high}]"


def _digits(value: float) -> str:
    return f"{value:.2f}" if 0.1 <= abs(value) < 10 else f"{value:.3g}"
