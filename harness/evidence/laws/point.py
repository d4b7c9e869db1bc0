"""What a law is fitted to: the score of one rung of one run, with what it took. (no torch)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RESOURCES = {"flops": "compute", "bytes": "data", "seconds": "time", "energy_j": "energy"}    # that training takes


class NoLaw(ValueError):
    """The points decide no law: what is missing."""


@dataclass(frozen=True)
class Point:
    """`bits` per held-out byte after training on `bytes`; `flops`, `seconds`, `energy_j` are those of the training.

    What was not measured is None. Documents: bits and bytes of each that was scored, in one order in all points of a
    corpus; where all points have them, intervals hold the choice of documents too.
    """

    plugin: str
    corpus: str
    seed: int
    params: int
    bytes: int
    bits: float
    flops: float | None = None
    seconds: float | None = None
    state_bytes: int | None = None
    energy_j: float | None = None
    document_bits: tuple[float, ...] = ()
    document_bytes: tuple[int, ...] = ()
    cell: str = ""
    rung: str = ""                          # the size and the budget that were asked for: seeds read a few bytes more
    paced: bool = False                     # seconds are of steps that were timed side by side

    @property
    def run(self) -> tuple[str, str, int, int]:
        """All budgets that branch off one trunk are of one run: they vary together."""
        return self.plugin, self.corpus, self.params, self.seed

    @property
    def step(self) -> tuple[int, str | int]:
        """The rung, the same for all seeds."""
        return self.params, self.rung or self.bytes

    def amount(self, resource: str) -> float | None:
        """Of a resource of RESOURCES, or of `params` or `state_bytes`; None where it was not measured."""
        found = getattr(self, resource)
        return float(found) if found is not None and found > 0 else None


def of_plugins(points: Sequence[Point], plugins: Sequence[str]) -> list[Point]:
    """In one order, however they came: what is drawn by chance for a run depends on its place."""
    return sorted((point for point in points if point.plugin in plugins),
                  key=lambda point: (point.corpus, point.plugin, point.params, point.seed, point.bytes))


def largest_rung(points: Sequence[Point]) -> list[Point]:
    """All seeds of the rung of the most parameters times bytes, of the points of one plugin on one corpus."""
    top = max(points, key=lambda point: (point.params * point.bytes, point.params))
    return [point for point in points if point.step == top.step]
