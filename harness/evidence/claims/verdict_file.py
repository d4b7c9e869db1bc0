"""Verdicts on disk: `verdicts.json` beside the cells that they were given on. (no torch)"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ...errors import FileError
from ...store import finite
from ...untrusted import Malformed, parse_json, read_bounded
from ...writing import write_atomically
from .family import corrected
from .verdict import NOT_RUN, Verdict

FILE = "verdicts.json"


def save_verdicts(directory: Path, verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Write verdicts beside a run, corrected for the others of their source. Those that it has of other claims and
    scales stay. Returns all of them."""
    everything = corrected(merged(load_verdicts(directory), list(verdicts)))
    payload = finite({"verdicts": [asdict(verdict) for verdict in everything]})
    write_atomically(directory / FILE, json.dumps(payload, indent=1, ensure_ascii=False) + "\n")
    return everything


def merged(old: Sequence[Verdict], new: Sequence[Verdict]) -> list[Verdict]:
    """The old verdicts that stay, then the new ones.

    A new verdict replaces the old ones of its claim and scale, in every form. One without findings says why a claim is
    not tested: that it is no claim, or none that a measurement decides, ends all that were tested before; that it is
    tested at another scale alone ends those at this one, and leaves what was tested there.
    """
    untested = [verdict for verdict in new if not verdict.findings]
    ended = {place for place in map(_place, old) if any(
        one.claim == place[0] and (one.verdict != NOT_RUN or one.scale != place[1]) for one in untested)}
    tested = {_place(verdict) for verdict in old if verdict.findings} - ended
    new = [verdict for verdict in new if verdict.findings or _place(verdict) not in tested]
    replaced, judged_anew = {_place(verdict) for verdict in new} | ended, {verdict.claim for verdict in new}
    kept = [verdict for verdict in old if _place(verdict) not in replaced
            and (verdict.findings or verdict.claim not in judged_anew)]
    return [*kept, *new]


def _place(verdict: Verdict) -> tuple[str, str]:
    return verdict.claim, verdict.scale


def load_verdicts(directory: Path) -> list[Verdict]:
    """The verdicts beside a run, [] where there are none. Raises FileError where the file is corrupt."""
    path = directory / FILE
    try:
        return parse_json(read_bounded(path), _VerdictFile).verdicts if directory.is_dir() else []
    except FileNotFoundError:
        return []
    except Malformed as wrong:
        raise FileError(f"{path} is corrupt ({wrong}); delete it, "
                        "`harness reproduce` makes it anew from the cells") from None


@dataclass
class _VerdictFile:
    verdicts: list[Verdict]
