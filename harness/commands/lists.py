"""`harness plugins`, `suites` and `corpora`: what is registered, and what does not load or misses a dependency."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import PluginError
from .options import Json, PluginFiles, load_listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..registry import Registry
    from ..specs import CorpusSpec, TokenizerSpec


def plugins(plugin_file: PluginFiles = None, as_json: Json = False, options: Annotated[bool, typer.Option(
    help="Show the options of every plugin.")] = False) -> None:
    """List the model plugins, and those that do not load."""
    from ..specs import missing

    registry = load_listed(plugin_file)
    entries = [
        {"name": s.name, "family": s.family, "summary": s.summary, "source": s.source,
         "from": registry.origins[s.name], "unavailable": missing(s)} for s in registry.models.values()
    ]
    broken = [{"name": b.name, "broken": b.reason} for b in registry.broken.values()]
    if as_json:
        print(json.dumps(entries + broken, indent=1))
        return
    for entry in entries:
        print(f"{entry['name']:<14} {entry['family']:<10} {entry['summary']}")
        if entry["unavailable"]:
            print(f"{'':<14} unavailable: {entry['unavailable']}")
        if options and not entry["unavailable"]:
            _print_options(registry, entry["name"])
    for entry in broken:
        print(f"{entry['name']:<14} broken     {entry['broken']}")


def _print_options(registry: Registry, name: str) -> None:
    from ..options import config_class, describe_options

    try:
        kind = config_class(registry.models[name])
    except PluginError as error:
        print(f"{'':<14}   {error}")
        return
    for key, words, default in describe_options(kind):
        print(f"{'':<14}   {key}={default:<14} {words}")
    for component in registry.components.values():
        if component.model == name:
            print(f"{'':<14}   {component.place} {component.name:<14} {component.summary}")
    presets = getattr(kind, "PRESETS", {})
    if presets:
        print(f"{'':<14}   --size {', '.join(presets)}")


def suites(plugin_file: PluginFiles = None, as_json: Json = False) -> None:
    """List the suites."""
    registry = load_listed(plugin_file)
    if as_json:
        entries = [{"name": s.name, "summary": s.summary, "timed": s.timed} for s in registry.suites.values()]
        print(json.dumps(entries, indent=1))
        return
    for suite in registry.suites.values():
        print(f"{suite.name:<14} {suite.summary}")


def corpora(plugin_file: PluginFiles = None, as_json: Json = False) -> None:
    """List the corpora and tokenizers."""
    from ..specs import missing

    registry = load_listed(plugin_file)
    groups: dict[str, Mapping[str, CorpusSpec | TokenizerSpec]] = {
        "corpus": registry.corpora, "tokenizer": registry.tokenizers}
    entries = [
        {"kind": kind, "name": ":".join(filter(None, (s.name, getattr(s, "argument", "")))), "summary": s.summary,
         "unavailable": missing(s)} for kind, table in groups.items() for s in table.values()
    ]
    if as_json:
        print(json.dumps(entries, indent=1))
        return
    for entry in entries:
        print(f"{entry['kind']:<10} {entry['name']:<13} {entry['summary']}")
        if entry["unavailable"]:
            print(f"{'':<24} unavailable: {entry['unavailable']}")
