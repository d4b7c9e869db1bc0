"""A cell is one measurement to make; a request is what the user asked for; suites turn one into the other. (no torch)

The hash of a cell names its file, so resuming, sharding and running on many machines need no lock. It covers the source
of the plugin too: an edited model is measured again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .. import __version__
from ..options import config_class
from ..registry import Registry
from ..specs import CorpusSpec, ModelSpec, Selector, missing

HASH_LENGTH = 16
RELATIVE_IMPORT = re.compile(rb"^[ \t]*from[ \t]+(\.+)([\w.]*)[ \t]+import[ \t]+([^#\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One frozen measurement. `protocol` holds what only its suite understands, as sorted (key, value) pairs.

    Cells with the same `group` are timed in interleaved rounds, one worker per `lane`. `needs` are ids of cells whose
    results this one reads (a learning-rate search).
    """

    suite: str
    plugin: str
    options: tuple[tuple[str, str], ...] = ()
    preset: str = ""
    params: int = 0
    state_bytes: int = 0                    # of one sequence, in the place of params
    corpus: str = ""
    tokenizer: str = ""
    seq_len: int = 0
    batch_size: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    seed: int = 0
    protocol: tuple[tuple[str, Any], ...] = ()
    group: str = ""
    alone: bool = False                     # a timing without a group: nothing else runs beside it
    needs: tuple[str, ...] = ()
    code: str = ""                          # digest of the plugin's source and of foreign components
    text: str = ""                          # digest of a corpus that is a local file
    checkpoint: str = ""                    # trained weights in the place of fresh ones, and their digest
    weights: str = ""
    version: str = __version__

    @property
    def id(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]

    @property
    def label(self) -> str:
        """How the plugin is written on the command line: `phasefield:episodic=false`."""
        return str(Selector(self.plugin, options=self.options, checkpoint=self.checkpoint))

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the protocol."""
        return dict(self.protocol).get(key, default)

    def record(self) -> dict[str, Any]:
        """The cell as JSON keeps it."""
        return {"id": self.id, **asdict(self), "protocol": dict(self.protocol), "options": dict(self.options)}


@dataclass(frozen=True)
class Choice:
    """One selected plugin: its spec, the selector as written, the digests of its source and of its trained weights."""

    spec: ModelSpec
    selector: Selector
    code: str = ""
    weights: str = ""

    @property
    def label(self) -> str:
        return str(self.selector)

    @property
    def missing(self) -> str:
        """Why the plugin is unavailable here, or ""."""
        return missing(self.spec)

    def takes(self, option: str) -> bool:
        """Whether the plugin's config has such a field; an unavailable plugin takes nothing."""
        return not self.missing and option in {f.name for f in fields(config_class(self.spec))}


@dataclass(frozen=True)
class Request:
    """What a command line asks for. None or () means: the suite's own default."""

    models: tuple[Choice, ...]
    corpora: tuple[tuple[CorpusSpec, Selector], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()             # corpus as written, digest of the local files it names
    tokenizer: str = ""
    params: int = 0
    state_bytes: int = 0
    preset: str = ""
    seq_lens: tuple[int, ...] = ()
    batch_size: int = 0
    device: str = "cpu"
    dtype: str = ""
    threads: int = 1
    seeds: tuple[int, ...] = (0,)
    budget_bytes: int = 0
    lr: float | None = None
    rounds: int = 0
    unaudited: bool = False

    def cell(self, suite: str, choice: Choice, **fields: Any) -> Cell:
        """A cell of `suite` for `choice`, with what the request fixes for all suites filled in."""
        protocol = fields.pop("protocol", {})
        trained = choice.selector.checkpoint
        given: dict[str, Any] = {
            "options": choice.selector.options, "checkpoint": trained, "weights": choice.weights,
            "preset": "" if trained else self.preset, "params": 0 if self.preset or trained else self.params,
            "state_bytes": 0 if trained else self.state_bytes,
            "tokenizer": self.tokenizer, "device": self.device,
            "dtype": self.dtype or "float32", "threads": self.threads, "code": choice.code,
            "text": dict(self.texts).get(fields.get("corpus", ""), ""),
        }
        given |= fields
        return Cell(suite=suite, plugin=choice.spec.name, protocol=tuple(sorted(protocol.items())), **given)


def timing_group(cells: Iterable[Cell]) -> str:
    """The name of a timing group: a hash of its members, so that timings are only ever compared within one."""
    text = json.dumps(sorted(cell.id for cell in cells))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def source_digest(target: str) -> str:
    """A short hash of the source of `target` ("module:attribute"), found without importing it; "" where there is none.

    It covers the file of the module, for a package its folder, and whatever these import relatively, packages whole.
    """
    origin = _origin(target.partition(":")[0])
    if origin is None:
        return ""
    pending, seen = [origin, origin.parent / "__init__.py"], set[Path]()
    while pending:
        path = pending.pop()
        if path not in seen and path.is_file():
            seen.add(path)
            pending += path.parent.glob("*.py") if path.name == "__init__.py" else ()
            pending += _relative_imports(path)
    return files_digest(seen, origin.parent)


def code_digest(registry: Registry, spec: ModelSpec, options: Mapping[str, str]) -> str:
    """The digest of a model's source, with those of the components by other plugins that its options name."""
    foreign = sorted(source_digest(component.target) for component in registry.foreign(spec.name, options))
    return "+".join([source_digest(spec.target), *foreign])


def _origin(module: str) -> Path | None:
    if loaded := getattr(sys.modules.get(module), "__file__", None):        # a plugin file is found nowhere else
        return Path(loaded)
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found and found.origin and Path(found.origin).is_file() else None


def _relative_imports(path: Path) -> Iterator[Path]:
    """Files that `path` may import relatively: `from ..blocks import x` is ../blocks.py, ../blocks/__init__.py or x."""
    for dots, module, names in RELATIVE_IMPORT.findall(path.read_bytes()):
        place = path.parents[len(dots) - 1].joinpath(*filter(None, module.decode().split(".")))
        yield from (place.with_suffix(".py"), place / "__init__.py")
        yield from (place / f"{name}.py" for name in re.findall(r"\w+", names.decode("utf-8", "replace")))


def files_digest(paths: Iterable[Path], root: Path) -> str:
    """A short hash of files and of where they lie relative to `root`."""
    digest = hashlib.sha256()
    for name, path in sorted((os.path.relpath(path, root), path) for path in paths):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode("utf-8", "surrogatepass") + content)
    return digest.hexdigest()[:HASH_LENGTH]


def unique(cells: Sequence[Cell]) -> list[Cell]:
    """Cells without repetitions, in order."""
    return list({cell.id: cell for cell in cells}.values())
