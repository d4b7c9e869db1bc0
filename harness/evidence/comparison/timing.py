"""Rows that need several timed cells: paired ratios within a timing group, growth and crossover. (no torch)

Ratios are paired by round with the baseline of the same group. Beside each stands what the A/A control allows to tell:
`limit` is the ratio below which identical code may appear to differ.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ...reading import by_timing_group
from ...store import CellResult, Row
from ..contents import EDITION
from ..statistics import growth
from ..statistics import intervals as stats

CONTROL = "control:"
ANCHOR = "anchor"           # rounds of one program at one length, repeated in every timing group
COMMON = ("cell_id", "suite", "plugin", "options", "family", "code", "params", "params_embedding", "corpus",
          "corpus_sha256", "tokenizer", "seq_len", "batch_size", "device", "dtype", "seed")

SAME = ("preset", "params", "corpus", "tokenizer", "batch_size", "device", "dtype", "threads", "seed")


def derived_row(result: CellResult, metric: str, value: float | None, **fields: Any) -> Row:
    """A row about a cell that was computed from its raw timings."""
    source = result.rows[0] if result.rows else Row()
    return Row(**({name: getattr(source, name) for name in COMMON} | {"metric": metric, "value": value} | fields))


def ratio_rows(results: Sequence[CellResult], phases: Sequence[str]) -> list[Row]:
    """`time_ratio` to the baseline (or first) member of each group, and the `noise_floor` of its control."""
    rows = []
    for members in by_timing_group(results).values():
        base = next((r for r in members if CONTROL + phases[0] in r.raw), None)
        if base is None:
            continue
        for phase in phases:
            reference, twin = base.rounds(phase), base.rounds(CONTROL + phase)
            if not reference or not twin or len(reference) != len(twin):
                continue
            floor = stats.noise_floor((reference, twin))
            rows.append(derived_row(base, "noise_floor", _finite(floor), unit="x", better="lower", phase=phase))
            for member in members:
                own = member.rounds(phase)
                if member is base or not own or len(own) != len(reference):
                    continue
                ratio = stats.paired_ratio(own, reference)
                clear = stats.distinguishable(ratio, floor)
                rows.append(derived_row(
                    member, "time_ratio", ratio.value, unit=f"x {base.label}", better="lower", phase=phase,
                    ci_low=ratio.low, ci_high=ratio.high, limit=_finite(floor),
                    reason="" if clear else "within the noise: not ranked"))
    return rows


def scaling_rows(results: Sequence[CellResult], phase: str = "train") -> list[Row]:
    """Local slopes, the exponent at the long end, a + b T^p, the largest length that fits, crossovers to the baseline.

    Only cells that differ in plugin and length alone are set against each other. Anchors among the results, one program
    at one length in every group, cancel what the machine did between lengths.
    """
    anchors = {r.cell["group"]: r for r in results if r.rounds(ANCHOR)}
    rows = []
    for series in _series(results).values():
        for members in series.values():
            rows += _growth_rows(members, anchors, phase)
        base = next((name for name, members in series.items() if any(CONTROL + phase in r.raw for r in members)), None)
        for name, members in series.items():
            if base not in (None, name):
                rows += _crossover_rows(members, series[base], phase)
    return rows


def relative_rows(results: Sequence[CellResult], name: str, other: str, phase: str) -> list[Row]:
    """How the plugin `name` grows beside `other`: the exponent of their ratio, and the length of the crossover.

    Taken from ratios within the timing group of each length, what the machine did between lengths cancels; in the
    exponents of two plugins it does not.
    """
    rows = []
    for series in _series(results).values():
        if name in series and other in series:
            rows += _relative_exponent_rows(series[name], series[other], phase)
            rows += _crossover_rows(series[name], series[other], phase)
    return rows


def _relative_exponent_rows(members: Sequence[CellResult], base: Sequence[CellResult], phase: str) -> list[Row]:
    partner = {r.cell["group"]: r.rounds(phase) for r in base}
    pairs = [(r, partner[r.cell["group"]]) for r in members if r.rounds(phase) and partner.get(r.cell["group"])]
    ratios = [[a / b for a, b in zip(r.rounds(phase), rounds, strict=False)] for r, rounds in pairs]
    if len(pairs) < 2:
        return []
    lengths = [r.cell["seq_len"] for r, _ in pairs]
    slope = growth.exponent(lengths, ratios)
    return [derived_row(
        pairs[-1][0], "relative_exponent", slope.value, better="lower", phase=phase, ci_low=slope.low,
        ci_high=slope.high, unit=f"T {lengths[max(0, len(lengths) - 3)]}-{lengths[-1]}",
        reason=f"against {base[0].label}")]


def _series(results: Sequence[CellResult]) -> dict[tuple[Any, ...], dict[str, list[CellResult]]]:
    """Cells by what they have in common, the plugins timed beside them included, then by plugin, in order of length."""
    groups = by_timing_group(results)
    beside = {group: tuple(sorted((member.label, repr([member.cell.get(name) for name in EDITION]))
                                  for member in members)) for group, members in groups.items()}
    table: dict[tuple[Any, ...], dict[str, list[CellResult]]] = {}
    measured = [r for r in results if r.cell["seq_len"] and r.cell["protocol"].get("role") != ANCHOR]
    for result in sorted(measured, key=lambda r: r.cell["seq_len"]):
        common = (*(result.cell[key] for key in SAME), beside.get(result.cell["group"]))
        table.setdefault(common, {}).setdefault(result.label, []).append(result)
    return table


def anchored(members: Sequence[CellResult], anchors: Mapping[str, CellResult],
             phase: str) -> tuple[list[list[float]], float]:
    """The rounds of each member over those of the anchor in its group, times the median of all anchors, and the drift
    between groups that is left: none. As they are, with the drift that was seen, where a group has no anchor."""
    rounds = [r.rounds(phase) for r in members]
    beside = [anchors[group].rounds(ANCHOR) if (group := r.cell["group"]) in anchors else [] for r in members]
    if not all(len(own) == len(other) for own, other in zip(rounds, beside, strict=True)):
        return rounds, growth.DRIFT
    unit = statistics.median([seconds for other in beside for seconds in other])
    return [[own / other * unit for own, other in zip(*pair, strict=True)]
            for pair in zip(rounds, beside, strict=True)], 0.0


def _growth_rows(members: Sequence[CellResult], anchors: Mapping[str, CellResult], phase: str) -> list[Row]:
    measured = [r for r in members if r.rounds(phase)]
    if not measured:
        return []
    lengths, (costs, drift) = [r.cell["seq_len"] for r in measured], anchored(measured, anchors, phase)
    slopes = growth.local_slopes(lengths, costs, drift=drift)
    rows = []
    for (shorter, longer), slope in zip(pairwise(measured), slopes, strict=True):
        rows.append(derived_row(
            longer, "local_slope", slope.value, better="lower", phase=phase, ci_low=slope.low, ci_high=slope.high,
            unit=f"from T={shorter.cell['seq_len']}"))
    if len(measured) >= 2:
        slope = growth.exponent(lengths, costs, drift=drift)
        rows.append(derived_row(
            measured[-1], "exponent", slope.value, better="lower", phase=phase, ci_low=slope.low, ci_high=slope.high,
            unit=f"T {lengths[max(0, len(lengths) - 3)]}-{lengths[-1]}"))
    if len(measured) >= 3:
        fit = growth.fit_power(lengths, costs, _bounds(members, phase), drift=drift)
        rows.append(derived_row(
            measured[-1], "fitted_exponent", fit.p, better="lower", phase=phase, ci_low=fit.p_low, ci_high=fit.p_high,
            unit=f"{fit.a:.3g} + {fit.b:.3g} T^p s"))
    if len(members) > len(measured):
        largest = growth.largest_fit(
            [r.cell["seq_len"] for r in members], [bool(r.rounds(phase)) for r in members])
        rows.append(derived_row(
            measured[-1], "largest_length", largest.value, unit="tokens", better="higher", phase=phase,
            ci_low=largest.low, ci_high=largest.high))
    return rows


def _bounds(members: Sequence[CellResult], phase: str) -> dict[int, float]:
    """What a timeout tells: the step took at least as long as the longest step that was measured before it."""
    slowest = max((max(r.rounds(phase)) for r in members if r.rounds(phase)), default=0.0)
    return {r.cell["seq_len"]: slowest for r in members if any(row.status == "timeout" for row in r.rows)}


def _timed_beside(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether the rounds of two cells are pairs, or only one of the two did not fit."""
    return len(ours) == len(theirs) > 0 or bool(ours) != bool(theirs)


def _crossover_rows(members: Sequence[CellResult], base: Sequence[CellResult], phase: str) -> list[Row]:
    other = {r.cell["group"]: r for r in base}
    pairs = [(r, other[r.cell["group"]]) for r in members if r.cell["group"] in other]
    pairs = [(a, b) for a, b in pairs if _timed_beside(a.rounds(phase), b.rounds(phase))]
    if len(pairs) < 2:
        return []
    if any(len(rounds) == 1 for both in pairs for r in both if (rounds := r.rounds(phase))):
        return [derived_row(pairs[-1][0], "crossover_length", None, unit="tokens", better="lower", phase=phase,
                            reason=f"against {pairs[0][1].label}: one round, no spread: not told")]
    found = growth.crossover(
        [a.cell["seq_len"] for a, _ in pairs], [a.rounds(phase) for a, _ in pairs],
        [b.rounds(phase) for _, b in pairs])
    words = {
        "between": "cheaper from here on", "below the shortest": "cheaper at every length measured",
        "beyond the longest": "dearer at every length measured; the gap closes", "none": "dearer at the longest length",
    }
    reason = f"against {pairs[0][1].label}: {words[found.kind]}"
    return [derived_row(pairs[-1][0], "crossover_length", found.length, unit="tokens", better="lower", phase=phase,
                        ci_low=_finite(found.low), ci_high=_finite(found.high), reason=reason)]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
