"""Plugins for a run: what is measured is imported elsewhere, what has to work in the command is imported here.
(no torch)"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..quantities import split
from ..run.flags import RunOptions
from ..selector import Selector, parse_selector, split_selectors

if TYPE_CHECKING:
    from ..referee.surveyor import Brought
    from ..registry import Registry
    from ..run.cells import Request

EXPORT = "harness_cell_finished"


def registry_for(options: RunOptions) -> Registry:
    """The plugins of a run. Raises PluginError where one that -p names does not load."""
    from ..referee.sources import texts_of
    from ..referee.survey import surveyed

    files = [Path(file) for file in options.plugin_file]
    texts = [path for selector in selectors(options.corpus, argument=True) for path in texts_of(selector)]
    return surveyed(files, texts, lambda brought: here(options, brought)).hold_to_named()


def asked_for(registry: Registry, options: RunOptions, here: bool = True) -> tuple[list[str], Request, Path]:
    """The suites, the request and the results directory of a run. Raises UsageError, PluginError.

    `here` is whether this machine measures: then it must have the device.
    """
    from ..run.plan import default_directory
    from ..run.request import make_request

    names = split(options.suite)
    if not names:
        raise UsageError("--suite names no suite; `harness suites` lists them")
    if not split_selectors(options.corpus):
        raise UsageError("--corpus names no corpus; `harness corpora` lists them")
    for name in names:
        registry.suite(name)
    request = make_request(registry, options, here)
    return names, request, Path(options.out) if options.out else default_directory(names, request.models)


def registry_with_texts(files: Sequence[Path] | None) -> Registry:
    """Every plugin, for suites and texts that only a file names: what brings some is imported in the command itself."""
    from ..referee.survey import surveyed

    def here(brought: Brought) -> str:
        return " and ".join([*(f"suite {name}" for name in brought.suites),
                             *(f"corpus {spec.name}" for spec in brought.harness_corpora)])

    return surveyed(files or [], [], here).hold_to_named()


def here(options: RunOptions, brought: Brought) -> str:
    """What of a plugin a run needs in the command itself, "" for nothing.

    What is measured is never called to export: it would be handed its own results.
    """
    measured = {selector.name for selector in selectors(options.plugins)}
    own = bool(brought.harness_components) or any(spec.name in measured for spec in brought.harness_models)
    corpora = {selector.name for selector in selectors(options.corpus, argument=True)}
    reasons = [
        *(f"suite {name}" for name in brought.suites if name in split(options.suite)),
        *(f"corpus {spec.name}" for spec in brought.harness_corpora if spec.name in corpora),
        *(f"executor {options.executor}" for hook in brought.hooks
          if hook == "harness_executor" and options.executor != "local"),
        *(f"hook {hook}" for hook in brought.hooks if hook == EXPORT and not own)]
    return " and ".join(reasons)


def selectors(text: str, *, argument: bool = False) -> list[Selector]:
    """Those of a list that are well-formed; of the others the request says what is wrong."""
    found = []
    with suppress(UsageError):
        for part in split_selectors(text):
            with suppress(UsageError):
                found.append(parse_selector(part, argument=argument))
    return found
