"""The table of `docs/peers.md`: models of other packages and ours, at equal parameters and bytes of text."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from harness.evidence.format import format_value
from harness.reading import read_run
from harness.registry import Registry
from harness.store import Row

from .markdown import heading, line
from .values import BASELINE, beside_baseline, value_cell

REFERENCE = Path("results/reference/peers")
BITS = ("perplexity", "bits_per_byte", "score")
COSTS = {
    "train tokens/s": ("throughput", "tokens_per_s", "train"),
    "decode tokens/s": ("throughput", "tokens_per_s", "decode"),
    "training peak": ("memory", "peak_bytes", "train"),
    "state": ("memory", "state_bytes_per_sequence", "decode"),
}


def peers_part(registry: Registry, root: Path) -> str:
    """A row a plugin, the fewest bits first: bits per byte of every corpus and costs, each beside the baseline's."""
    run = read_run(root / REFERENCE, registry)
    of_label: dict[str, list[Row]] = {}
    for result in run.results:
        of_label.setdefault(result.label, []).extend(result.rows)
    corpora = sorted({row.corpus for row in run.rows if _place(row) == BITS})
    columns = [(f"bits/byte, `{corpus}`", BITS, corpus) for corpus in corpora]
    columns += [(name, place, "") for name, place in COSTS.items() if place in map(_place, run.rows)]

    def cell(label: str, place: tuple[str, str, str], corpus: str) -> str:
        own = [row for row in of_label[label] if corpus in ("", row.corpus)]
        value = value_cell(own, *place, None, interval=False)
        effect = beside_baseline(run, registry, label, *place, corpus) if label != BASELINE else "–"
        return value if effect == "–" else f"{value}, {effect}"

    lines = [*heading("plugin", "params", *(name for name, _, _ in columns))]
    for label in sorted(of_label, key=lambda label: (_bits(of_label[label], corpora[0]), label)):
        params = next((row.params for row in of_label[label] if row.params), 0)
        lines.append(line(f"`{label}`", format_value(float(params)),
                          *(cell(label, place, corpus) for _, place, corpus in columns)))
    versions = ", ".join(sorted({record["packages"]["transformers"] for record in run.environments.values()
                                 if "transformers" in record["packages"]}))
    return "\n".join([*lines, "", f"× is of the baseline's number, with 95 % in brackets. transformers {versions}, one "
                      f"CPU thread. From `{REFERENCE}`; `make readme` makes this table."])


def _place(row: Row) -> tuple[str, str, str]:
    return row.suite, row.metric, row.phase


def _bits(rows: list[Row], corpus: str) -> float:
    """Of one corpus, the mean over seeds; infinite where there are none."""
    values = [row.value for row in rows if _place(row) == BITS and row.corpus == corpus and row.value is not None]
    return fmean(values) if values else float("inf")
