"""The table of `docs/peers.md`: models of other packages and ours, at equal parameters and bytes of text."""

from __future__ import annotations

from pathlib import Path

from harness.evidence.comparison.compare import Comparison, compare_runs
from harness.evidence.comparison.table import effect_text
from harness.evidence.format import format_value
from harness.reading import Run, read_run
from harness.registry import Registry
from harness.store import Row
from harness.tuning import choice_in

from .markdown import heading, line

REFERENCE = Path("results/reference/peers")
BASELINE = "baseline"
BITS = ("perplexity", "bits_per_byte", "score")
COSTS = {                                                   # beside the baseline's
    "train tokens/s": ("throughput", "tokens_per_s", "train"),
    "decode tokens/s": ("throughput", "tokens_per_s", "decode"),
    "training peak": ("memory", "peak_bytes", "train"),
    "state": ("memory", "state_bytes_per_sequence", "decode"),
}
Place = tuple[str, str, str, str]                           # suite, metric, phase, corpus or ""


def peers_part(registry: Registry, root: Path) -> str:
    """A row a plugin, the fewest bits first: bits per byte of every corpus and costs, each beside the baseline's."""
    run = read_run(root / REFERENCE, registry)
    corpora = sorted({row.corpus for row in run.rows if _place(row)[:3] == BITS})
    places: dict[str, Place] = {f"bits/byte, `{corpus}`": (*BITS, corpus) for corpus in corpora}
    measured = {_place(row) for row in run.rows}
    places |= {name: (*place, "") for name, place in COSTS.items() if (*place, "") in measured}
    labels = sorted({result.label for result in run.results}, key=lambda label: _order(run, label, corpora))
    beside = {label: _beside(run, registry, label) for label in labels if label != BASELINE}
    lines = [*heading("plugin", "params", *places)]
    for label in labels:
        cells = [_cell(run, label, place, beside.get(label)) for place in places.values()]
        lines.append(line(f"`{label}`", format_value(float(_params(run, label))), *cells))
    versions = ", ".join(sorted({record["packages"]["transformers"] for record in run.environments.values()
                                 if "transformers" in record["packages"]}))
    return "\n".join([*lines, "", f"× is of the baseline's number, with 95 % in brackets. transformers {versions}, one "
                      f"CPU thread. From `{REFERENCE}`; `make readme` makes this table."])


def _place(row: Row | Comparison) -> Place:
    return row.suite, row.metric, row.phase, row.corpus


def _order(run: Run, label: str, corpora: list[str]) -> tuple[float, str]:
    """By the bits of the first corpus; what has none comes last."""
    value = _mean(run, label, (*BITS, corpora[0]))
    return (float("inf") if value is None else value), label


def _beside(run: Run, registry: Registry, label: str) -> dict[Place, Comparison]:
    found = compare_runs(run, run, list(registry.suites.values()), plugins=(BASELINE, label))
    return {_place(row): row for row in found}


def _cell(run: Run, label: str, place: Place, beside: dict[Place, Comparison] | None) -> str:
    own = _rows(run, label, place)
    value = _mean(run, label, place)
    if value is None:
        return next((row.status for row in own), "–")
    text = format_value(value, own[0].unit)
    choice = choice_in(own[0].reason)
    text += f" (`{choice}`)" if choice else ""
    row = beside.get(place) if beside else None
    return f"{text}, {effect_text(row)}" if row and row.effect is not None else text


def _rows(run: Run, label: str, place: Place) -> list[Row]:
    return [row for result in run.results if result.label == label for row in result.rows if _place(row) == place]


def _mean(run: Run, label: str, place: Place) -> float | None:
    """Over seeds."""
    values = [row.value for row in _rows(run, label, place) if row.value is not None]
    return sum(values) / len(values) if values else None


def _params(run: Run, label: str) -> int:
    return next((row.params for result in run.results if result.label == label for row in result.rows if row.params), 0)
