"""A cell is one measurement to make; a request is what the user asked for; suites turn one into the other. (no torch)

The hash of a cell names its file, so resuming, sharding and running on many machines need no lock. It covers the source
of the plugin too: an edited model is measured again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .. import __version__
from ..specs import CorpusSpec, ModelSpec, Selector, TokenizerSpec, missing

HASH_LENGTH = 16


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
    code: str = ""
    version: str = __version__

    @property
    def id(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]

    @property
    def label(self) -> str:
        """How the plugin is written on the command line: `phasefield:episodic=false`."""
        return str(Selector(self.plugin, options=self.options))

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the protocol."""
        return dict(self.protocol).get(key, default)

    def record(self) -> dict[str, Any]:
        """The cell as JSON keeps it."""
        return {"id": self.id, **asdict(self), "protocol": dict(self.protocol), "options": dict(self.options)}


@dataclass(frozen=True)
class Choice:
    """One selected plugin: its spec, the selector as written, the digest of its source."""

    spec: ModelSpec
    selector: Selector
    code: str = ""

    @property
    def label(self) -> str:
        return str(self.selector)

    @property
    def missing(self) -> str:
        """Why the plugin is unavailable here, or ""."""
        return missing(self.spec)


@dataclass(frozen=True)
class Request:
    """What a command line asks for. None or () means: the suite's own default."""

    models: tuple[Choice, ...]
    corpora: tuple[tuple[CorpusSpec, Selector], ...] = ()
    tokenizer: TokenizerSpec | None = None
    params: int = 0
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
        given: dict[str, Any] = {
            "options": choice.selector.options, "preset": self.preset, "params": 0 if self.preset else self.params,
            "tokenizer": self.tokenizer.name if self.tokenizer else "", "device": self.device,
            "dtype": self.dtype or "float32", "threads": self.threads, "code": choice.code,
        }
        given |= fields
        return Cell(suite=suite, plugin=choice.spec.name, protocol=tuple(sorted(protocol.items())), **given)


def timing_group(cells: Iterable[Cell]) -> str:
    """The name of a timing group: a hash of its members, so that timings are only ever compared within one."""
    text = json.dumps(sorted(cell.id for cell in cells))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


@cache
def source_digest(target: str) -> str:
    """A short hash of the Python files beside the module of `target` ("module:attribute"), found without importing it."""
    module = target.partition(":")[0]
    package, _, _ = module.rpartition(".")
    found = importlib.util.find_spec(module) if package else None
    origin = Path(found.origin) if found and found.origin else None
    if origin is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted(origin.parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:HASH_LENGTH]


def unique(cells: Sequence[Cell]) -> list[Cell]:
    """Cells without repetitions, in order."""
    return list({cell.id: cell for cell in cells}.values())
