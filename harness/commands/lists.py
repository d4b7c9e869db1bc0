"""`harness plugins`, `suites` and `corpora`: what is registered, and what of it cannot be used; one corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import PluginError
from .listing import Entry, print_listing
from .options import Json, PluginFiles, load_listed, load_registry, print_objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..registry import Registry
    from ..specs import CorpusSpec, TokenizerSpec


def plugins(plugin_file: PluginFiles = None, as_json: Json = False, options: Annotated[bool, typer.Option(
    help="Show the options of every plugin.")] = False) -> None:
    """List the model plugins, and those that do not load.

    Example: harness plugins --options
    """
    from ..specs import missing

    registry = load_listed(plugin_file)
    entries = [
        {"name": s.name, "family": s.family, "summary": s.summary, "source": s.source,
         "from": registry.origins[s.name], "unavailable": missing(s)} for s in registry.models.values()
    ]
    broken = [{"name": b.name, "broken": b.reason} for b in registry.broken.values()]
    if as_json:
        described = ({**entry, **(_option_record(registry, entry["name"]) if options else {})} for entry in entries)
        print_objects("plugin", [*described, *broken])
        return
    listed = [Entry((entry["name"], entry["family"], entry["summary"]), (
        f"unavailable: {entry['unavailable']}",) if entry["unavailable"] else
        tuple(_option_lines(registry, entry["name"])) if options else ()) for entry in entries]
    print_listing([*listed, *(Entry((b["name"], "broken", b["broken"])) for b in broken)])


def _option_lines(registry: Registry, name: str) -> Iterator[str]:
    """The options of a plugin under their headings, then the parts and the sizes that it takes."""
    from ..options import config_class, describe_options

    try:
        kind = config_class(registry.models[name])
    except PluginError as error:
        yield str(error)
        return
    yield from _aligned([("option=default", "values"), *(
        (f"{key}={default}", words) for key, words, default in describe_options(kind))])
    components = [spec for spec in registry.components.values() if spec.model == name]
    if components:
        yield from _aligned([("component", "what it is"), *(
            (f"{component.place} {component.name}", component.summary) for component in components)])
    if presets := getattr(kind, "PRESETS", {}):
        yield f"--size {', '.join(presets)}"


def _option_record(registry: Registry, name: str) -> dict[str, object]:
    """The options and the sizes of a plugin for machines; nothing where its config cannot be used."""
    from ..options import config_class, describe_options

    try:
        kind = config_class(registry.models[name])
    except PluginError:
        return {}
    return {"options": [{"name": key, "values": words, "default": default}
                        for key, words, default in describe_options(kind)],
            "sizes": list(getattr(kind, "PRESETS", {}))}


def _aligned(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    size = max(len(first) for first, _ in rows)
    return (f"{first:<{size}}  {second}" for first, second in rows)


def suites(plugin_file: PluginFiles = None, as_json: Json = False) -> None:
    """List the suites.

    Example: harness suites
    """
    registry = load_listed(plugin_file)
    if as_json:
        print_objects("suite", (
            {"name": s.name, "summary": s.summary, "timed": s.timed} for s in registry.suites.values()))
        return
    print_listing([Entry((suite.name, suite.summary)) for suite in registry.suites.values()])


def corpora(
    corpus: Annotated[str | None, typer.Argument(
        help="One to load and describe, such as stdlib:fold=1.", metavar="CORPUS")] = None,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """List the corpora and tokenizers, or load one corpus and tell its sizes, its digest, and what of it is held out
    and yet familiar.

    Example: harness corpora docstrings
    """
    from ..specs import missing

    if corpus is not None:
        _describe(corpus, plugin_file, as_json)
        return

    registry = load_listed(plugin_file)
    groups: dict[str, Mapping[str, CorpusSpec | TokenizerSpec]] = {
        "corpus": registry.corpora, "tokenizer": registry.tokenizers}
    entries = [
        {"kind": kind, "name": ":".join(filter(None, (s.name, getattr(s, "argument", "")))), "summary": s.summary,
         "unavailable": missing(s)} for kind, table in groups.items() for s in table.values()
    ]
    if as_json:
        print_objects("corpus", entries)
        return
    print_listing([Entry((entry["kind"], entry["name"], entry["summary"]),
                         (f"unavailable: {entry['unavailable']}",) if entry["unavailable"] else ())
                   for entry in entries])


def _describe(corpus: str, plugin_file: PluginFiles, as_json: bool) -> None:
    from ..data.corpora import load_documents

    facts = load_documents(*load_registry(plugin_file).corpus(corpus)).describe()
    if as_json:
        print_objects("corpus", [facts])
        return
    print_listing([Entry((name.replace("_", " "), _fact(name, value)))
                   for name, value in facts.items() if value is not None])


def _fact(name: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2%}" if name.endswith("_share") else f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
