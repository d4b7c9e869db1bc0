"""`harness power`: before a run, which difference it can see, and what would be enough."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError
from ..quantities import format_count, format_number
from ..selector import parse_selector, split_selectors
from .options import Json, PluginFiles, complete_models, load_registry, print_objects

if TYPE_CHECKING:
    from ..evidence.comparison.recorded import Protocol, Scored
    from ..evidence.statistics.power import Components, Trial

SEEDS = (2, 3, 5, 8, 12, 20)                # of which the documents that would be enough are told
MOST_SEEDS, MOST_RUNGS = 1_000, 100
SHARE = "a share such as 1% or 0.01"


def power(
    runs: Annotated[list[Path] | None, typer.Argument(
        help="Results directories whose recorded variances count; default: those that come with the package.",
        metavar="RUNS")] = None,
    plugins: Annotated[str, typer.Option(
        help="Two plugins or more; every further one beside the first.", metavar="X,Y",
        autocompletion=complete_models)] = "",
    difference: Annotated[str, typer.Option(help="The true difference to see, a share of the score.",
                                            metavar="SHARE")] = "1%",
    metric: Annotated[str, typer.Option(help="A score that is compared by document: bits_per_byte.",
                                        metavar="NAME")] = "bits_per_byte",
    seeds: Annotated[int, typer.Option(help="Seeds of each plugin.", metavar="N")] = 3,
    documents: Annotated[int, typer.Option(help="Held-out documents; default: as many as recorded.",
                                           metavar="N")] = 0,
    rungs: Annotated[int, typer.Option(help="Rungs whose ratios are averaged, each with seeds of its own.",
                                       metavar="N")] = 1,
    corpus: Annotated[str, typer.Option(help="Only what was recorded on this corpus.", metavar="NAME")] = "",
    plugin_file: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Say before a run which difference it can see with so many seeds, documents and rungs, and what would be enough.

    The test is that of `harness compare`: scores paired by document, seeds of each side apart, at 5 % two-sided; how
    much documents and seeds vary is taken from recorded scores. Of a plugin without a record the median of the others
    stands in. Exit code 2 where nothing was recorded that could.

    Example: harness power --plugins ssm,phasefield --difference 1%
    """
    from ..evidence.comparison.recorded import METRIC, best_protocol, load_scores, scores_of
    from ..evidence.statistics.power import Trial
    from ..layout import reference_claims

    share, chosen = parse_share(difference), split_selectors(plugins)
    if len(chosen) < 2:
        raise UsageError(f"--plugins must name two plugins or more, X,Y; got {plugins!r}")
    if metric != METRIC:
        raise UsageError(f"--metric must be {METRIC}, whose documents are recorded; got {metric!r}")
    for name, value, least, most in (("--seeds", seeds, 1, MOST_SEEDS), ("--rungs", rungs, 1, MOST_RUNGS),
                                     ("--documents", documents, 0, 1_000_000)):
        if not least <= value <= most:
            raise UsageError(f"{name} must lie between {least} and {most}, got {value}")
    scores = scores_of(found for run in runs for found in read_cells(run)) if runs else load_scores(reference_claims())
    hold_to_known(chosen, {score.plugin for score in scores}, plugin_file)
    protocol = best_protocol(scores, chosen, corpus)
    if protocol is None:
        where = " and ".join(map(str, runs)) if runs else "the package"
        raise UsageError(f"{where} recorded no plugin with two seeds{f' on {corpus}' if corpus else ''}; "
                         "run some with --seeds 3 and name the directory")
    own = [one for one in scores if one.protocol == protocol]
    trial = Trial(seeds, documents or len(protocol.document_bytes), rungs)
    answers = [answer(own, chosen[0], other, share, trial) for other in chosen[1:]]
    if as_json:
        print_objects("power", answers)
    else:
        print("\n".join([recorded_line(protocol, own), *(line for one in answers for line in lines_of(one))]))


def parse_share(text: str) -> float:
    """ "1%" or "0.01" -> 0.01. Raises UsageError."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise UsageError(f"--difference must be {SHARE}, between 0 and 1; got {text!r}")
    return share


def hold_to_known(plugins: Sequence[str], recorded: Collection[str], files: list[Path] | None) -> None:
    """Raise UsageError for a plugin that is neither recorded nor there: it would be taken for one without a record."""
    if new := [name for name in plugins if name not in recorded]:
        registry = load_registry(files)
        for name in new:
            registry.model(parse_selector(name))


def read_cells(directory: Path) -> Sequence[Any]:
    """The cells of a run. Raises FileError."""
    from ..reading import read_run

    return read_run(directory, load_registry(None)).results


def answer(scores: Sequence[Scored], one: str, other: str, share: float, trial: Trial) -> dict[str, Any]:
    """What a trial sees of two plugins: power, the least difference that it tells with 80 %, what would be enough."""
    from ..evidence.statistics import power as statistics

    found, standing = components_of(scores, one, other)
    seconds = {score.plugin: score.seconds for score in scores}
    known = [seconds[name] for name in (one, other) if name in seconds]
    least = statistics.detectable(found, trial)
    ways = [{"seeds": seeds, "documents": enough, "seconds": seeds * trial.rungs * sum(known) if known[1:] else None}
            for seeds in SEEDS if (enough := statistics.enough(found, share, seeds, trial.rungs)) is not None]
    return {"plugin": other, "beside": one, "difference": share, "seeds": trial.seeds, "documents": trial.documents,
            "rungs": trial.rungs, "power": statistics.power(found, share, trial),
            "detectable": least if math.isfinite(least) else None, "standing_in": standing,
            "seed_sd": [math.sqrt(variance) for variance in found.seeds],
            "document_sd": math.sqrt(found.documents), "enough": ways}


def components_of(scores: Sequence[Scored], one: str, other: str) -> tuple[Components, list[str]]:
    """Of two plugins as recorded; where one is not, the medians over all pairs, and who it is."""
    import numpy as np

    from ..evidence.statistics.power import Components, components

    known = {score.plugin: np.array(score.document_bits) for score in scores}
    sizes = np.array(scores[0].protocol.document_bytes)
    missing = [name for name in (one, other) if name not in known]
    if not missing and one != other:
        return components(known[one], known[other], sizes), []
    here = next((name for name in (one, other) if name in known), "")
    names = list(known)
    pairs = [(a, b) for a in ([here] if here else names) for b in names if a != b]
    if not pairs:
        raise UsageError(f"only {names[0]} was recorded, and a comparison takes two; name a directory with both")
    each = [components(known[a], known[b], sizes) for a, b in pairs]
    seeds, under = (np.median([getattr(c, name) for c in each], axis=0) for name in ("seeds", "under_seed"))
    return Components(float(np.median([c.documents for c in each])), (float(seeds[0]), float(seeds[1])),
                      (float(under[0]), float(under[1])), each[0].effective, each[0].recorded), missing or [other]


def recorded_line(protocol: Protocol, scores: Sequence[Scored]) -> str:
    """ "recorded: 27 plugins at 100k parameters …"."""
    from ..evidence.statistics.intervals import effective_number

    sizes = protocol.document_bytes
    effective = effective_number(sizes)
    least = min(len(score.document_bits) for score in scores)
    return (f"recorded: {format_number(len(scores), 'plugin')} with {least} seeds or more, on "
            f"{format_number(len(sizes), 'document')} of {protocol.corpus}, which count as {effective:.1f} of one "
            f"size; {format_count(protocol.params)} parameters, {format_count(protocol.budget)}B of training")


def lines_of(found: dict[str, Any]) -> list[str]:
    """What one answer says."""
    from ..evidence.format import span

    names = f"{found['plugin']} beside {found['beside']}"
    stand = f"{names}: no record of {' and '.join(found['standing_in'])}; medians of the others stand in"
    one, other = found["seed_sd"]
    rungs = f" on {found['rungs']} rungs" if found["rungs"] > 1 else ""
    trial = f"{format_number(found['seeds'], 'seed')}, {format_number(found['documents'], 'document')}{rungs}"
    least = "no difference at all" if found["detectable"] is None else f"{found['detectable']:.1%} or more"
    why = "; one seed tells nothing of other seeds" if found["seeds"] < 2 else ""
    lines = [stand] * bool(found["standing_in"]) + [
        f"{names}: seeds vary by {one:.2%} and {other:.2%}, the documents' ratio by {found['document_sd']:.2%}",
        f"{names}: {trial}: {found['difference']:.3g} is seen with a power of {found['power']:.0%}; "
        f"with 80 %: {least}{why}"]
    ways = [f"{way['seeds']} seeds on {way['documents']} documents"
            + (f" ({span(way['seconds'])})" if way["seconds"] else "") for way in found["enough"]]
    return [*lines, f"{names}: enough for 80 %: " + (", ".join(ways) or "more than 20 seeds")]
