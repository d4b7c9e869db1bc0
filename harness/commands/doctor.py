"""`harness doctor`: what this machine has, and what it lacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from .options import Json, load_registry

if TYPE_CHECKING:
    from ..specs import Spec


def doctor(as_json: Json = False) -> None:
    """Tell what this machine has, what is missing, and which plugins do not load."""
    from ..run.environment import environment
    from ..specs import missing

    registry = load_registry(None)
    facts = environment()
    specs: list[Spec] = [*registry.models.values(), *registry.corpora.values(), *registry.tokenizers.values()]
    lacking = {s.name: missing(s) for s in specs if missing(s)}
    broken = {b.name: b.reason for b in registry.broken.values()}
    if as_json:
        print(json.dumps({"environment": facts, "unavailable": lacking, "broken": broken}, indent=1))
    else:
        for key, value in facts.items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {v}" for k, v in value.items() if v)
            elif isinstance(value, list):
                value = ", ".join(map(str, value))
            print(f"{key:<16} {value if value not in ('', None) else '-'}")
        for title, table in (("unavailable", lacking), ("broken", broken)):
            for name, reason in table.items():
                print(f"{title:<16} {name}: {reason}")
    if broken:
        raise typer.Exit(3)
