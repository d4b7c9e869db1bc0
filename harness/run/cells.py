"""A cell is one measurement to make; a request is what the user asked for; suites turn one into the other. (no torch)

The hash of a cell names its file, so resuming, sharding and running on many machines need no lock. It covers whatever
decides the cell's number, source code and text too (identity.py): what was edited is measured again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ..protocol import PROTOCOL
from ..selector import Selector, options_in
from ..specs import PUBLISHED, CorpusSpec, ModelSpec, missing

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
    control: bool = False                   # its timing group measures it a second time, as the A/A control
    alone: bool = False                     # a timing without a group: nothing else runs beside it
    needs: tuple[str, ...] = ()
    code: str = ""                          # digest of the plugin's source and of foreign components
    suite_code: str = ""                    # digest of the suite's source
    text: str = ""                          # digest of the corpus's source and text
    tokenizer_code: str = ""                # digest of the tokenizer's source and table
    checkpoint: str = ""                    # trained weights in the place of fresh ones, and their digest
    weights: str = ""
    engine: int = PROTOCOL                  # edition of the measuring code

    @cached_property
    def id(self) -> str:
        """A letter and a hash of every field; it names the file of the result. Digits alone, or digits and an e, would
        be a number to whatever reads a table."""
        text = json.dumps(asdict(self), sort_keys=True)
        return "c" + hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH - 1]

    @property
    def edition(self) -> str:
        """A letter and a hash of all source, and of the weights, behind the number: what was edited has another."""
        parts = [self.code, self.suite_code, self.tokenizer_code, self.weights, self.engine]
        return "v" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:HASH_LENGTH - 1]

    @property
    def label(self) -> str:
        """How the plugin is written on the command line: `phasefield:episodic=false`."""
        return str(Selector(self.plugin, options=self.options, checkpoint=self.checkpoint))

    @property
    def timed(self) -> bool:
        """Whether it is measured with nothing else of its run beside it."""
        return bool(self.group or self.alone)

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the protocol."""
        return dict(self.protocol).get(key, default)

    def record(self) -> dict[str, Any]:
        """The cell as JSON keeps it."""
        return {"id": self.id, **asdict(self), "protocol": dict(self.protocol), "options": dict(self.options)}


@dataclass(frozen=True)
class Choice:
    """One selected plugin: its spec, the selector as written, the digests of its source and of its trained weights, the
    names of its options, none where it is unavailable, and the `tunable` sets that its config refuses beside those
    that were written."""

    spec: ModelSpec
    selector: Selector
    code: str = ""
    weights: str = ""
    options: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return str(self.selector)

    @property
    def missing(self) -> str:
        """Why the plugin is unavailable here, or ""."""
        return missing(self.spec)

    def takes(self, option: str) -> bool:
        """Whether the plugin's config has such a field; an unavailable plugin takes nothing."""
        return option in self.options

    def variants(self, options: Mapping[str, str]) -> tuple[str, ...]:
        """What a search chooses among, as options after a name: "" for those at hand, and the plugin's `tunable` sets
        that leave them alone and that go with them. What was published is measured as it was."""
        if options.get(PUBLISHED) == "true":
            return ("",)
        return "", *(text for text in self.spec.tunable
                    if text not in self.refused and not options_in(text).keys() & options.keys())


@dataclass(frozen=True)
class Request:
    """What a command line asks for. None or () means: the suite's own default."""

    models: tuple[Choice, ...]
    corpora: tuple[tuple[CorpusSpec, Selector], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()             # corpus as written, digest of its source and text
    tokenizer: str = ""
    tokenizer_code: str = ""
    suite_code: str = ""                                # of the suite that is being planned
    sizes: tuple[int, ...] = ()                         # parameters to match
    state_bytes: int = 0
    preset: str = ""
    tasks: tuple[str, ...] = ()                         # of a suite that has some
    task_size: str = ""
    seq_lens: tuple[int, ...] = ()
    batch_size: int = 0
    device: str = "cpu"
    dtype: str = ""
    threads: int = 1
    seeds: tuple[int, ...] = (0,)
    budgets: tuple[int, ...] = ()                       # bytes to train on
    lr: float | None = None
    rounds: int = 0
    unaudited: bool = False

    @property
    def params(self) -> int:
        """The one size that is asked for, 0 for none."""
        return self.sizes[0] if self.sizes else 0

    @property
    def budget_bytes(self) -> int:
        """The one budget that is asked for, 0 for the suite's own."""
        return self.budgets[0] if self.budgets else 0

    def cell(self, suite: str, choice: Choice, **fields: Any) -> Cell:
        """A cell of `suite` for `choice`, with what the request fixes for all suites filled in."""
        protocol = fields.pop("protocol", {})
        trained = choice.selector.checkpoint
        given: dict[str, Any] = {
            "options": choice.selector.options, "checkpoint": trained, "weights": choice.weights,
            "preset": "" if trained else self.preset, "params": 0 if self.preset or trained else self.params,
            "state_bytes": 0 if trained else self.state_bytes,
            "tokenizer": self.tokenizer, "tokenizer_code": self.tokenizer_code, "suite_code": self.suite_code,
            "control": choice.spec.baseline, "device": self.device,
            "dtype": self.dtype or "float32", "threads": self.threads, "code": choice.code,
            "text": dict(self.texts).get(fields.get("corpus", ""), ""),
        }
        given |= fields
        return Cell(suite=suite, plugin=choice.spec.name, protocol=tuple(sorted(protocol.items())), **given)


def base_fields(cell: Cell, spec: Any = None) -> dict[str, Any]:
    """The columns of a row that its cell already fixes."""
    return {
        "cell_id": cell.id, "suite": cell.suite, "plugin": cell.plugin,
        "options": cell.label.removeprefix(cell.plugin).removeprefix(":"), "family": spec.family if spec else "",
        "code": cell.edition,
        "corpus": cell.corpus, "tokenizer": cell.tokenizer, "seq_len": cell.seq_len or None,
        "batch_size": cell.batch_size or None, "device": cell.device, "dtype": cell.dtype, "seed": cell.seed,
        "rung": cell.get("rung", ""),
    }


def timing_group(cells: Iterable[Cell]) -> str:
    """The name of a timing group: a hash of its members, so that timings are only ever compared within one."""
    text = json.dumps(sorted(cell.id for cell in cells))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def unique(cells: Sequence[Cell]) -> list[Cell]:
    """Cells without repetitions, in order."""
    return list({cell.id: cell for cell in cells}.values())
