"""`harness lr`: whether a learning rate may be carried from one width to another, measured for a plugin."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UsageError
from ..run import flags
from .listing import Entry, print_listing, print_text
from .options import Device, Json, PluginFiles, Quiet, Tokenizer, Verbose, complete_models, completion, print_objects
from .planning import registry_for

if TYPE_CHECKING:
    from ..evidence.comparison.transfer import AtWidth, Transfer
    from ..store import CellResult

WORDS = {"carried": "the rate may be carried", "not carried": "the rate has to be searched for anew",
         "undecided": "undecided"}
SUITE = "transfer"


def lr(
    plugin: Annotated[str, typer.Argument(
        help="A plugin; NAME:KEY=VALUE sets options.", metavar="SELECTOR", autocompletion=complete_models)],
    params: Annotated[str, typer.Option(
        help="Sizes to measure at, in non-embedding parameters, separated by commas.",
        metavar="COUNTS")] = "30k,100k,300k",
    budget: Annotated[str, typer.Option(help="Bytes of text of every trial.", metavar="BYTES")] = "64k",
    corpus: Annotated[str, typer.Option(
        help="The text to train on.", metavar="SELECTOR",
        autocompletion=completion(flags.Flag("", complete="corpora")))] = "pydoc",
    tokenizer: Tokenizer = "bytes",
    device: Device = "auto",
    timeout: Annotated[float, typer.Option(help="Seconds that a size may take.", metavar="SECONDS")] = 900.0,
    plugin_file: PluginFiles = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure how the best learning rate drifts with width, and whether activations and updates grow with it.

    A search at every size; and a coordinate check: sizes after a few steps at one rate. Exit code 1 where a size fails.

    Example: harness lr phasefield
    """
    from ..evidence.comparison.transfer import transfer
    from ..quantities import parse_counts
    from ..run import plan as planning
    from ..run.flags import RunOptions
    from ..run.request import make_request
    from .apart import measured_apart

    sizes = parse_counts(params, "--params")
    if len(sizes) < 2:
        raise UsageError(f"--params must name two sizes at least, separated by commas, got {params!r}")
    options = RunOptions(suite=SUITE, plugins=plugin, budget=budget, corpus=corpus, tokenizer=tokenizer, device=device,
                         timeout=timeout, plugin_file=tuple(map(str, plugin_file or ())))
    registry = registry_for(options)
    requests = [make_request(registry, replace(options, params=str(size))) for size in sizes]
    planned = planning.merge([planning.make_plan(registry, [SUITE], request, None, False) for request in requests])
    found, stop = measured_apart(planned, options, plugin_file or [], quiet=quiet, verbose=verbose)
    by_plugin: dict[str, list[CellResult]] = {}
    for result in found.values():
        by_plugin.setdefault(result.label, []).append(result)
    for label, results in by_plugin.items():
        measured = transfer(results)
        if as_json:
            print_objects("transfer", [asdict(measured)] if measured else [])
        elif measured:
            print_transfer(measured)
        for result in results:
            for row in result.rows:
                if row.status != "ok" and not as_json:
                    print_text(f"{label} at {result.cell['params']:,} parameters: {row.status}: {row.reason}")
    raise typer.Exit(planning.exit_code([row for result in found.values() for row in result.rows], stop))


def print_transfer(measured: Transfer) -> None:
    """The optimum at every width, the sizes of what was looked at, and the verdict."""
    from ..evidence.format import format_value

    widths = measured.widths
    print_listing([Entry(("params", "width", "learning rate", "window")), *(
        Entry((format_value(float(at.params)), str(at.width), _rate(at), _window(at))) for at in widths)])
    print_listing([Entry(("rms after a few steps", *(f"width {at.width}" for at in widths), "as width^x")), *(
        Entry((f"{growth.kind} {growth.part}", *(f"{size:.3g}" for size in growth.sizes),
               f"{growth.power:+.2f} {growth.word}")) for growth in measured.growths)])
    print_text(f"{measured.plugin}: {WORDS[measured.verdict]}: {measured.reason}")


def _rate(at: AtWidth) -> str:
    return f"{at.lr:.3g}" + (f" ({at.low:.2g} to {at.high:.2g})" if at.low and at.high else "")


def _window(at: AtWidth) -> str:
    return f"{'at least ' * at.open}{at.window:.1f} octaves" + (f"; {at.note}" if at.note else "")
