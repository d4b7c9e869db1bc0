"""`harness claim`: everything about one claim on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .claims import claim_record, complete_claims, known_claims
from .listing import Entry, print_listing, print_text
from .options import Json, PluginFiles, load_registry, print_objects


def claim(
    name: Annotated[str, typer.Argument(
        help="The claim's id; `harness claims` lists them.", metavar="CLAIM", autocompletion=complete_claims)],
    results: Annotated[Path | None, typer.Option(
        help="A run with verdicts; default: those of the reference machine.", metavar="PATH")] = None,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Show one claim: words, source, protocol, controls, cells, effect, where its verdict turns, the command again.

    Without a verdict it shows the protocol alone.

    Example: harness claim wave-memory
    """
    from ..evidence.claims.file import select
    from ..evidence.claims.page import page
    from ..evidence.claims.verdict_file import load_verdicts
    from ..layout import reference_claims

    known, _ = known_claims(load_registry(plugin_file))
    chosen, = select(known, [name])
    folder = results or reference_claims()
    verdicts = [one for one in load_verdicts(folder) if one.claim == name]
    if as_json:
        print_objects("claim", [claim_record(chosen, verdicts)])
        return
    for part in page(chosen, verdicts):
        print_text(part.heading)
        print_listing([Entry((f"  {heading}", text)) for heading, text in part.facts])
        print()
    if chosen.tests and not verdicts:
        print_text(f"{folder} has no verdict on it; harness reproduce {name} --out {folder} gives one")
