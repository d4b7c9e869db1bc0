"""Scores that were recorded: of every plugin under one protocol, bits of documents under seeds. (no torch)

What a comparison can see depends on how much seeds and documents vary, and that is known from earlier runs: those that
are named, or those that come with the package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from ...errors import FileError
from ...reading import protocol_of
from ...store import CellResult
from ...untrusted import Malformed, parse_json, read_bounded

FILE = "scores.json"
METRIC = "bits_per_byte"
DIGITS = 7


@dataclass(frozen=True)
class Protocol:
    """What the plugins of a comparison have in common; `budget` is in bytes, 0 where none was set."""

    corpus: str
    params: int
    budget: int
    document_bytes: tuple[float, ...]


@dataclass(frozen=True)
class Scored:
    """Bits of the documents under each seed (S, N); `seconds` a seed took."""

    plugin: str
    protocol: Protocol
    seconds: float
    document_bits: tuple[tuple[float, ...], ...]


def scores_of(results: Iterable[CellResult]) -> list[Scored]:
    """Of all that has at least two seeds on two documents; of several learning rates that with the lowest score."""
    cells: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        bits, sizes = result.documents("document_bits", "document_bytes")
        if len(bits) > 1 and any(row.metric == METRIC and row.status == "ok" for row in result.rows):
            how = json.dumps([protocol_of(result), result.cell["protocol"].get("lr"), sizes])
            cells.setdefault((result.label, how), []).append(result)
    best: dict[tuple[str, Protocol], Scored] = {}
    for (label, _), own in sorted(cells.items()):
        seeds = {result.cell["seed"]: result for result in own}
        if len(seeds) > 1:
            found = _scored(label, [seeds[seed] for seed in sorted(seeds)])
            before = best.setdefault((label, found.protocol), found)
            if _total(found) < _total(before):
                best[label, found.protocol] = found
    return list(best.values())


def _scored(label: str, results: Sequence[CellResult]) -> Scored:
    cell = results[0].cell
    sizes = tuple(results[0].series("document_bytes"))
    protocol = Protocol(cell["corpus"], cell["params"] or 0, cell["protocol"].get("budget_bytes") or 0, sizes)
    bits = tuple(tuple(float(f"{bits:.{DIGITS}g}") for bits in result.series("document_bits")) for result in results)
    return Scored(label, protocol, round(fmean(result.rows[0].wall_s or 0.0 for result in results), 2), bits)


def _total(scored: Scored) -> float:
    return fmean(map(sum, scored.document_bits))


def best_protocol(scores: Sequence[Scored], plugins: Sequence[str], corpus: str = "") -> Protocol | None:
    """The one under which most of the plugins were scored, then most others; None where nothing was."""
    of: dict[Protocol, set[str]] = {}
    for one in scores:
        if corpus in ("", one.protocol.corpus):
            of.setdefault(one.protocol, set()).add(one.plugin)
    return max(of, key=lambda protocol: (len(of[protocol] & set(plugins)), len(of[protocol]), protocol.params),
               default=None)


def scores_text(scores: Sequence[Scored]) -> str:
    """As `load_scores` reads it, a record a line."""
    lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in scores)
    return '{"scores": [\n' + lines + "\n]}\n"


def load_scores(directory: Path) -> list[Scored]:
    """Those that come with a folder of reference results, [] where there are none. Raises FileError."""
    path = directory / FILE
    try:
        return parse_json(read_bounded(path), _ScoreFile).scores if directory.is_dir() else []
    except FileNotFoundError:
        return []
    except Malformed as wrong:
        raise FileError(f"{path} is corrupt ({wrong}); `make readme` makes it anew from the cells") from None


@dataclass
class _ScoreFile:
    scores: list[Scored]
