"""What stands below the title of a report: the question, then when, how long, where and with what. (no torch)"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...reading import Run
from ..claims.verdict import Verdict
from ..format import span
from .citation import CitedRow
from .versus import Versus

NAMED = 4                                   # plugins that a question names


def question(pairs: Sequence[Versus], suites: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    """What the report answers, as far as what was asked for tells: which plugins, beside which, in which suites."""
    where = f" in {listed(suites)}" if suites else ""
    claims = len({one.claim for one in verdicts})
    asked = [f"Do {claims} claims hold?" if claims > 1 else "Does the claim hold?"] if claims else []
    names = list(dict.fromkeys(pair.plugin for pair in pairs))
    if names:
        more = [f"{len(names) - NAMED + 1} others"] if len(names) > NAMED else []
        shown = names[:NAMED - 1] if more else names
        bases = listed(list(dict.fromkeys(pair.base for pair in pairs)))
        asked.append(f"How {'do' if len(names) > 1 else 'does'} {listed([*shown, *more])} compare with {bases}{where}?")
    elif suites:
        asked.append(f"What was measured{where}?")
    return " ".join(asked) or "What was measured?"


def listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def facts(runs: Sequence[Run], rows: Sequence[CitedRow]) -> Iterator[str]:
    """When, how long, on which machines, with which versions, how much."""
    started = sorted(filter(None, (row.started_at for row in rows)))
    created = sorted(str(run.manifest["created"]) for run in runs if run.manifest.get("created"))
    if dates := list(dict.fromkeys(_date(text) for text in [*created[:1], *started[-1:]])):
        yield "measured " + " to ".join(dates)
    if seconds := wall_time(runs):
        yield f"wall time {span(seconds)}, cell by cell"
    places = [place for run in runs for place in run.environments.values()]
    yield from dict.fromkeys(filter(None, map(machine, places)))
    harnesses = dict.fromkeys(f"harness {run.manifest['harness']}" for run in runs if run.manifest.get("harness"))
    yield ", ".join(dict.fromkeys([*harnesses, *(word for place in places for word in versions(place))]))
    cells = sum(len(run.results) for run in runs)
    yield f"{cells} cell{'s' * (cells != 1)}, {len(rows)} row{'s' * (len(rows) != 1)}"


def wall_time(runs: Sequence[Run]) -> float:
    """Seconds that the cells took, one after the other; a row knows how far its cell had come."""
    return sum(max((row.wall_s or 0.0 for row in result.rows), default=0.0) for run in runs for result in run.results)


def _date(text: str) -> str:
    """ "2026-11-25 10:16 UTC", or the text where it is no time."""
    try:
        return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return text


def machine(environment: Mapping[str, Any]) -> str:
    """The processors of an environment in a few words."""
    cpu, gpus = environment.get("cpu") or {}, environment.get("gpu") or []
    names = [str(gpu.get("name", gpu)) if isinstance(gpu, dict) else str(gpu) for gpu in gpus]
    return ", ".join([f"{cpu.get('model', '')} × {cpu.get('cores', '?')}"] * bool(cpu) + names)


def versions(environment: Mapping[str, Any]) -> Iterator[str]:
    if environment.get("python"):
        yield f"Python {environment['python']}"
    if torch := (environment.get("packages") or {}).get("torch"):
        yield f"torch {torch}"
