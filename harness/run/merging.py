"""Several results directories as one: the shards of a run, or runs of several machines. (no torch)

A cell keeps its bytes, the name of its environment included, so that nothing of one machine is compared in time with
another's. One that two of them hold must be the same to the byte.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import FileError, UsageError
from ..locking import at_work
from ..registry import Registry
from ..store import SCHEMA, Store, now, parse_cell
from ..untrusted import Malformed, read_bounded
from ..version import __version__
from ..writing import write_atomically, write_folder
from .environment import together
from .plan import conclude_all


def merge_runs(registry: Registry, sources: Sequence[Path], out: Path, argv: Sequence[str] = ()) -> Store:
    """Copy the cells of `sources`, their weights too, into `out`, and make its tables. What is there already stays.

    Raises FileError for a cell that is not the same in two of them, before anything is written, and UsageError.
    """
    if out in sources:
        raise UsageError(f"{out} is to be merged into itself; name another with --out")
    before = [Store(out)] if out.exists() else []
    stores = [*before, *(Store(source, create=False) for source in sources)]
    manifests = [store.manifest() for store in stores]
    known = dict[str, Path]()                               # where a cell was found first
    texts = dict[str, str]()
    for store in stores:
        for path in sorted(store.cells.glob("c*.json")):
            text = _read(path)
            first = known.setdefault(path.stem, path)
            if texts.setdefault(path.stem, text) != text:
                raise FileError(f"cell {path.stem} was measured twice: {first} and {path} differ; delete the one that "
                                "is not to count")
    target = Store(out)
    with at_work(target.directory):
        for name, path in known.items():
            if path.parent != target.cells:
                weights = path.parents[1] / "weights" / name
                if weights.is_dir():
                    write_folder(target.weights / name, {file.name: file.read_bytes() for file in weights.iterdir()})
                write_atomically(target.cells / path.name, texts[name])
        run = _together([one for one in manifests if one], argv, manifests[0] if before else {})
        target.write_manifest(run)
        conclude_all(registry, target, run["run_id"])
    return target


def _read(path: Path) -> str:
    try:
        content = read_bounded(path)
        parse_cell(content, path.stem)
    except Malformed as wrong:
        raise FileError(f"{path} is corrupt ({wrong}); delete it and run again") from None
    return content.decode()


def _together(
    manifests: Sequence[dict[str, Any]], argv: Sequence[str], kept: dict[str, Any],
) -> dict[str, Any]:
    """One manifest: every command once, in the order of their time, every machine with its limits. The run is the one
    that `kept` is of, or a new one; rows keep the id of the run that measured them, and `merged` has those."""
    commands = {str(command): command for one in manifests for command in one["commands"]}
    limits: dict[str, Any] = {}
    environments: dict[str, Any] = {}
    for one in manifests:
        for place, facts in one["environments"].items():
            environments[place] = together(environments.get(place, {}), facts)
        for place, devices in one["limits"].items():
            limits.setdefault(place, {}).update(devices)
    return {
        "schema": SCHEMA, "harness": __version__, "run_id": kept.get("run_id") or "r" + uuid.uuid4().hex[:12],
        "created": kept.get("created") or now(),
        "commands": [*sorted(commands.values(), key=lambda command: command.get("at", "")),
                     {"at": now(), "argv": list(argv)}],
        "environments": environments,
        "limits": limits,
        "merged": list(dict.fromkeys(name for one in manifests for name in (*one.get("merged", ()), one["run_id"]))),
        "planned": list(dict.fromkeys(name for one in manifests for name in one.get("planned", ()))),
    }
