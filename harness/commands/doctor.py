"""`harness doctor`: what this machine has, and what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from .listing import Entry, print_listing
from .options import Json, load_registry, print_objects

if TYPE_CHECKING:
    from ..specs import Spec


def doctor(as_json: Json = False) -> None:
    """Tell what this machine has, what is missing, and which plugins do not load.

    Example: harness doctor
    """
    from ..bench.energy import method
    from ..run.environment import environment
    from ..specs import missing

    registry = load_registry(None)
    facts = environment()
    specs: list[Spec] = [*registry.models.values(), *registry.corpora.values(), *registry.tokenizers.values()]
    lacking = {s.name: missing(s) for s in specs if missing(s)}
    broken = {b.name: b.reason for b in registry.broken.values()}
    energy = {device: how if told else f"none: {how}" for device in ("cpu", *["cuda"] * bool(facts["gpu"]))
              for told, how in [method(device)]}
    if as_json:
        print_objects("machine", [{"environment": facts, "energy": energy, "unavailable": lacking, "broken": broken}])
    else:
        listed = [Entry((key, in_words(value))) for key, value in facts.items()]
        for title, table in (("energy", energy), ("unavailable", lacking), ("broken", broken)):
            listed += [Entry((title, f"{name}: {reason}")) for name, reason in table.items()]
        print_listing(listed)
    if broken:
        raise typer.Exit(3)


def in_words(value: Any) -> str:
    """A fact in words: what is nested between brackets, what is not known as "-"."""
    if isinstance(value, dict):
        parts = [f"{key} {in_words(one)}" for key, one in value.items() if one not in ("", None, [], {})]
    elif isinstance(value, list):
        parts = [f"({in_words(one)})" if isinstance(one, dict) else in_words(one) for one in value]
    else:
        return f"{value:.4g}" if isinstance(value, float) else "-" if value in ("", None) else str(value)
    return ", ".join(parts) or "-"
