"""One part of a plan for each of several machines, without an engine between them. (no torch)

What belongs together stays together: a timing group, a search and the cells that adopt what it found. Where such a unit
goes is a hash of what was asked for, so that machines need not speak to each other, and one that computes in another
precision takes the same part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError
from .cells import Cell
from .plan import Plan

MOST = 100_000


@dataclass(frozen=True)
class Shard:
    """Part `number` of `of`, counted from 1."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """ "2/8". Raises UsageError."""
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= MOST):
        raise UsageError(f"--shard must be a part of so many, such as 2/8, got {text!r}")
    return Shard(int(number), int(of))


def sharded(plan: Plan, shard: Shard) -> Plan:
    """The part of a plan that is this shard's: maybe nothing."""
    mine = {cell.id for unit in units(plan.cells) if place(unit) % shard.of == shard.number - 1 for cell in unit}
    return replace(plan, cells=[cell for cell in plan.cells if cell.id in mine],
                   finished={name: result for name, result in plan.finished.items() if name in mine},
                   shard=str(shard))


def units(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cells that must be measured by one machine, in their order."""
    head: dict[str, str] = {}

    def find(name: str) -> str:
        while head.setdefault(name, name) != name:
            head[name] = name = head[head[name]]
        return name

    for cell in cells:
        for other in (*cell.needs, *([f"group {cell.group}"] if cell.group else ())):
            head[find(other)] = find(cell.id)
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(find(cell.id), []).append(cell)
    yield from found.values()


def place(unit: Sequence[Cell]) -> int:
    """A number that only what was asked for decides: neither code nor precision nor the device."""
    asked = [json.dumps((cell.suite, cell.label, cell.preset, cell.params, cell.state_bytes, cell.corpus,
                         cell.tokenizer, cell.seq_len, cell.batch_size, cell.seed)) for cell in unit]
    return int.from_bytes(hashlib.sha256(min(asked).encode()).digest()[:8])
